"""What is kept of a removed document: that it was there, and enough to recognise its text.

Output `removal_tombstones`:

| column | what |
|---|---|
| id, source, shard | as in its tables; neither repository nor path |
| how | how it was covered, see `coverage.py` |
| request | the request that named it; empty for copies and children |
| digests | SHA-256 of its content, raw and redacted |
| num_runs, runs | how many runs of words its text has, and a fourth of them (see `runs.py`) |

It is written while the text is still stored, and rows are only ever added. So the proof of absence
does not depend on `raw`, from which a purge takes the document too. Children have no runs: their
own text may be what any generator writes.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from tritter_assets.lake import Lake
from tritter_assets.lake.removals import append_rows
from tritter_assets.lineage.coverage import Coverage
from tritter_assets.lineage.runs import kept_runs

TOMBSTONES_TABLE = "removal_tombstones"
TOMBSTONE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("how", pa.string(), nullable=False),
        pa.field("request", pa.string(), nullable=False),
        pa.field("digests", pa.list_(pa.string()), nullable=False),
        pa.field("num_runs", pa.int64(), nullable=False),
        pa.field("runs", pa.list_(pa.int64()), nullable=False),
    ]
)

_TEXTS_AT_ONCE = 512


def read_tombstones(lake: Lake) -> pl.DataFrame:
    """Returns the tombstones, one per id, sorted; of several the one with the most runs."""
    if not lake.exists(TOMBSTONES_TABLE):
        return pl.DataFrame(schema=pl.Schema(TOMBSTONE_SCHEMA))
    rows = lake.scan(TOMBSTONES_TABLE).select(TOMBSTONE_SCHEMA.names).collect()
    return rows.sort("id", pl.col("runs").list.len()).unique("id", keep="last").sort("id")


def entomb(lake: Lake, covered: Coverage) -> int:
    """Writes the tombstones that are missing and returns how many."""
    missing = covered.documents.join(read_tombstones(lake).select("id"), on="id", how="anti")
    if missing.is_empty():
        return 0
    whole = covered.whole.join(missing.select("id"), on="id", how="semi")
    texts = {"id": pl.String(), "num_runs": pl.Int64(), "runs": pl.List(pl.Int64)}
    runs = pl.concat([pl.DataFrame(schema=texts), *_runs(lake, whole)])
    rows = missing.join(runs, on="id", how="left", maintain_order="left").with_columns(
        pl.col("num_runs").fill_null(0),
        pl.col("runs").fill_null([]),
        pl.col("request").fill_null(""),
    )
    table = rows.select(TOMBSTONE_SCHEMA.names).to_arrow().cast(TOMBSTONE_SCHEMA)
    append_rows(lake, TOMBSTONES_TABLE, table)
    return rows.height


def _runs(lake: Lake, documents: pl.DataFrame) -> Iterator[pl.DataFrame]:
    places = documents.partition_by("table", "source", "shard", as_dict=True, maintain_order=True)
    for (table, _, shard), rows in places.items():
        wanted = pl.col("id").is_in(rows["id"].implode())
        stored = lake.scan(str(table)).filter((pl.col("shard") == shard) & wanted)
        texts = stored.select("id", "content").collect(engine="streaming").unique("id").sort("id")
        for part in texts.iter_slices(_TEXTS_AT_ONCE):
            kept, counts = kept_runs(part["content"].to_arrow())
            yield pl.DataFrame(
                {"id": part["id"], "num_runs": counts, "runs": kept},
                schema={"id": pl.String(), "num_runs": pl.Int64(), "runs": pl.List(pl.Int64)},
            )
