"""Gathers documents into frames of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.sources.loader import Limits

FILLED_BY_INGEST = frozenset(
    {"id", "source", "shard", "content_sha256", "content_bytes", "license_concluded",
     "license_method", "license_confidence", "license_evidence", "license_wrapper",
     "access_terms", "attribution"}
)  # fmt: skip


LOADER_SCHEMA: dict[str, pl.DataType] = {
    # Not through an empty frame: that conversion brings pandas into every load.
    name: kind
    for name, kind in pl.Schema(DOCUMENT_SCHEMA).items()
    if name not in FILLED_BY_INGEST
}
"""Columns that a loader may fill, with their Polars types."""


def gather_frames(rows: Iterator[dict[str, Any]], limits: Limits) -> Iterator[pl.DataFrame]:
    """Turns rows into frames of at most `frame_rows` rows and about `frame_bytes` of content."""
    pending: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        pending.append(row)
        size += len(row["content"])
        if size >= limits.frame_bytes or len(pending) >= limits.frame_rows:
            yield to_frame(pending)
            pending, size = [], 0
    if pending:
        yield to_frame(pending)


def to_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Makes one frame; columns that no row names are left out."""
    names = {name for row in rows for name in row}
    schema = {name: kind for name, kind in LOADER_SCHEMA.items() if name in names}
    unknown = names - set(schema)
    if unknown:
        raise ValueError(f"not document columns a loader may fill: {sorted(unknown)}")
    return pl.DataFrame(rows, schema=schema, strict=True)
