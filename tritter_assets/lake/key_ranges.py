"""Tables cut into files by ranges of one key, so that a change rewrites only the files it touches.

The files of such a table are disjoint in the key: each Parquet footer says from where to where.
A change names keys; the file in whose range a key lies is read, its rows of the dropped keys give
way to the new ones, and the file is written anew (split when it has grown to twice its size). All
of it is one commit: the table is never seen half changed, and no reader needs to know.

Cost: linear in the rows of the touched files. Keys that are hashes touch at random, so once a
change has more keys than the table has files, all of it is rewritten (about 1 us a row).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from tritter_assets.lake.fingerprint import ContentHash
from tritter_assets.lake.partition_writer import PartitionWriter

RANGE_ROWS = 1 << 16
"""Rows of a file when it is cut: 3 to 6 MB of an index."""


@dataclass(slots=True)
class RangeChange:
    """What a change does to the files of a table, and the content hash that results."""

    content: ContentHash
    actions: list[AddAction | RemoveAction] = field(default_factory=list)
    files_read: int = 0
    bytes_written: int = 0


class KeyRanges:
    """The files of one table, seen at one version.

    Args:
        filesystem: The table's folder.
        table: Its name, for messages.
        schema: Its full schema.
        key: The column whose ranges the files hold.
        order: Columns that rows are sorted by; starts with the key.
        files: Path and size in bytes of each file.
    """

    def __init__(
        self,
        filesystem: Any,
        table: str,
        schema: pa.Schema,
        *,
        order: Sequence[str],
        files: Sequence[tuple[str, int]],
    ) -> None:
        self._filesystem = filesystem
        self._table = table
        self._schema = schema
        self._order = list(order)
        self._key = order[0]
        self._files = list(files)

    def replace_all(self, rows: pl.DataFrame) -> RangeChange:
        """Puts `rows` in place of everything."""
        change = RangeChange(ContentHash())
        for path, size in self._files:
            change.actions.append(remove_action(path, size))
        self._write(rows, change)
        return change

    def replace_keys(
        self, dropped: pl.Series, rows: pl.DataFrame, content: ContentHash
    ) -> RangeChange:
        """Puts `rows` in place of all rows whose key is among `dropped` or is one of theirs.

        Args:
            dropped: Keys whose rows go.
            rows: Rows that come.
            content: The content hash of the table before.
        """
        change = RangeChange(content)
        if not self._files:
            self._write(rows, change)
            return change
        lows, paths = self._lows()
        gone = pl.concat([dropped.cast(pl.String), rows[self._key]]).unique().sort()
        targets = _target(lows, gone)
        coming = _target(lows, rows[self._key])
        for number in np.unique(targets).tolist():
            path, size = paths[number]
            old = self._read(path)
            change.files_read += 1
            here = gone.filter(pl.Series(targets == number))
            staying = old.filter(~pl.col(self._key).is_in(here.implode()))
            joining = rows.filter(pl.Series(coming == number)).select(old.columns)
            new = pl.concat([staying, joining]).sort(self._order)
            if new.equals(old):
                continue
            for batch in old.to_arrow().cast(self._schema).to_batches():
                change.content.remove(batch)
            change.actions.append(remove_action(path, size))
            self._write(new, change)
        return change

    def _lows(self) -> tuple[pl.Series, list[tuple[str, int]]]:
        """Returns the least key of each file, ascending, and the files in that order."""
        found = []
        for path, size in self._files:
            with self._filesystem.open_input_file(path) as file:
                footer = pq.ParquetFile(file).metadata
            column = footer.schema.names.index(self._key)
            lows = [
                footer.row_group(group).column(column).statistics.min
                for group in range(footer.num_row_groups)
            ]
            found.append((min(lows), path, size))
        found.sort()
        return pl.Series([low for low, _, _ in found], dtype=pl.String), [f[1:] for f in found]

    def _read(self, path: str) -> pl.DataFrame:
        with self._filesystem.open_input_file(path) as file:
            read = pq.ParquetFile(file).read()
        return cast("pl.DataFrame", pl.from_arrow(read)).select(self._schema.names)

    def _write(self, rows: pl.DataFrame, change: RangeChange) -> None:
        for piece in self._pieces(rows):
            writer = PartitionWriter(self._filesystem, self._schema, {}, self._table)
            for batch in piece.to_arrow().to_batches():
                for conformed in writer.conform(batch):
                    change.content.update(conformed)
                    writer.add(conformed)
            added = writer.finish()
            change.bytes_written += sum(action.size for action in added)
            change.actions.extend(added)

    def _pieces(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Cuts sorted rows into files; a key never lies in two."""
        rows = rows.sort(self._order)
        while rows.height > 2 * RANGE_ROWS:
            starts = rows[self._key].rle_id()
            end = int(cast("int", starts.search_sorted(starts[RANGE_ROWS], "left")))
            if end == 0:  # one key fills the file: it ends where the next begins
                end = int(cast("int", starts.search_sorted(starts[0], "right")))
            yield rows[:end]
            rows = rows[end:]
        if rows.height:
            yield rows


def _target(lows: pl.Series, keys: pl.Series) -> np.ndarray:
    found = lows.search_sorted(keys, "right")
    return np.maximum(np.asarray(found, dtype=np.int64) - 1, 0)


def remove_action(path: str, size: int, partition: Mapping[str, str] | None = None) -> RemoveAction:
    """Returns the action that takes a data file out of a table."""
    return RemoveAction(path, True, int(time.time() * 1000), size, dict(partition or {}))
