"""Marks checkpoints that saw documents which were removed afterwards; unlearning is not claimed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from tritter_assets.lake import Lake
from tritter_assets.lake.removals import append_rows
from tritter_assets.lineage.checkpoints import Exposure

MARKS_TABLE = "removal_marks"
MARK_SCHEMA = pa.schema(
    [
        pa.field("asset", pa.string(), nullable=False),
        pa.field("data_version", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),
        pa.field("through", pa.list_(pa.string()), nullable=False),
        pa.field("requested_at", pa.string(), nullable=False),
    ]
)
"""Checkpoints that saw removed documents. A row outlives the checkpoint: it names the data version,
so a retrained model of the same asset key is not marked. `requested_at` is the newest request's."""

CONTAINS_REMOVED = "contains_removed"
MAY_CONTAIN_REMOVED = "may_contain_removed"

_CHECKPOINT = ("asset", "data_version")


def mark_checkpoints(lake: Lake, seen: Sequence[Exposure], requested_at: str) -> None:
    """Adds what is new of these exposures; a mark is never taken back."""
    rows = pl.DataFrame(
        [
            {
                "asset": exposure.asset,
                "data_version": exposure.data_version,
                "status": CONTAINS_REMOVED if exposure.through else MAY_CONTAIN_REMOVED,
                "num_documents": exposure.num_documents,
                "through": list(exposure.through),
                "requested_at": requested_at,
            }
            for exposure in seen
        ],
        schema=pl.Schema(MARK_SCHEMA),
    )
    said = [name for name in MARK_SCHEMA.names if name != "requested_at"]
    new = rows.join(marks(lake).select(said), on=said, how="anti")
    if not new.is_empty():
        append_rows(lake, MARKS_TABLE, new.to_arrow().cast(MARK_SCHEMA))


def marks(lake: Lake) -> pl.DataFrame:
    """Returns the marked checkpoints (columns of `MARK_SCHEMA`), one row each, by asset."""
    if not lake.exists(MARKS_TABLE):
        return pl.DataFrame(schema=pl.Schema(MARK_SCHEMA))
    rows = lake.scan(MARKS_TABLE).select(MARK_SCHEMA.names).collect()
    worst = (pl.col("status") == CONTAINS_REMOVED, "num_documents", "requested_at")
    return rows.sort(*_CHECKPOINT, *worst).unique(_CHECKPOINT, keep="last").sort(_CHECKPOINT)
