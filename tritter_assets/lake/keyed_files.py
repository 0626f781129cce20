"""Tables changed by key: rows go by deletion vectors, rows come in new files, files merge in tiers.

A change names keys. The rows that these have are looked up (`key_places.py`) and marked as gone in
the deletion vectors of their files; the new rows become one file. When four files hold about the
same number of rows they are put together into one, and a file of which a quarter is gone is
written again, so a row is written once per fourfold growth, and about four times more for the
garbage around it. Files need not be disjoint in the key. All of a change is one commit that any
reader of Delta tables understands.

Cost: linear in the rows that change, with a look into each file (of which there are few). Where
deletion vectors cannot be committed, a file that loses a row is written again at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from tritter_assets.lake.fingerprint import ContentHash
from tritter_assets.lake.key_places import KeyPlaces, PlaceFiles, key_hashes, places_of
from tritter_assets.lake.partition_writer import PartitionWriter

FILE_ROWS = 1 << 16
"""Rows of a file when it is cut, 3 to 6 MB of an index; one of half as many merges no more."""

MAX_GARBAGE = 0.25
_MERGED_AT_ONCE = 4
_NOTHING_GONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A data file of the table as the log has it; `gone` are the rows of its deletion vector."""

    path: str
    size_bytes: int
    num_rows: int
    stats: str
    gone: np.ndarray


@dataclass(slots=True)
class KeyChange:
    """What a change does to the files of a table, and the content hash that results."""

    content: ContentHash
    added: list[AddAction] = field(default_factory=list)
    removed: list[StoredFile] = field(default_factory=list)
    reduced: list[tuple[StoredFile, np.ndarray]] = field(default_factory=list)
    """Files that stay with more rows gone, and all the rows gone from them now."""


@dataclass(slots=True)
class _Held:
    """A file while a change is worked out."""

    file: StoredFile
    gone: np.ndarray

    @property
    def num_living(self) -> int:
        return self.file.num_rows - len(self.gone)

    @property
    def num_fresh(self) -> int:
        """Rows that this change takes out."""
        return len(self.gone) - len(self.file.gone)


