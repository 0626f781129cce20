"""Small projects for the tests of the Dagster layer: written, run, and compared by content."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl

from tritter_assets.definitions import build_definitions
from tritter_assets.lake import Lake
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.corpus import REPOSITORY, write_project

SOURCES = ("small_code", "small_mirror")


def make_settings(folder: Path, *, num_shards: int = 2, workers: int = 1) -> Settings:
    """Writes the small project into `folder` and resolves its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    write_project(folder, num_shards=num_shards, workers=workers)
    shutil.copy(REPOSITORY / "dagster.yaml", folder)
    shutil.copy(REPOSITORY / "workspace.yaml", folder)
    return load_settings(folder, {})


def environment(folder: Path) -> dict[str, str]:
    """What a command line run in the project's folder sees; no benchmark is fetched."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRITTER_", "DAGSTER_"))}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}


def dagster(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the `dagster` command in the project's folder."""
    command = Path(sys.executable).with_name("dagster")
    return subprocess.run(
        [str(command), *arguments],
        cwd=folder,
        env=environment(folder),
        check=check,
        capture_output=True,
        text=True,
    )


def run_sources(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Runs the ingest job of each source over all its shards."""
    definitions = build_definitions(settings)
    catalog = settings.catalog()
    for source in SOURCES:
        shards = catalog.sources[source].shards
        tags = {
            "dagster/asset_partition_range_start": shards[0],
            "dagster/asset_partition_range_end": shards[-1],
        }
        job = definitions.resolve_job_def(f"ingest_{source}")
        assert job.execute_in_process(instance=instance, tags=tags).success


def contents(lake: Lake, table: str) -> pl.DataFrame:
    """A table's rows without what may depend on the number of shards, in a fixed order."""
    frame = lake.scan(table).collect()
    frame = frame.drop([c for c in ("shard", "segments") if c in frame.columns])
    key = "id" if "id" in frame.columns else frame.columns[0]
    by = [c for c in (key, "stage_number", "position") if c in frame.columns]
    return frame.sort(by)
