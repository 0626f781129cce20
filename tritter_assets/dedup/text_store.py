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
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.sorted_runs import Living, SortedRuns, keys_of, without_keys

_BLOCK_BYTES = 32 << 10
_LEVEL = 1
"""Of zstd: 3 takes a tenth more time, and saves a twentieth."""


@dataclass(slots=True)
class _Block:
    """Texts that stand side by side, and the contents they belong to."""

    contents: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    size_bytes: int = 0

    def put(self, content: int, text: bytes) -> None:
        self.contents.append(content)
        self.texts.append(text)
        self.size_bytes += len(text)


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

    def keep(self, texts: Iterable[tuple[int, str]]) -> None:
        """Takes contents that have no text here, and their texts."""
        contents: list[int] = []
        numbers: list[int] = []
        for block in _blocks_of(texts):
            number = self._write(None, block)
            contents += block.contents
            numbers += [number] * len(block.contents)
        if contents:
            self._places.add(keys_of(pl.Series(contents, dtype=pl.Int64)), np.array(numbers))

    def missing(self, contents: pl.Series) -> pl.Series:
        """Returns those of the contents that have no text here."""
        held = [content for number in self._numbers(contents) for content in self._named(number)]
        return contents.filter(~contents.is_in(pl.Series(held, dtype=pl.Int64).implode()))

    def drop(self, contents: pl.Series) -> None:
        """Takes texts out: their blocks are written again without them."""
        gone = set(contents.to_list())
        for number in self._numbers(contents):
            kept = _Block()
            for content, text in self._open(number):
                if content not in gone:
                    kept.put(content, text)
            self._connection.execute("DELETE FROM text_blocks WHERE number = ?", (number,))
            if kept.contents:
                self._write(number, kept)

    def read(self, contents: pl.Series) -> Iterator[tuple[int, str]]:
        """Yields the contents that have a text here, with their texts, block by block."""
        wanted = set(contents.to_list())
        for number in self._numbers(contents):
            for content, text in self._open(number):
                if content in wanted:
                    wanted.remove(content)
                    yield content, text.decode()

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

    def _write(self, number: int | None, block: _Block) -> int:
        columns = (block.contents, [len(text) for text in block.texts])
        contents, sizes = (np.array(column, dtype="<i8").tobytes() for column in columns)
        packed = self._codec.compress(b"".join(block.texts), asbytes=True)
        row = self._connection.execute(
            "INSERT INTO text_blocks VALUES (?, ?, ?, ?)", (number, contents, sizes, packed)
        )
        return row.lastrowid or 0


def _without(dead: np.ndarray) -> Living:
    return without_keys(np.sort(dead.view(np.uint64)))


def _blocks_of(texts: Iterable[tuple[int, str]]) -> Iterator[_Block]:
    block = _Block()
    for content, text in texts:
        block.put(content, text.encode())
        if block.size_bytes >= _BLOCK_BYTES:
            yield block
            block = _Block()
    if block.contents:
        yield block
