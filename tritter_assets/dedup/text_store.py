"""The texts of an index's contents, a few in a block, so that one costs no read of a row group.

A candidate of a new document lies anywhere among all that came before. Its text in `filtered/*`
costs a file opened and a row group of 32 MB read, its text here a block of 32 KB: 0.1 ms. A text
stands for all copies of its content, and goes when the content goes. A third of the text is what
it takes on disk; what is not here is read from `filtered/*`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

_BLOCK_BYTES = 32 << 10
_LEVEL = 1
"""Of zstd: 3 takes a tenth more time, and saves a twentieth."""


@dataclass(slots=True)
class _Block:
    """Texts gathered for one block."""

    contents: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    size: int = 0


class TextStore:
    """Texts in the database of a cache, within its transaction.

    Args:
        connection: The database, with the tables `text_places` and `text_blocks`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._codec = pa.Codec("zstd", _LEVEL)

    def keep(self, texts: Iterable[tuple[int, str]]) -> None:
        """Takes contents and their texts; a content that is there already keeps its text."""
        block = _Block()
        for content, text in texts:
            block.contents.append(content)
            block.texts.append(text.encode())
            block.size += len(block.texts[-1])
            if block.size >= _BLOCK_BYTES:
                self._write(block)
                block = _Block()
        if block.contents:
            self._write(block)

    def _write(self, block: _Block) -> None:
        number = self._connection.execute(
            "INSERT INTO text_blocks (packed) VALUES (?)", (self._packed(b"".join(block.texts)),)
        ).lastrowid
        start, rows = 0, []
        for content, text in zip(block.contents, block.texts, strict=True):
            rows.append((content, number, start, len(text)))
            start += len(text)
        self._connection.executemany("INSERT OR IGNORE INTO text_places VALUES (?, ?, ?, ?)", rows)

    def drop(self, contents: pl.Series) -> None:
        """Takes texts out; where they stood in their blocks there are zeros."""
        for number, here in self._places(contents).items():
            data = bytearray(self._data(number))
            for _, start, size in here:
                data[start : start + size] = bytes(size)
            self._connection.execute(
                "UPDATE text_blocks SET packed = ? WHERE number = ?",
                (self._packed(bytes(data)), number),
            )
            gone = [(content,) for content, _, _ in here]
            self._connection.executemany("DELETE FROM text_places WHERE content = ?", gone)

    def read(self, contents: pl.Series) -> Iterator[tuple[int, str]]:
        """Yields the contents that have a text here, with their texts, block by block."""
        for number, here in sorted(self._places(contents).items()):
            data = self._data(number)
            for content, start, size in sorted(here, key=lambda place: place[1]):
                yield content, data[start : start + size].decode()

    def _places(self, contents: pl.Series) -> dict[int, list[tuple[int, int, int]]]:
        found: dict[int, list[tuple[int, int, int]]] = {}
        for content in contents.unique().sort().to_list():
            row = self._connection.execute(
                "SELECT block, start, size FROM text_places WHERE content = ?", (content,)
            ).fetchone()
            if row is not None:
                found.setdefault(row[0], []).append((content, row[1], row[2]))
        return found

    def _packed(self, data: bytes) -> bytes:
        return len(data).to_bytes(8, "little") + self._codec.compress(data, asbytes=True)

    def _data(self, number: int) -> bytes:
        (packed,) = self._connection.execute(
            "SELECT packed FROM text_blocks WHERE number = ?", (number,)
        ).fetchone()
        size = int.from_bytes(packed[:8], "little")
        return self._codec.decompress(packed[8:], size, asbytes=True)
