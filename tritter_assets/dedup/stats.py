"""Figures for plots and checks, made from the index tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tritter_assets.dedup.index import INDEXES, ShardInput, signature_states
from tritter_assets.lake import Lake
from tritter_assets.verdict import Action, Reason

LOST_SOURCE_SHARE = 0.9
"""A source that loses more than this share of its documents is more likely a fault than a copy."""


def cluster_sizes(lake: Lake, index: str) -> pl.DataFrame:
    """Returns how many clusters an index has of each size, in groups that double.

    Columns low, high (smallest and largest size in the group), clusters, documents; groups are
    2, 3, 4, 5-8, 9-16, ..., ascending, and those without a cluster are left out.
    """
    group = ((pl.col("size") - 1).log(2) + 1e-9).floor()  # never a power of two short
    return (
        lake.scan(index)
        .group_by("cluster_id")
        .agg(size=pl.col("cluster_size").first().cast(pl.Int64))
        .group_by(group=pl.when(pl.col("size") < 4).then(pl.col("size") / 4).otherwise(group))
        .agg(
            low=pl.col("size").min(),
            high=pl.col("size").max(),
            clusters=pl.len(),
            documents=pl.col("size").sum(),
        )
        .sort("low")
        .drop("group")
        .collect(engine="streaming")
    )


def source_matrix(lake: Lake, index: str) -> pl.DataFrame:
    """Returns documents of one source that fell for a document of another (or the same).

    Columns source, kept_source, documents: the cells of a heat map.
    """
    rows = lake.scan(index).select("id", "source", "kept_id", "action")
    kept = rows.select(kept_id="id", kept_source="source").unique("kept_id")
    return (
        rows.filter(pl.col("action") == Action.DROP)
        .join(kept, on="kept_id", how="left")
        .group_by("source", "kept_source")
        .agg(documents=pl.len())
        .sort("source", "kept_source")
        .collect()
    )


def largest_sources(matrix: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Returns a `source_matrix` in which all but the `limit` sources of most cells are one.

    They are named `(12 other sources)`; a hundred names on each side could not be read.
    """
    sides = [
        matrix.select(name=column, documents="documents") for column in ("source", "kept_source")
    ]
    totals = pl.concat(sides).group_by("name").agg(pl.col("documents").sum())
    order = totals.sort(["documents", "name"], descending=[True, False])["name"]
    if len(order) <= limit + 1:
        return matrix
    named, others = order.head(limit), f"({len(order) - limit} other sources)"
    folded = (
        pl.when(pl.col(column).is_in(named.implode()))
        .then(pl.col(column))
        .otherwise(pl.lit(others))
        .alias(column)
        for column in ("source", "kept_source")
    )
    return (
        matrix.with_columns(*folded)
        .group_by("source", "kept_source")
        .agg(pl.col("documents").sum())
        .sort("source", "kept_source")
    )


def retention_by_source(lake: Lake, inputs: Sequence[ShardInput]) -> pl.DataFrame:
    """Returns what each source keeps after each index.

    Columns source, documents, exact, near, semantic (documents lost to that index and to none
    before it; a quarantine counts with the index that found it), kept, retention, alarm.
    """
    totals: dict[str, int] = {}
    for (source, _), state in signature_states(lake, inputs).items():
        totals[source] = totals.get(source, 0) + state.num_rows
    frame = pl.DataFrame(
        {"source": list(totals), "documents": list(totals.values())},
        schema={"source": pl.String, "documents": pl.Int64},
    )
    lost = [pl.LazyFrame(schema={"id": pl.String, "source": pl.String, "index": pl.String})]
    for index in INDEXES:
        if lake.exists(index):
            gone = lake.scan(index).filter(pl.col("action") != Action.KEEP)
            name = index.removeprefix("dedup/").removesuffix("_index")
            lost.append(gone.select("id", "source", index=pl.lit(name)))
    first = pl.concat(lost).unique("id", keep="first", maintain_order=True).collect()
    for name in ("exact", "near", "semantic"):
        counts = first.filter(pl.col("index") == name).group_by("source").agg(pl.len().alias(name))
        frame = frame.join(counts, on="source", how="left").with_columns(
            pl.col(name).fill_null(0).cast(pl.Int64)
        )
    kept = pl.col("documents") - pl.col("exact") - pl.col("near") - pl.col("semantic")
    return (
        frame.with_columns(kept=kept)
        .with_columns(retention=pl.col("kept") / pl.col("documents").clip(lower_bound=1))
        .with_columns(
            alarm=(pl.col("documents") > 0) & (pl.col("retention") < 1 - LOST_SOURCE_SHARE)
        )
        .sort("source")
    )


def stage_retention(retention: pl.DataFrame) -> Mapping[str, float]:
    """Returns the share of documents that each index keeps of those that reach it."""
    remaining = int(retention["documents"].sum())
    shares: dict[str, float] = {}
    for name in ("exact", "near", "semantic"):
        lost = int(retention[name].sum())
        shares[name] = (remaining - lost) / remaining if remaining else 1.0
        remaining -= lost
    return shares


def conflicts(lake: Lake, index: str) -> pl.DataFrame:
    """Returns which licences met on the same content: columns licenses, clusters, documents.

    One row per set of pooled licences, most documents first; documents are those quarantined.
    """
    return (
        lake.scan(index)
        .filter(pl.col("reason") == Reason.CLUSTER_LICENSE_CONFLICT)
        .group_by(licenses=pl.col("licenses").list.join(", "))
        .agg(clusters=pl.col("cluster_id").n_unique(), documents=pl.len())
        .sort(["documents", "licenses"], descending=[True, False])
        .collect(engine="streaming")
    )
