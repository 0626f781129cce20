"""Reads the text of a mix's rows, and proves that it is the text the mix was built from.

    in    rows of mix/<phase>, and the tables they name
    out   batches of document rows, in the order the tables hold them

Raises when a row is gone or its content is not what the mix recorded; leaves out, and counts, what
a removal request covers. Memory: one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.record import content_sha256
from tritter_assets.removal import covered_by

_COLUMNS = [
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "revision",
    "language",
    "modality",
    "content",
    "content_sha256",
    "content_bytes",
    "owner",
    "author_emails",
    "derived_from",
    "instruction",
    "response",
    "chosen",
    "rejected",
]
_BATCH_ROWS = 256


@dataclass(slots=True)
class ContentReader:
    """Streams content; `removed` counts the rows that removal requests took out on the way."""

    lake: Lake
    removed: int = 0
    read_bytes: int = 0
    _removals: pl.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        self._removals = read_removals(self.lake)

    def batches(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yields the document rows of `rows` (columns id, table, source, shard, content_sha256).

        Raises:
            MissingProvenance: a row is not in its table any more, or its content changed.
        """
        keys = ["table", "source", "shard"]
        for (table, source, shard), part in sorted(
            rows.select("id", *keys, "content_sha256").partition_by(keys, as_dict=True).items()
        ):
            yield from self._partition(str(table), str(source), str(shard), part)

    def _partition(
        self, table: str, source: str, shard: str, wanted: pl.DataFrame
    ) -> Iterator[pl.DataFrame]:
        expected = dict(wanted.select("id", "content_sha256").iter_rows())
        partition = {"shard": shard}
        if not table.startswith("filtered/"):
            partition = {"source": source, "shard": shard}
        for batch in self.lake.batches(
            table, partition=partition, columns=_COLUMNS, batch_rows=_BATCH_ROWS
        ):
            ids = batch.column("id").to_pylist()
            chosen = batch.filter(pa.array([doc_id in expected for doc_id in ids]))
            if not chosen.num_rows:
                continue
            frame = pl.from_arrow(chosen)
            assert isinstance(frame, pl.DataFrame)
            for doc_id, content in frame.select("id", "content").iter_rows():
                if content_sha256(content) != expected.pop(doc_id, None):
                    raise MissingProvenance(
                        f"{table}: the content of {doc_id} is not what the mix recorded: "
                        "materialise the mix again"
                    )
            if not self._removals.is_empty():
                kept = frame.filter(~covered_by(self._removals))
                self.removed += frame.height - kept.height
                frame = kept
            self.read_bytes += int(frame["content_bytes"].sum() or 0)
            if not frame.is_empty():
                yield frame.with_columns(table=pl.lit(table))
        if expected:
            raise MissingProvenance(
                f"{len(expected)} rows of the mix are not in {table} ({source}/{shard}) any more, "
                f"the first is {min(expected)}: materialise the mix again"
            )
