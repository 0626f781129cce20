"""Removal requests left as files, and schedules: what they ask to be run."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import polars as pl

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.resources import LakeResource
from tritter_assets.lake.removals import read_removals
from tritter_assets_tests.corpus import FORGETTABLE_OWNER
from tritter_assets_tests.defs.project import make_settings, run_sources

REQUEST = f"""
kind: owner
value: {FORGETTABLE_OWNER}
reason: the owner asked by mail
requested_at: 2026-11-24T06:00:00Z
"""


def test_a_request_file_asks_for_the_shards_that_hold_the_rows_then_for_what_is_after(
    tmp_path: Path,
) -> None:
    settings = make_settings(tmp_path / "project", num_shards=6)
    definitions = build_definitions(settings)
    sensor = definitions.resolve_sensor_def("removal_requests")
    resources = {"lake": LakeResource(root=settings.lake_root)}
    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(settings, instance)

        def evaluate(cursor: str | None) -> dg.SensorExecutionData:
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, resources=resources, definitions=definitions
            )
            return sensor.evaluate_tick(context)

        assert not evaluate(None).run_requests
        folder = settings.project_root / ".tritter" / "removals"
        folder.mkdir(parents=True)
        (folder / "gone.yaml").write_text(REQUEST)
        (folder / "broken.yaml").write_text("kind: [")
        an_hour_ago = time.time() - 3600
        os.utime(folder / "broken.yaml", (an_hour_ago, an_hour_ago))
        found = evaluate(None)
        lake = settings.lake()
        held = (
            lake.scan("raw/small_code")
            .filter(pl.col("owner") == FORGETTABLE_OWNER)
            .select("shard")
            .unique()
            .collect()["shard"]
        )
        asked = found.run_requests or []
        assert {request.job_name for request in asked} == {"ingest_small_code"}
        assert {request.partition_key for request in asked} == set(held)
        assert 0 < len(asked) < 6
        assert not read_removals(lake).is_empty()
        assert (folder / "rejected" / "broken.yaml").exists()
        assert "is not YAML" in (folder / "rejected" / "broken.yaml.why.txt").read_text()
        again = evaluate(found.cursor).run_requests or []
        assert [request.run_key for request in again] == [request.run_key for request in asked]

        for request in asked:
            job = definitions.resolve_job_def("ingest_small_code")
            selection = list(request.asset_selection or ())
            assert job.execute_in_process(
                instance=instance, partition_key=request.partition_key, asset_selection=selection
            ).success
        after = evaluate(found.cursor)
        assert [request.job_name for request in after.run_requests or []] == ["build_downstream"]
        assert not evaluate(after.cursor).run_requests


def test_the_nightly_schedule_asks_for_every_shard(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "project", num_shards=3)
    definitions = build_definitions(settings)
    schedule = definitions.resolve_schedule_def("nightly_small_code")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 24, 2, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        )
        data = schedule.evaluate_tick(context)
    assert [request.partition_key for request in data.run_requests or []] == ["000", "001", "002"]


def test_a_source_that_leaves_the_profile_leaves_the_mix(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "project", num_shards=1)
    groups = ("g05_dedup", "g06_functions", "g07_synthetic", "g08_mixes")

    def build() -> None:
        definitions = build_definitions(settings)
        keys = dg.AssetSelection.groups(*groups).resolve(definitions.resolve_asset_graph())
        job = definitions.resolve_job_def("build_downstream")
        with dg.DagsterInstance.ephemeral() as instance:
            assert job.execute_in_process(instance=instance, asset_selection=list(keys)).success

    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(settings, instance)
    build()
    lake = settings.lake()
    assert "small_code" in set(lake.scan("mix/phase3_instruct").collect()["source"])
    # The mirror's priority is now the better one, and the source it copied from is gone.
    contract = settings.contracts_root / "sources" / "small_mirror.yaml"
    contract.unlink()
    build()
    for phase in ("phase1_base", "phase3_instruct"):
        assert set(lake.scan(f"mix/{phase}").collect()["source"]) == {"small_code"}
    assert "small_mirror" not in set(lake.scan("dedup/near_index").collect()["source"])
    assert set(lake.scan("functions/python").collect()["source"]) == {"small_code"}
