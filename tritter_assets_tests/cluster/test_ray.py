"""A head and two workers of Ray on this machine; workers are killed in the middle."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.cluster.engine import DaftEngine, LocalEngine, open_engine
from tritter_assets.cluster.tasks import ShardTask, rules_of
from tritter_assets.dedup.index import EXACT_INDEX, NEAR_INDEX
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.cluster.lakes import (
    INPUTS,
    NEAR_TABLES,
    assert_same,
    update,
    write_lake,
)
from tritter_assets_tests.corpus import write_project

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Lake:
    """What the local engine makes of the small lake."""
    lake = write_lake(tmp_path_factory.mktemp("local"))
    for index in (NEAR_INDEX, EXACT_INDEX):
        update(LocalEngine(), lake, index=index)
    return lake


# -- shards --------------------------------------------------------------------------------------


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    write_project(folder, num_shards=2)
    return load_settings(folder, {})


def _tasks(settings: Settings) -> list[ShardTask]:
    rules = rules_of(settings, settings.catalog(), "signatures", "one")
    return [
        ShardTask(
            stage="signatures",
            source=item.source,
            shard=item.shard,
            fingerprint=fingerprint_of(item.source, item.shard),
            rules=rules,
        )
        for item in INPUTS
    ]


def on_ray(cluster: Any) -> DaftEngine:
    engine = open_engine("ray", cluster.address)
    assert isinstance(engine, DaftEngine)
    return engine


def test_two_workers_find_the_same(local: Lake, tmp_path: Path, two_workers: Any) -> None:
    lake = write_lake(tmp_path)
    engine = on_ray(two_workers)
    # The first update finds all, the second goes on from it.
    assert update(engine, lake, INPUTS[1:]).details["shards_changed"] == 3
    assert update(engine, lake).details["shards_changed"] == 1
    update(engine, lake, index=EXACT_INDEX)
    assert_same(local, lake, (*NEAR_TABLES, EXACT_INDEX))
    assert dropped_ids(lake).equals(dropped_ids(local))


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_worker_killed_between_joins_costs_time_only(
    goes_on: bool, local: Lake, tmp_path: Path, two_workers: Any
) -> None:
    lake = write_lake(tmp_path)
    if goes_on:
        update(on_ray(two_workers), lake, INPUTS[1:])
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "_cluster").glob("near-*/candidates/*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        node = sorted(two_workers.worker_nodes, key=str)[0]
        two_workers.remove_node(node, allow_graceful=False)
        killed.append(node)

    killer = threading.Thread(target=kill)
    killer.start()
    update(on_ray(two_workers), lake)
    killer.join()
    assert killed
    assert_same(local, lake)


def test_a_worker_killed_between_shards_costs_time_only(
    local: Lake, tmp_path: Path, two_workers: Any
) -> None:
    settings = _settings(tmp_path)
    lake = write_lake(settings.lake_root, signed=False)
    tasks = _tasks(settings)
    done = []
    for number, report in on_ray(two_workers).map_shards(settings, tasks):
        if not done:
            node = sorted(two_workers.worker_nodes, key=str)[0]
            two_workers.remove_node(node, allow_graceful=False)
        done.append(number)
        assert report.get("already_committed") or report["num_documents"] == 50
    assert sorted(done) == list(range(len(tasks)))
    for item in INPUTS:
        table, partition = f"signatures/{item.source}", {"shard": item.shard}
        here, there = lake.state(table, partition), local.state(table, partition)
        assert here is not None
        assert there is not None
        assert here.data_version == there.data_version
        assert here.fingerprint == fingerprint_of(item.source, item.shard)