class KeyedFiles:
    """The files of one table, seen at one version.

    Args:
        filesystem: The table's folder.
        table: Its name, for messages.
        schema: Its full schema.
        order: Columns that the rows of a file are sorted by; the first is the key.
        files: The files.
        places: Folder of `KeyPlaces`.
        max_garbage: Share of a file that may be gone before it is written again.
    """

    def __init__(
        self,
        filesystem: Any,
        table: str,
        schema: pa.Schema,
        *,
        order: Sequence[str],
        files: Sequence[StoredFile],
        places: Path,
        max_garbage: float,
    ) -> None:
        self._filesystem = filesystem
        self._table = table
        self._schema = schema
        self._order = list(order)
        self._key = order[0]
        self._files = list(files)
        self._places = PlaceFiles(places)
        self._max_garbage = max_garbage

    def replace_all(self, rows: pl.DataFrame) -> KeyChange:
        """Puts `rows` in place of everything."""
        change = KeyChange(ContentHash(), removed=self._files)
        coming = self._conformed(rows)
        places = places_of(coming, self._key)
        change.content.shift(coming.height, places.total(slice(None)))
        self._write(coming, change)
        self._places.sweep(action.path for action in change.added)
        return change

    def replace_keys(
        self, dropped: pl.Series, rows: pl.DataFrame, content: ContentHash
    ) -> KeyChange:
        """Puts `rows` in place of all rows whose key is among `dropped` or is one of theirs.

        Args:
            dropped: Keys whose rows go.
            rows: Rows that come.
            content: The content hash of the table before.
        """
        change = KeyChange(content)
        coming = self._conformed(rows)
        keys = pl.concat([dropped.cast(pl.String), coming[self._key]]).unique()
        gone = np.unique(key_hashes(keys))
        looked_up = []
        for file in self._files:
            places = self._places.load(file.path) or self._make_places(file)
            found = places.find(gone)
            living = ~np.isin(places.rows[found], file.gone)
            looked_up.append((file, places, found[living]))
        new = places_of(coming, self._key)
        same = _unchanged([(p, found) for _, p, found in looked_up], new)
        held = []
        for file, places, every in looked_up:
            found = every[~np.isin(places.keys[every], same)]
            change.content.shift(-len(found), places.total(found))
            held.append(_Held(file, np.union1d(file.gone, places.rows[found])))
        differing = np.flatnonzero(~np.isin(new.keys, same))
        change.content.shift(len(differing), new.total(differing))
        coming = coming[np.sort(new.rows[differing])]
        self._settle(held, coming, change)
        gone_files = {file.path for file in change.removed}
        kept = [file.path for file in self._files if file.path not in gone_files]
        self._places.sweep([*kept, *(action.path for action in change.added)])
        return change

    def _settle(self, held: list[_Held], rows: pl.DataFrame, change: KeyChange) -> None:
        """Decides which files are written again together with the rows that come."""
        absorbed = [item for item in held if item.num_fresh and self._is_garbage(item)]
        staying = [item for item in held if item not in absorbed]
        size = rows.height + sum(item.num_living for item in absorbed)
        while 0 < size < FILE_ROWS // 2:
            peers = [item for item in staying if _tier(item.num_living) <= _tier(size)]
            if len(peers) < _MERGED_AT_ONCE - 1:
                break
            absorbed += peers
            staying = [item for item in staying if item not in peers]
            size += sum(item.num_living for item in peers)
        self._write(pl.concat([rows, *(self._read(item) for item in absorbed)]), change)
        change.removed = [item.file for item in absorbed]
        change.reduced = [(item.file, item.gone) for item in staying if item.num_fresh]

    def _is_garbage(self, item: _Held) -> bool:
        return len(item.gone) > self._max_garbage * item.file.num_rows

    def _read(self, item: _Held) -> pl.DataFrame:
        """Returns the rows of a file that are not gone."""
        if not item.num_living:
            return pl.DataFrame(self._schema.empty_table())
        with self._filesystem.open_input_file(item.file.path) as file:
            read = pq.ParquetFile(file).read().select(self._schema.names).cast(self._schema)
        living = np.ones(read.num_rows, dtype=np.bool_)
        living[item.gone] = False
        return pl.DataFrame(read).filter(pl.Series(living))

    def _make_places(self, file: StoredFile) -> KeyPlaces:
        places = places_of(self._read(_Held(file, _NOTHING_GONE)), self._key)
        self._places.keep(file.path, places)
        return places

    def _conformed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Returns rows as they will be read back, in their order."""
        conform = PartitionWriter(self._filesystem, self._schema, {}, self._table).conform
        batches = [part for batch in rows.to_arrow().to_batches() for part in conform(batch)]
        return pl.DataFrame(pa.Table.from_batches(batches, self._schema)).sort(self._order)

    def _write(self, rows: pl.DataFrame, change: KeyChange) -> None:
        for piece in _pieces(rows.sort(self._order)):
            writer = PartitionWriter(self._filesystem, self._schema, {}, self._table)
            for batch in piece.to_arrow().cast(self._schema).to_batches():
                writer.add(batch)
            added = writer.finish()
            self._places.keep(added[0].path, places_of(piece, self._key))
            change.added += added


def _unchanged(old: list[tuple[KeyPlaces, np.ndarray]], new: KeyPlaces) -> np.ndarray:
    """Returns the keys whose rows are the same before and after, by their hashes."""
    before = _by_key([places.frame(found) for places, found in old])
    after = _by_key([new.frame(slice(None))])
    return before.join(after, on=before.columns, how="semi")["key"].to_numpy()


def _by_key(frames: list[pl.DataFrame]) -> pl.DataFrame:
    every = pl.concat([pl.DataFrame(schema=KeyPlaces.FRAME), *frames])
    return every.group_by("key").agg(pl.len(), pl.col("first").sum(), pl.col("second").sum())


def _pieces(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cuts rows into files."""
    start = 0
    while rows.height - start > 2 * FILE_ROWS:
        yield rows[start : start + FILE_ROWS]
        start += FILE_ROWS
    if start < rows.height:
        yield rows[start:]


def _tier(num_rows: int) -> int:
    return max(num_rows, 1).bit_length() // 2
