"""Pictures for asset metadata, drawn from stored tables when an asset is materialised."""

from __future__ import annotations

import polars as pl

from tritter_assets.compliance.plots import as_markdown_image, bar_plot, line_plot
from tritter_assets.defs.stage import Platform


def dedup_plot(platform: Platform, table: str) -> str | None:
    """Cluster sizes of a duplicate index."""
    if not platform.lake.exists(table):
        return None
    sizes = (
        platform.lake.scan(table)
        .select("cluster_id", "cluster_size")
        .unique()
        .group_by("cluster_size")
        .len()
        .sort("cluster_size")
        .head(20)
        .collect()
    )
    if sizes.is_empty():
        return None
    bars = {f"{size} documents": float(count) for size, count in sizes.iter_rows()}
    png = bar_plot(bars, title=f"{table}: cluster sizes", unit="clusters")
    return as_markdown_image(png, f"cluster sizes of {table}")


def mix_plot(platform: Platform, phase: str) -> str | None:
    """Estimated tokens by component of a mix."""
    tokens = (
        platform.lake.scan(f"mix/{phase}")
        .group_by("component")
        .agg(tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum())
        .sort("tokens", descending=True)
        .collect()
    )
    if tokens.is_empty():
        return None
    bars = {str(name): float(count) for name, count in tokens.iter_rows()}
    png = bar_plot(bars, title=f"mix/{phase}: estimated tokens by component", unit="tokens")
    return as_markdown_image(png, f"tokens by component of {phase}")
