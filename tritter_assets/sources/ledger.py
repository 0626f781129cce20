"""The ledger of one shard: every file or row of upstream that did not become a document, and why.

Output `skipped/<source>[shard]`:

| column | what |
|---|---|
| id | hash of source, repo, path and place; never the id of a document |
| source, shard | as in `raw/<source>` |
| repo, path, revision | of the document there would have been; empty where the row was not read |
| reason | a `SkipReason` |
| detail | where upstream has it: file and row number, blob id, or repository, revision and path |

It is written just before the raw commit, with the same fingerprint. So a run killed between the two
leaves raw as it was and stale, and running it again writes both; a ledger whose fingerprint is not
that of its raw shard is of an unfinished ingestion and is not read. A shard that never skipped
anything has no partition here. Rows that the contract itself leaves out (another split, a row
filter) are counted in the report and not listed: they are no loss. Memory: 32 MiB, then sorted
through temporary files.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from tritter_assets.lake import Lake
from tritter_assets.record import document_id
from tritter_assets.sources.loader import Skipped, SkipReason
from tritter_assets.sources.sorting import DocumentSorter

LEDGER_VERSION = "2"
"""2: rows of data files that were read and left out are listed with their place."""

LEDGER_SCHEMA = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)
        for name in ("id", "source", "shard", "repo", "path", "revision", "reason", "detail")
    ]
)
LEFT_OUT = frozenset({SkipReason.OTHER_SPLIT, SkipReason.NOT_SELECTED})
"""What the contract asks not to be read."""

_MEMORY_BYTES = 32 << 20
_BATCH_ROWS = 1024
_FRAME_SCHEMA = dict.fromkeys(LEDGER_SCHEMA.names, pl.String)


def ledger_table(source: str) -> str:
    """Returns the name of a source's ledger."""
    return f"skipped/{source}"


class SkipLedger:
    """Takes what is skipped while a shard is read, in any order, then writes it sorted by id."""

    def __init__(self, source: str, shard: str, spill: Path) -> None:
        self._source = source
        self._shard = shard
        self._sorter = DocumentSorter(spill, _MEMORY_BYTES, ())
        self._rows: list[tuple[str, ...]] = []
        self._num_rows = 0

    def add(self, skipped: Skipped) -> None:
        """Takes one skipped file or row."""
        if skipped.reason in LEFT_OUT:
            return
        repo, path = _storable(skipped.repo), _storable(skipped.path)
        where = _storable(skipped.where)
        # No content holds NUL, so no document has this id.
        row_id = document_id(self._source, repo, path, f"\0{where}")
        place = (repo, path, _storable(skipped.revision), skipped.reason.value, where)
        self._rows.append((row_id, self._source, self._shard, *place))
        self._num_rows += 1
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def write(self, lake: Lake, fingerprint: str) -> None:
        """Replaces the shard's partition of `skipped/<source>`."""
        table, partition = ledger_table(self._source), {"shard": self._shard}
        if not self._num_rows and lake.state(table, partition) is None:
            return
        self._flush()
        lake.write(
            table,
            (batch.select(LEDGER_SCHEMA.names) for batch in self._sorter.batches()),
            LEDGER_SCHEMA,
            fingerprint=fingerprint,
            partition=partition,
        )

    def close(self) -> None:
        """Removes temporary files."""
        self._sorter.close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        frame = pl.DataFrame(rows, schema=_FRAME_SCHEMA, orient="row")
        size = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in LEDGER_SCHEMA.names)
        self._sorter.add(frame.with_columns(content_bytes=size.cast(pl.Int64)))


def ledger_version(lake: Lake, source: str, shard: str) -> str:
    """Returns the data version of the ledger of a shard of raw as it stands, or an empty text."""
    partition = {"shard": shard}
    state, raw = lake.state(ledger_table(source), partition), lake.state(f"raw/{source}", partition)
    if state is None or raw is None or state.fingerprint != raw.fingerprint:
        return ""
    return state.data_version if state.num_rows else ""


def read_ledger(lake: Lake, source: str, shard: str) -> pl.DataFrame:
    """Returns the ledger of a shard of raw as it stands; empty when nothing was skipped."""
    if not ledger_version(lake, source, shard):
        return pl.DataFrame(schema=_FRAME_SCHEMA)
    rows = lake.scan(ledger_table(source)).filter(pl.col("shard") == shard)
    return rows.select(LEDGER_SCHEMA.names).sort("id").collect(engine="streaming")


def _storable(text: str | None) -> str:
    return (text or "").encode("utf-8", "backslashreplace").decode("utf-8")
