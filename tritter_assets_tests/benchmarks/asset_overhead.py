"""Milliseconds that an asset costs over the plain call of its function.

    python -m tritter_assets_tests.benchmarks.asset_overhead

The same stages over the same small corpus, in the same process: once as verbs called in order with
their fingerprints computed, once as Dagster runs on a SQLite instance with metadata, checks and
versions. The peer is a bare Dagster asset that does nothing, on the same instance.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import dagster as dg

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.schedules import SOURCE_ROOMS, source_job_name
from tritter_assets.defs.stage import Platform, Step
from tritter_assets.settings import load_settings
from tritter_assets_tests.benchmarks.harness import ROOT, report
from tritter_assets_tests.corpus import write_project

_SHARDS = 8
_SOURCE = "small_code"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tritter-overhead-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        os.environ["DAGSTER_HOME"] = str(home)
        os.chdir(folder)
        project = write_project(Path(folder) / "project", num_shards=_SHARDS, source_files=_SHARDS)
        settings = load_settings(project, {"TRITTER_LAKE": f"{folder}/lake"})
        _call_verbs(settings, f"{folder}/warm")  # compiles and imports
        plain_s = _call_verbs(settings, f"{folder}/plain")
        assets_s, bare_s = _run_assets(settings)
    count = len(SOURCE_ROOMS) * _SHARDS
    ours = (assets_s - plain_s) / count * 1000
    bare = bare_s / count * 1000
    report(
        "asset_overhead",
        round(ours, 1),
        "ms per asset partition over the plain function",
        {"bare dagster asset": round(bare, 1)},
        round(bare / ours, 3) if ours > 0 else None,
        plain_ms=round(plain_s / count * 1000, 1),
        partitions=count,
    )


def _call_verbs(settings, lake: str) -> float:
    settings = load_settings(settings.project_root, {"TRITTER_LAKE": lake})
    platform = Platform.open(settings)
    graph = build_graph(platform)
    started = time.perf_counter()
    for room in SOURCE_ROOMS:
        stage = graph.stages[f"{room}/{_SOURCE}"]
        for shard in stage.shards:
            stage.work(
                Step(
                    platform=platform,
                    key=stage.key,
                    shard=shard,
                    fingerprint=graph.fingerprint(platform, stage, shard),
                    shard_fingerprint=lambda _: "",
                    expected_fingerprint=lambda _: "",
                    current_fingerprint=partial(graph.fingerprint, platform, stage, shard),
                    context=None,
                )
            )
    return time.perf_counter() - started


def _run_assets(settings) -> tuple[float, float]:
    definitions = build_definitions(settings)
    job = definitions.resolve_job_def(source_job_name(_SOURCE))
    shards = [f"{number:03d}" for number in range(_SHARDS)]
    bare = [_bare(room, shards) for room in SOURCE_ROOMS]
    bare_job = dg.Definitions(
        assets=bare,
        jobs=[dg.define_asset_job("bare", selection=[a.key for a in bare])],
        executor=dg.in_process_executor,
        loggers=definitions.loggers,
    ).resolve_job_def("bare")
    with dg.DagsterInstance.get() as instance:
        started = time.perf_counter()
        for shard in shards:
            assert job.execute_in_process(instance=instance, partition_key=shard).success
        ours = time.perf_counter() - started
        started = time.perf_counter()
        for shard in shards:
            assert bare_job.execute_in_process(instance=instance, partition_key=shard).success
        return ours, time.perf_counter() - started


def _bare(name: str, shards: list[str]) -> dg.AssetsDefinition:
    @dg.asset(name=f"bare_{name}", partitions_def=dg.StaticPartitionsDefinition(shards))
    def bare() -> dg.MaterializeResult:
        return dg.MaterializeResult()

    return bare


if __name__ == "__main__":
    main()
