"""The process of a cluster run: started by `defs/cluster.py`, reports through Dagster Pipes.

It runs in the environment of `constraints-cluster.txt`, where Dagster need not be installed.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from tritter_assets.cluster.engine import open_engine
from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.cluster.tasks import ShardTask
from tritter_assets.settings import load_settings


def main() -> None:
    """Does what the Pipes extras ask for and reports in their order."""
    with open_dagster_pipes() as pipes:
        reports = _index(pipes) if "index" in pipes.extras else _shards(pipes)
        pipes.report_custom_message({"reports": reports})


def _shards(pipes: PipesContext) -> list[Any]:
    settings = load_settings()
    engine = open_engine(pipes.get_extra("engine"), settings.ray_address)
    tasks = [ShardTask(**task) for task in pipes.get_extra("tasks")]
    reports: list[Any] = [None] * len(tasks)
    for done, (number, report) in enumerate(engine.map_shards(settings, tasks), start=1):
        reports[number] = report
        pipes.log.info(f"{tasks[number].name}: committed, {done} of {len(tasks)}")
    return reports


def _index(pipes: PipesContext) -> list[Any]:
    settings = load_settings()
    engine = open_engine(pipes.get_extra("engine"), settings.ray_address)
    update = IndexUpdate.from_json(pipes.get_extra("index"))
    report = engine.update_index(settings.lake(), update)
    return [json.loads(json.dumps(dataclasses.asdict(report), default=str))]


if __name__ == "__main__":
    main()
