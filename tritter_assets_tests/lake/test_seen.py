from __future__ import annotations

import shutil

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets.lake.seen import see_table, table_to_commit
from tritter_assets.lake.states import TableStates

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
    ]
)


def rows(shard: str, *ids: str) -> pa.Table:
    return pa.Table.from_pylist(
        [{"id": name, "source": "s", "shard": shard} for name in ids], schema=SCHEMA
    )


def place(shard: str) -> dict[str, str]:
    return {"source": "s", "shard": shard}


def write(lake: Lake, *parts: tuple[str, tuple[str, ...], str]) -> None:
    lake.write_partitions(
        "t",
        [(place(shard), rows(shard, *ids), fingerprint * 15) for shard, ids, fingerprint in parts],
        SCHEMA,
        partition_by=("source", "shard"),
    )


def ids(lake: Lake) -> list[str]:
    return sorted(lake.scan("t").collect()["id"])


def test_several_partitions_are_replaced_in_one_commit(tmp_path) -> None:
    lake, single = Lake.at(tmp_path / "a"), Lake.at(tmp_path / "b")
    write(lake, ("0", ("a", "b"), "1"), ("1", ("c",), "2"), ("2", ("d",), "3"))
    write(lake, ("1", ("e", "f"), "4"), ("2", (), "5"), ("3", ("g",), "6"))
    assert ids(lake) == ["a", "b", "e", "f", "g"]
    assert lake.table_version("t") == 2
    assert [state.fingerprint[0] for state in lake.states("t")] == ["1", "4", "6"]
    assert lake.state("t", place("2")).num_rows == 0
    written = single.write(
        "t", rows("1", "e", "f"), SCHEMA, fingerprint="4" * 15, partition=place("1")
    )
    assert lake.state("t", place("1")).data_version == written.data_version
    with pytest.raises(ContractViolation, match="carry"):
        lake.write_partitions(
            "t",
            [(place("4"), rows("5", "x"), "1" * 15)],
            SCHEMA,
            partition_by=("source", "shard"),
        )
    assert ids(lake) == ["a", "b", "e", "f", "g"]


def test_a_table_is_read_again_only_when_its_log_has_grown(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    assert see_table(lake.location, "t") is None
    write(lake, ("0", ("a",), "1"))
    first = see_table(lake.location, "t")
    assert see_table(lake.location, "t") is first
    # As another process would.
    write(Lake.at(tmp_path), ("1", ("b",), "2"))
    second = see_table(lake.location, "t")
    assert second is not None
    assert second is not first
    assert len(second.by_values) == 2


def test_states_read_on_from_earlier_ones_are_those_of_the_whole_log(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    for number in range(25):  # over a checkpoint
        write(lake, (str(number % 7), (f"a{number}",), f"{number % 10}"))
        held = lake.states("t")
        opened = DeltaTable(lake.location.uri("t"))
        anew = TableStates(opened, "t", lake.location.filesystem("t"))
        assert held == list(anew.by_values.values())
        assert lake.fingerprints("t") == {
            tuple(state.partition.values()): state.fingerprint for state in held
        }


def test_a_failed_commit_leaves_what_was_there(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, ("0", ("a",), "1"))

    def stopped() -> None:
        with table_to_commit(lake.location, "t") as (opened, seen):
            assert (opened.version(), len(seen.by_values)) == (1, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert ids(lake) == ["a"]
    assert lake.table_version("t") == 1
    write(lake, ("0", ("b",), "2"))
    assert lake.state("t", place("0")).fingerprint == "2" * 15


def test_a_table_made_anew_is_not_taken_for_the_old_one(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    write(lake, ("0", ("a",), "1"))
    assert lake.state("t", place("0")).num_rows == 1
    shutil.rmtree(tmp_path / "t")
    assert not lake.exists("t")
    assert lake.states("t") == []
    write(lake, ("0", ("b", "c"), "2"))
    assert lake.state("t", place("0")).fingerprint == "2" * 15
