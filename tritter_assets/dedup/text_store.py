"""The texts of an index's contents, a few in a block, so that one costs no read of a row group.

A candidate of a new document lies anywhere among all that came before. Its text in `filtered/*`
costs a file opened and a row group of 32 MB read, its text here a block of 32 KB: 0.1 ms. A text
stands for all copies of its content, and goes when the content goes. A third of the text is what
it takes on disk; what is not here is read from `filtered/*`.

A block names its contents; sorted runs say which blocks a content may stand in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.sorted_runs import Living, SortedRuns, keys_of, without_keys
from tritter_assets.dedup.text_arrays import text_buffers

_BLOCK_BYTES = 32 << 10
_NONE = np.zeros(0, dtype=np.int64)
_LEVEL = 1
"""Of zstd: 3 takes a tenth more time, and saves a twentieth."""


class TextStore:
    """Texts in the database of a cache, within its transaction.

    Args:
        connection: The database, with the table `text_blocks`.
        places: Runs from contents to numbers of blocks.
    """

    def __init__(self, connection: sqlite3.Connection, places: SortedRuns) -> None:
        self._connection = connection
        self._places = places
        self._codec = pa.Codec("zstd", _LEVEL)

    def keep(self, batches: Iterable[tuple[np.ndarray, pa.Array]]) -> None:
        """Takes contents that have no text here, and their texts."""
        contents, numbers = [_NONE], [_NONE]
        for some, texts in batches:
            offsets, data = text_buffers(texts)
            whole = pa.py_buffer(data)
            for first, last in _blocks(offsets):
                text = whole.slice(offsets[first], offsets[last] - offsets[first])
                number = self._write(
                    None, some[first:last], np.diff(offsets[first : last + 1]), text
                )
                contents.append(some[first:last])
                numbers.append(np.full(last - first, number))
        if len(contents) > 1:
            every = np.concatenate(contents)
            self._places.add(every.view(np.uint64), np.concatenate(numbers))

    def missing(self, contents: pl.Series) -> pl.Series:
        """Returns those of the contents that have no text here."""
        held = [content for number in self._numbers(contents) for content in self._named(number)]
        return contents.filter(~contents.is_in(pl.Series(held, dtype=pl.Int64).implode()))

    def drop(self, contents: pl.Series) -> None:
        """Takes texts out: their blocks are written again without them."""
        gone = set(contents.to_list())
        for number in self._numbers(contents):
            kept = [(content, text) for content, text in self._open(number) if content not in gone]
            self._connection.execute("DELETE FROM text_blocks WHERE number = ?", (number,))
            if kept:
                named = np.array([content for content, _ in kept])
                sizes = np.array([len(text) for _, text in kept])
                self._write(number, named, sizes, b"".join(text for _, text in kept))

    def read(self, contents: pl.Series) -> Iterator[tuple[int, bytes]]:
        """Yields the contents that have a text here, with their texts in UTF-8, block by block."""
        wanted = set(contents.to_list())
        for number in self._numbers(contents):
            for content, text in self._open(number):
                if content in wanted:
                    wanted.remove(content)
                    yield content, text

    def settle(self, dead: np.ndarray) -> None:
        """Merges runs of places; of contents that are gone, some places go with it."""
        self._places.settle(_without(dead))

    def sweep(self, dead: np.ndarray) -> None:
        """Takes out all places of contents that are gone."""
        if self._places.runs and len(dead):
            self._places.merge(self._places.runs, _without(dead))

    def _numbers(self, contents: pl.Series) -> list[int]:
        """Returns the blocks that the contents may stand in: it may have left one since."""
        _, numbers = self._places.find(np.unique(keys_of(contents)))
        return np.unique(numbers).tolist()

    def _named(self, number: int) -> list[int]:
        row = self._connection.execute(
            "SELECT contents FROM text_blocks WHERE number = ?", (number,)
        ).fetchone()
        return [] if row is None else np.frombuffer(row[0], dtype="<i8").tolist()

    def _open(self, number: int) -> Iterator[tuple[int, bytes]]:
        row = self._connection.execute(
            "SELECT contents, sizes, packed FROM text_blocks WHERE number = ?", (number,)
        ).fetchone()
        if row is None:
            return
        contents, sizes = (np.frombuffer(column, dtype="<i8").tolist() for column in row[:2])
        data = self._codec.decompress(row[2], sum(sizes), asbytes=True)
        start = 0
        for content, size in zip(contents, sizes, strict=True):
            yield content, data[start : start + size]
            start += size

    def _write(
        self, number: int | None, contents: np.ndarray, sizes: np.ndarray, texts: pa.Buffer | bytes
    ) -> int:
        named = (column.astype("<i8").tobytes() for column in (contents, sizes))
        packed = self._codec.compress(texts, asbytes=True)
        row = self._connection.execute(
            "INSERT INTO text_blocks VALUES (?, ?, ?, ?)", (number, *named, packed)
        )
        return row.lastrowid or 0


def _without(dead: np.ndarray) -> Living:
    return without_keys(np.sort(dead.view(np.uint64)))


def _blocks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cuts texts into blocks, by where they begin: yields the first and the one past the last."""
    if len(offsets) > 1:
        block = (offsets[:-1] - offsets[0]) // _BLOCK_BYTES
        cuts = np.flatnonzero(np.diff(block)) + 1
        yield from pairwise([0, *cuts.tolist(), len(offsets) - 1])
