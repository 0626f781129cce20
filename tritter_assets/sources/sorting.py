"""Sorts documents by id in bounded memory, dropping repeated ids.

Ids are hashes, so they spread evenly over prefixes. While a shard fits in the budget its frames
stay in memory (their texts are shared, not copied, by the sort). Past the budget, rows move to one
Arrow file per id prefix; at the end the prefixes are read in order, sorted one by one and handed
on. So the order never depends on the budget, and peak memory is about the budget, whatever the
shard holds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import polars as pl
import pyarrow as pa

_PREFIX_DIGITS = 2
_SLICE_BYTES = 8 << 20
_MAX_SLICE_ROWS = 2048


class DocumentSorter:
    """Takes frames in any order, then gives them back sorted by `id`.

    Rows with one id have the same source, repository, path and content; the one kept is the least
    by its other `tie_break` columns, so it does not depend on the order of arrival.
    """

    def __init__(self, spill: Path, memory_limit_bytes: int, tie_break: tuple[str, ...]) -> None:
        self._folder = spill / f"sort-{uuid4().hex}"
        self._budget = memory_limit_bytes
        self._tie_break = tie_break
        self._frames: list[pl.DataFrame] = []
        self._held_bytes = 0
        self._writers: dict[str, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        self._files: dict[str, Path] = {}
        self.num_duplicates = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Takes a frame with `id` and `content_bytes`; all frames have the same columns."""
        self._frames.append(frame)
        self._held_bytes += int(frame["content_bytes"].sum())
        if self._held_bytes > self._budget:
            self._spill()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the sorted rows once, then removes the spilled files."""
        try:
            if not self._files:
                frames, self._frames = self._frames, []
                if frames:
                    yield from self._sorted(pl.concat(frames, rechunk=False))
                return
            self._spill()
            for sink, writer in self._writers.values():
                writer.close()
                sink.close()
            for prefix in sorted(self._files):
                with pa.OSFile(str(self._files[prefix]), "rb") as source:
                    rows = pl.from_arrow(pa.ipc.open_stream(source).read_all())
                assert isinstance(rows, pl.DataFrame)
                self._files[prefix].unlink()
                yield from self._sorted(rows)
        finally:
            self.close()

    def close(self) -> None:
        """Removes spilled files."""
        for sink, _ in self._writers.values():
            sink.close()
        self._writers = {}
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sorted(self, rows: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        keys = rows.select("id", *self._tie_break, "content_bytes").with_row_index("row")
        keys = keys.sort("id", *self._tie_break, "row", nulls_last=True)
        unique = keys.unique("id", keep="first", maintain_order=True)
        self.num_duplicates += keys.height - unique.height
        ordered = rows[unique["row"]]  # at once: of many frames, slice by slice costs 4 times that
        start = 0
        while start < ordered.height:
            sizes = ordered["content_bytes"].slice(start, _MAX_SLICE_ROWS).cum_sum()
            count = max(1, int((sizes <= _SLICE_BYTES).sum()))
            chosen = ordered.slice(start, count)
            yield from chosen.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()
            start += count

    def _spill(self) -> None:
        frames, self._frames, self._held_bytes = self._frames, [], 0
        if not frames:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for frame in frames:
            prefixed = frame.with_columns(pl.col("id").str.head(_PREFIX_DIGITS).alias("_prefix"))
            for (prefix,), part in prefixed.partition_by(
                "_prefix", as_dict=True, include_key=False
            ).items():
                self._write(str(prefix), part)

    def _write(self, prefix: str, part: pl.DataFrame) -> None:
        table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        if prefix not in self._writers:
            self._files[prefix] = self._folder / f"{prefix}.arrow"
            sink = pa.OSFile(str(self._files[prefix]), "wb")
            self._writers[prefix] = (sink, pa.ipc.new_stream(sink, table.schema))
        self._writers[prefix][1].write_table(table)
