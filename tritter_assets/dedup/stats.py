"""Figures for plots and checks, made from the index tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tritter_assets.dedup.index import INDEXES, ShardInput, signature_states
from tritter_assets.lake import Lake
from tritter_assets.verdict import Action, Reason

LOST_SOURCE_SHARE = 0.9
"""A source that loses more than this share of its documents is more likely a fault than a copy."""


def cluster_size_histogram(lake: Lake, index: str) -> pl.DataFrame:
    """Returns how many clusters an index has of each size: columns cluster_size, clusters."""
    return (
        lake.scan(index)
        .select("cluster_id", "cluster_size")
        .unique()
        .group_by("cluster_size")
        .agg(clusters=pl.len())
        .sort("cluster_size")
        .collect()
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
    """Returns clusters with quarantined members: columns cluster_id, documents, licenses."""
    return (
        lake.scan(index)
        .filter(pl.col("reason") == Reason.CLUSTER_LICENSE_CONFLICT)
        .group_by("cluster_id")
        .agg(documents=pl.len(), licenses=pl.col("licenses").first())
        .sort("cluster_id")
        .collect()
    )
