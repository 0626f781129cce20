"""Shards of derived tables: made when stale, emptied when their source leaves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import MissingProvenance
from tritter_assets.functions.shards import empty_left_sources, left_shards, stale_shards
from tritter_assets.lake import Lake, fingerprint_of

SCHEMA = pa.schema([("id", pa.string()), ("source", pa.string()), ("shard", pa.string())])
TABLE = "functions/python"
MADE_FROM = fingerprint_of("test")


def _write(lake: Lake, table: str, source: str) -> None:
    row = pa.RecordBatch.from_pylist([{"id": "a", "source": source, "shard": "000"}], schema=SCHEMA)
    partition = {"source": source, "shard": "000"}
    if table.startswith("filtered/"):
        partition = {"shard": "000"}
    lake.write(table, [row], SCHEMA, fingerprint=MADE_FROM, partition=partition)


def test_rows_of_a_source_that_left_go_and_others_stay(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    assert empty_left_sources(lake, TABLE, SCHEMA, {"kept"}) == ()  # there is no table yet
    _write(lake, TABLE, "kept")
    _write(lake, TABLE, "gone")
    assert left_shards(lake, TABLE, {"kept"}) == [{"source": "gone", "shard": "000"}]
    assert empty_left_sources(lake, TABLE, SCHEMA, {"kept"}) == ("gone",)
    assert lake.scan(TABLE).collect()["source"].to_list() == ["kept"]
    assert empty_left_sources(lake, TABLE, SCHEMA, {"kept"}) == ()


def test_only_stale_shards_come_and_unfiltered_ones_are_named(tmp_path: Path) -> None:
    lake, counts = Lake.at(tmp_path), Counter[str]()
    inputs = [ShardInput(source=source, shard="000", priority=1) for source in ("old", "new")]
    for source in ("old", "new"):
        _write(lake, f"filtered/{source}", source)
    _write(lake, TABLE, "old")
    stale = list(stale_shards(lake, TABLE, inputs, lambda _: MADE_FROM, counts))
    assert [shard.item.source for shard in stale] == ["new"]
    assert counts == {"fresh": 1}
    absent = [ShardInput(source="absent", shard="000", priority=1)]
    with pytest.raises(MissingProvenance, match="filtered/absent has no shard '000'"):
        list(stale_shards(lake, TABLE, absent, lambda _: MADE_FROM, counts))
