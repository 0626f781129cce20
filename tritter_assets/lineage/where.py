"""Where documents are: every table and partition that holds them or something made from them.

Cost: one scan of the id columns of each table, without content; packed tables are read by their
segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import PARTITION_COLUMNS, stage_of, tables_under

DOWNSTREAM = ("filtered", "signatures", "functions", "synthetic", "dedup", "mix", "packed")
"""Stages that a removal must leave without the document."""

_DERIVING = ("functions", "synthetic")


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """One partition of one table that holds at least one of the documents asked for."""

    table: str
    partition: Mapping[str, str]
    num_rows: int
    """Rows that are, contain or were derived from one of the documents."""


def where(lake: Lake, doc_id: str) -> tuple[Location, ...]:
    """Returns every partition that holds the document or something made from it."""
    return locate(lake, [doc_id], stages=tuple(PARTITION_COLUMNS))


def locate(
    lake: Lake, ids: Iterable[str], *, stages: Sequence[str] = DOWNSTREAM
) -> tuple[Location, ...]:
    """Returns the partitions of `stages` that hold any of `ids`, in the order data flows."""
    wanted = pl.Series("id", sorted(set(ids)), dtype=pl.String)
    if wanted.is_empty():
        return ()
    found: list[Location] = []
    for stage in PARTITION_COLUMNS:
        if stage not in stages:
            continue
        for table in tables_under(lake, stage):
            found.extend(_locate_in(lake, table, wanted))
    return tuple(found)


def any_of(column: pl.Expr, ids: pl.Series) -> pl.Expr:
    """True where a list column holds one of `ids`; a null list holds none."""
    return column.list.eval(pl.element().is_in(ids.implode())).list.any().fill_null(value=False)


def segment_documents() -> pl.Expr:
    """The document ids of a packed sequence, as a list."""
    return pl.col("segments").list.eval(pl.element().struct.field("doc_id"))


def _locate_in(lake: Lake, table: str, wanted: pl.Series) -> list[Location]:
    stage = stage_of(table)
    rows = lake.scan(table)
    names = rows.collect_schema().names()
    if stage == "packed":
        rows = rows.filter(any_of(segment_documents(), wanted))
    elif "id" not in names:
        return []
    elif stage in _DERIVING:
        rows = rows.filter(
            pl.col("id").is_in(wanted.implode()) | any_of(pl.col("derived_from"), wanted)
        )
    else:
        rows = rows.filter(pl.col("id").is_in(wanted.implode()))
    partitions = [name for name in PARTITION_COLUMNS[stage] if name in names]
    if partitions:
        counts = rows.group_by(partitions).agg(pl.len().alias("num_rows")).sort(partitions)
    else:
        counts = rows.select(pl.len().alias("num_rows"))
    return [
        Location(
            table=table,
            partition={name: str(row[name]) for name in partitions},
            num_rows=row["num_rows"],
        )
        for row in counts.collect(engine="streaming").iter_rows(named=True)
        if row["num_rows"]
    ]
