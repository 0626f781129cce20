from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tritter_assets.dedup.sorted_runs import SortedRuns
from tritter_assets.dedup.text_store import TextStore


@pytest.fixture
def store(tmp_path: Path) -> TextStore:
    connection = sqlite3.connect(tmp_path / "texts.sqlite", isolation_level=None)
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(
        "CREATE TABLE text_blocks "
        "(number INTEGER PRIMARY KEY, contents BLOB, sizes BLOB, packed BLOB)"
    )
    return TextStore(connection, SortedRuns(tmp_path / "places", [], 1 << 20))


def series(contents: list[int]) -> pl.Series:
    return pl.Series(contents, dtype=pl.Int64)


def keep(store: TextStore, texts: dict[int, str]) -> None:
    batch = pa.array(["left out", *texts.values()], pa.large_string())[1:]
    store.keep([(np.array(list(texts), dtype=np.int64), batch)])


def test_texts_of_every_kind_come_back(store: TextStore) -> None:
    texts = {-1: "", 2: "naïve 名前\0", 1 << 62: "x" * 100_000, 3: "ö" * 40_000, 4: "\n", -9: ""}
    keep(store, texts)
    read = dict(store.read(series([*texts, 77])))
    assert {content: text.decode() for content, text in read.items()} == texts
    assert store.missing(series([4, 5, -9])).to_list() == [5]


def test_nothing_to_keep_keeps_nothing(store: TextStore) -> None:
    store.keep([])
    keep(store, {})
    assert list(store.read(series([1]))) == []
    assert store.missing(series([])).is_empty()


def test_what_was_dropped_is_gone_from_the_block_and_may_come_again(
    store: TextStore, tmp_path: Path
) -> None:
    keep(store, {number: f"text {number} " * 9 for number in range(200)})
    store.drop(series([7, 8]))
    assert list(store.read(series([7, 8]))) == []
    assert len(list(store.read(series(list(range(200)))))) == 198
    assert sorted(store.missing(series([6, 7, 8]))) == [7, 8]
    keep(store, {7: "another"})
    assert list(store.read(series([7]))) == [(7, b"another")]
    store.drop(series(list(range(200))))
    assert list(store.read(series(list(range(200))))) == []


def test_places_of_what_is_gone_leave_the_runs(store: TextStore, tmp_path: Path) -> None:
    keep(store, {-5: "a", 5: "b"})
    store.drop(series([-5]))
    store.sweep(np.array([-5]))
    newest = max((tmp_path / "places").glob("*.keys"))
    keys = np.fromfile(newest, "<i8")
    assert keys.tolist() == [5]
    assert list(store.read(series([5]))) == [(5, b"b")]
