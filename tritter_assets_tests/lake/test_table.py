"""The lake's promises: one commit per partition, nothing half written, versions from content."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tritter_assets.errors import ContractViolation, LakeCorruption
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("content", pa.large_string()),
        pa.field("tags", pa.list_(pa.string())),
    ]
)
MADE_FROM = fingerprint_of("test")


def batch(shard: str, ids: list[str]) -> pa.RecordBatch:
    columns = [ids, [shard] * len(ids), [f"text {i}" for i in ids], [[i, "x"] for i in ids]]
    return pa.record_batch(columns, schema=SCHEMA)


def write(lake: Lake, shard: str, ids: list[str], fingerprint: str = MADE_FROM):
    return lake.write(
        "raw/x", [batch(shard, ids)], SCHEMA, fingerprint=fingerprint, partition={"shard": shard}
    )


def test_a_partition_is_replaced_and_its_neighbours_are_not(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, "000", ["a", "b"])
    neighbour = write(lake, "001", ["c"])
    write(lake, "000", ["d"])
    assert lake.scan("raw/x").sort("id").collect()["id"].to_list() == ["c", "d"]
    assert lake.state("raw/x", {"shard": "001"}) is not None
    assert lake.state("raw/x", {"shard": "001"}).data_version == neighbour.data_version  # type: ignore[union-attr]


def test_time_travel_reads_what_was(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    before = write(lake, "000", ["a", "b"]).table_version
    write(lake, "000", ["c"])
    assert lake.scan("raw/x", version=before).collect()["id"].sort().to_list() == ["a", "b"]


def test_an_empty_partition_is_known_to_be_made(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, "000", ["a"])
    state = write(lake, "000", [])
    assert state.num_rows == 0
    assert lake.is_fresh("raw/x", MADE_FROM, {"shard": "000"})
    assert lake.scan("raw/x").collect().is_empty()


def test_data_version_depends_on_rows_and_not_on_order_or_batches(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    one = lake.write("a", [batch("0", ["p", "q", "r"])], SCHEMA, fingerprint=MADE_FROM)
    two = lake.write(
        "b", [batch("0", ["r"]), batch("0", ["q", "p"])], SCHEMA, fingerprint=MADE_FROM
    )
    three = lake.write("c", [batch("0", ["p", "q", "s"])], SCHEMA, fingerprint=MADE_FROM)
    assert one.data_version == two.data_version
    assert one.data_version != three.data_version


def test_a_writer_that_fails_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, "000", ["a"])

    def broken():
        yield batch("000", ["b"])
        raise RuntimeError("upstream broke")

    with pytest.raises(RuntimeError, match="upstream broke"):
        lake.write("raw/x", broken(), SCHEMA, fingerprint=MADE_FROM, partition={"shard": "000"})
    assert lake.scan("raw/x").collect()["id"].to_list() == ["a"]


def test_rows_that_break_the_schema_are_named(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    with pytest.raises(ContractViolation, match=r"lack the columns.*tags"):
        lake.write("x", [batch("0", ["a"]).drop_columns(["tags"])], SCHEMA, fingerprint=MADE_FROM)
    with pytest.raises(ContractViolation, match="partition shard='000' carry"):
        lake.write(
            "p", [batch("001", ["a"])], SCHEMA, fingerprint=MADE_FROM, partition={"shard": "000"}
        )
    null_id = pa.record_batch([[None], ["0"], ["t"], [[]]], names=SCHEMA.names)
    with pytest.raises(ContractViolation, match=r"'id'.*non-nullable"):
        lake.write("y", [null_id], SCHEMA, fingerprint=MADE_FROM)


def test_names_that_leave_the_lake_are_refused(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    for name in ("../outside", "a|b", "/absolute", ""):
        with pytest.raises(ContractViolation, match="table name"):
            lake.state(name)


def test_a_missing_table_names_the_asset(tmp_path: Path) -> None:
    with pytest.raises(LakeCorruption, match="materialise the asset 'raw/nothing'"):
        Lake.at(tmp_path).scan("raw/nothing")


def _write_in_process(arguments: tuple[str, str]) -> str:
    root, shard = arguments
    for turn in range(3):
        write(Lake.at(root), shard, [f"{shard}-{turn}-{n}" for n in range(20)])
    return shard


def test_processes_write_different_partitions_at_once(tmp_path: Path) -> None:
    write(Lake.at(tmp_path), "seed", ["s"])
    shards = [f"{number:03d}" for number in range(6)]
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_write_in_process, [(str(tmp_path), s) for s in shards]) == shards
    rows = Lake.at(tmp_path).scan("raw/x").collect()
    assert rows.height == 6 * 20 + 1
    assert rows.filter(pl.col("id").str.contains("-2-")).height == 6 * 20


_KILLED = """
import os, signal, sys
from tritter_assets.lake import Lake
from tritter_assets_tests.lake.test_table import SCHEMA, MADE_FROM, batch
import tritter_assets.lake.partition_writer as writer
writer.ROW_GROUP_BYTES = 1  # every batch reaches the disk at once
def rows():
    yield batch("000", ["x"])
    yield batch("000", ["y"])
    os.kill(os.getpid(), signal.SIGKILL)
lake = Lake.at(sys.argv[1])
lake.write("raw/x", rows(), SCHEMA, fingerprint=MADE_FROM, partition={"shard": "000"})
"""


def test_a_writer_killed_before_its_commit_changes_nothing(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, "000", ["a"])
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    left_behind = [p for p in tmp_path.rglob("*.parquet") if "_delta_log" not in p.parts]
    assert len(left_behind) > 1  # the killed writer did write
    assert lake.scan("raw/x").collect()["id"].to_list() == ["a"]
    write(lake, "000", ["x", "y"])
    assert lake.scan("raw/x").collect()["id"].sort().to_list() == ["x", "y"]


def test_artifacts_are_checked_when_they_are_opened(tmp_path: Path) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(os.urandom(1000))
    store = ArtifactStore(Lake.at(tmp_path / "lake"))
    store.put("model/x", {"weights.bin": source}, fingerprint=MADE_FROM, facts={"loss": 1.5})
    stored = store.open_local("model/x", "weights.bin")
    assert stored.read_bytes() == source.read_bytes()
    assert store.facts("model/x") == {"loss": 1.5}
    stored.write_bytes(b"altered")
    with pytest.raises(LakeCorruption, match="missing or altered"):
        store.open_local("model/x", "weights.bin")
    with pytest.raises(LakeCorruption, match=r"holds \['weights.bin'\]"):
        store.open_local("model/x", "other.bin")
