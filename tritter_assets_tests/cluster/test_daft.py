"""Daft in one process. A process takes one runner of Daft: Ray has a file of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tritter_assets.cluster.engine import DaftEngine, LocalEngine, open_engine
from tritter_assets.cluster.near import update_near_index
from tritter_assets.cluster.tasks import ShardTask, rules_of
from tritter_assets.dedup.band_table import NEAR_BANDS
from tritter_assets.dedup.crowds import CROWD
from tritter_assets.dedup.index import EXACT_INDEX, NEAR_INDEX
from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lake.row_commits import takes_rows
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.cluster.lakes import (
    FINGERPRINT,
    INPUTS,
    NEAR_TABLES,
    assert_same,
    documents,
    rows,
    update,
    update_of,
    write_lake,
)
from tritter_assets_tests.corpus import write_project
from tritter_assets_tests.dedup.corpus import Doc, sign, text, write_filtered
from tritter_assets_tests.lake.test_s3 import endpoint  # noqa: F401

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Lake:
    """What the local engine makes of the small lake."""
    lake = write_lake(tmp_path_factory.mktemp("local"))
    update(LocalEngine(), lake)
    return lake


def test_daft_in_this_process_finds_the_same(local: Lake, tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    report = update(DaftEngine(None), lake)
    assert_same(local, lake)
    assert report.num_dropped > 0
    assert report.num_quarantined > 0
    assert not list((tmp_path / "_cluster").glob("near-*"))


def test_any_number_of_buckets_gives_the_same(local: Lake, tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    engine = DaftEngine(None)
    engine.connect()
    update_near_index(
        lake,
        replace(update_of(INPUTS), memory_limit_bytes=1 << 20),
        run_all=engine.run_all,
        num_buckets=7,
    )
    assert_same(local, lake)


def test_a_lake_goes_from_one_engine_to_the_other(local: Lake, tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    update(LocalEngine(), lake, INPUTS[:2])
    sign(lake, "one", "001", documents(1)[1:])
    update(LocalEngine(), lake, INPUTS[:2])
    for table in NEAR_TABLES:
        opened = DeltaTable(lake.location.uri(table))
        assert takes_rows(opened), f"{table}: rows that went are not in a deletion vector"
    sign(lake, "one", "001", documents(1))
    report = update(DaftEngine(None), lake)
    assert_same(local, lake)
    assert report.details["pairs_computed"] < report.details["candidates"], "stored pairs are used"
    update(DaftEngine(None), lake, INPUTS[1:])
    update(LocalEngine(), lake)
    assert_same(local, lake)


def test_crowded_bands_are_compared_with_the_same_first_contents(tmp_path: Path) -> None:
    crowd = [
        Doc(f"{n:032x}", text(1, edits=(n % 60, n // 60 + 20), count=200), path=f"{-n % 97}.py")
        for n in range(CROWD + 60)
    ]
    found = {}
    for name, engine in (("local", LocalEngine()), ("daft", DaftEngine(None))):
        lake = found[name] = Lake.at(tmp_path / name)
        for item in INPUTS:
            mine = crowd[::2] if item.source == "one" else crowd[1::2]
            sign(lake, item.source, item.shard, mine if item.shard == "000" else [])
        report = update(engine, lake)
        assert report.details["candidates"] < len(crowd) * (len(crowd) - 1) // 2
    assert_same(found["local"], found["daft"])


def test_no_candidates_is_an_empty_index(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    empty = update(DaftEngine(None), lake, INPUTS[:1])
    assert empty.num_members == rows(lake, "dedup/near_index").height
    for item in INPUTS:
        lake.write(
            f"signatures/{item.source}",
            lake.dataset(f"signatures/{item.source}").to_table().slice(0, 0),
            lake.dataset(f"signatures/{item.source}").schema,
            fingerprint=FINGERPRINT,
            partition={"shard": item.shard},
        )
    report = update(DaftEngine(None), lake)
    assert (report.num_documents, report.num_members) == (0, 0)
    assert lake.scan("dedup/near_index").collect().is_empty()


@pytest.mark.parametrize("index", [NEAR_INDEX, EXACT_INDEX])
def test_no_shard_at_all_is_an_empty_index(index: str, tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    for inputs in (INPUTS, []):
        report = DaftEngine(None).update_index(lake, update_of(inputs, index))
    assert (report.num_documents, report.num_members) == (0, 0)
    assert lake.scan(index).collect().is_empty()
    assert not lake.exists(NEAR_BANDS) or lake.scan(NEAR_BANDS).collect().is_empty()


def test_a_text_that_changed_after_it_was_signed_is_refused(tmp_path: Path) -> None:
    lake = write_lake(tmp_path)
    changed = [Doc(doc.id, doc.content + " more", doc.license) for doc in documents(0)]
    write_filtered(lake, "one", "000", changed)
    with pytest.raises(MissingProvenance, match="not what was signed"):
        update(DaftEngine(None), lake)
    assert not lake.exists("dedup/near_index")


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


def test_a_task_that_ran_does_nothing_again(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    lake = write_lake(settings.lake_root, signed=False)
    tasks = _tasks(settings)
    first = dict(LocalEngine().map_shards(settings, tasks))
    version = lake.table_version("signatures/one")
    again = dict(DaftEngine(None).map_shards(settings, tasks))
    assert {report["num_documents"] for report in first.values()} == {50}
    assert all(report == {"already_committed": True} for report in again.values())
    assert lake.table_version("signatures/one") == version


def test_a_worker_with_other_rules_refuses(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    write_lake(settings.lake_root, signed=False)
    other = ShardTask(
        stage="signatures", source="one", shard="000", fingerprint=FINGERPRINT, rules="other"
    )
    with pytest.raises(ContractViolation, match=r"signatures/one\[000\].*other code"):
        list(LocalEngine().map_shards(settings, [other]))


def test_an_engine_without_an_address_is_refused() -> None:
    with pytest.raises(ContractViolation, match="TRITTER_RAY_ADDRESS"):
        open_engine("ray", None)
    with pytest.raises(ContractViolation, match="spark"):
        open_engine("spark", None)
    assert isinstance(open_engine("local", None), LocalEngine)


# -- S3 ------------------------------------------------------------------------------------------


def test_tables_on_s3_are_the_same(local: Lake, endpoint: str) -> None:  # noqa: F811
    options = {
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "aws_region": "us-east-1",
        "aws_endpoint_url": endpoint,
        "aws_allow_http": "true",
        "aws_conditional_put": "etag",
    }
    lake = write_lake("s3://tritter-lake/cluster", options=options)
    update(DaftEngine(None), lake, INPUTS[:2])
    assert update(DaftEngine(None), lake).details["shards_changed"] == 2
    assert_same(local, lake)
