"""Same inputs, same content: whatever the shard count, the worker count, or a kill in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from tritter_assets.definitions import build_definitions
from tritter_assets.settings import Settings
from tritter_assets_tests.defs.project import (
    SOURCES,
    contents,
    environment,
    make_settings,
    run_sources,
)

pytestmark = pytest.mark.timeout(240)

_DOWNSTREAM = ("g05_dedup", "g06_functions", "g07_synthetic", "g08_mixes")
_SOURCE_TABLES = tuple(
    f"{room}/{source}" for room in ("raw", "verdicts", "filtered") for source in SOURCES
)
_TABLES = (
    *_SOURCE_TABLES,
    "dedup/exact_index",
    "dedup/near_index",
    "functions/python",
    "functions/rust",
    "synthetic/docstring_instruct",
    "mix/phase1_base",
    "mix/phase3_instruct",
)


def _run(settings: Settings) -> None:
    definitions = build_definitions(settings)
    keys = dg.AssetSelection.groups(*_DOWNSTREAM).resolve(definitions.resolve_asset_graph())
    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(settings, instance)
        job = definitions.resolve_job_def("build_downstream")
        assert job.execute_in_process(instance=instance, asset_selection=list(keys)).success


def test_shards_and_workers_do_not_change_content(tmp_path: Path) -> None:
    one = make_settings(tmp_path / "one", num_shards=1, workers=1)
    three = make_settings(tmp_path / "three", num_shards=3, workers=2)
    for settings in (one, three):
        _run(settings)
    for table in _TABLES:
        assert contents(one.lake(), table).equals(contents(three.lake(), table)), table


_COMMAND = """
import dagster as dg
from tritter_assets.settings import load_settings
from tritter_assets_tests.defs.project import run_sources
with dg.DagsterInstance.ephemeral() as instance:
    run_sources(load_settings(), instance)
"""


@pytest.mark.parametrize("kill_after", ["raw/small_code", "verdicts/small_code"])
def test_a_killed_run_completes_to_the_same_content(tmp_path: Path, kill_after: str) -> None:
    whole = make_settings(tmp_path / "whole", num_shards=2)
    killed = make_settings(tmp_path / "killed", num_shards=2)
    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(whole, instance)

    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND],
        cwd=killed.project_root,
        env=environment(killed.project_root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = Path(killed.lake_root) / kill_after / "_delta_log" / f"{1:020d}.json"
    deadline = time.monotonic() + 120
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    lake = killed.lake()
    for table in _SOURCE_TABLES:
        if lake.exists(table):
            lake.scan(table).collect()  # readable, whatever was going on

    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(killed, instance)
    for table in _SOURCE_TABLES:
        mended, expected = lake.scan(table).collect(), whole.lake().scan(table).collect()
        by = ["shard", "id", *(["stage_number"] if "stage_number" in mended.columns else [])]
        assert mended.sort(by).equals(expected.sort(by)), table
