"""What the catalogue shows of a duplicate index, as Markdown: sizes, losses, sources, clusters."""

from __future__ import annotations

import re

import polars as pl

from tritter_assets.compliance.plots import as_markdown_image, bar_plot, heat_map
from tritter_assets.compliance.retention import BANDS
from tritter_assets.dedup.stats import (
    LOST_SOURCE_SHARE,
    cluster_size_histogram,
    retention_by_source,
    source_matrix,
    stage_retention,
)
from tritter_assets.dedup.top_clusters import ClusterView, largest_clusters
from tritter_assets.defs.shards import signed_shards
from tritter_assets.defs.stage import Platform

_STEPS = ("exact", "near", "semantic")
_BARS = 12


def dedup_report(platform: Platform, table: str, *, excerpts: bool = True) -> str | None:
    """Returns the report of `dedup/<step>_index`; None when the index holds no cluster.

    Args:
        platform: For the lake and the sources.
        table: An index.
        excerpts: Whether the report may quote documents, in a diff of two members of a cluster.
    """
    lake = platform.lake
    if not lake.exists(table):
        return None
    sizes = cluster_size_histogram(lake, table)
    if sizes.is_empty():
        return None
    retention = retention_by_source(lake, signed_shards(platform))
    parts = [
        _size_plot(sizes, table),
        "### Kept, step by step\n\n" + _steps(retention),
        "### Kept, by source\n\n" + _sources(retention),
    ]
    matrix = source_matrix(lake, table)
    if matrix.height:
        cells = {(source, kept): float(number) for source, kept, number in matrix.iter_rows()}
        png = heat_map(
            cells, title=f"{table}: documents dropped", rows="dropped from", columns="for one of"
        )
        parts.append("### Duplicates between sources\n\n" + as_markdown_image(png, "duplicates"))
    parts.append("### Largest clusters")
    parts.extend(_cluster(view, excerpts=excerpts) for view in largest_clusters(lake, table))
    return "\n\n".join(parts)


def _size_plot(sizes: pl.DataFrame, table: str) -> str:
    bars = {f"{size} documents": float(n) for size, n in sizes.head(_BARS).iter_rows()}
    rest = sizes.slice(_BARS)
    if rest.height:
        bars[f"{rest['cluster_size'][0]} to {rest['cluster_size'][-1]}"] = float(
            rest["clusters"].sum()
        )
    png = bar_plot(bars, title=f"{table}: cluster sizes", unit="clusters")
    return as_markdown_image(png, f"cluster sizes of {table}")


def _steps(retention: pl.DataFrame) -> str:
    bands = {band.group: (band.low, band.high) for band in BANDS}
    lines = ["| step | kept | usual for crawled code | |", "|---|---|---|---|"]
    for step, share in stage_retention(retention).items():
        low, high = bands[step]
        assert low is not None
        assert high is not None
        word = "below" if share < low else "above" if share > high else "within"
        lines.append(f"| {step} | {share:.1%} | {low:.0%}-{high:.0%} | {word} |")
    return "\n".join(lines)


def _sources(retention: pl.DataFrame) -> str:
    lines = [
        "| source | documents | exact | near | semantic | kept | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in retention.iter_rows(named=True):
        alarm = f"**loses more than {LOST_SOURCE_SHARE:.0%}**" if row["alarm"] else ""
        lost = " | ".join(f"-{row[step]:,}" if row[step] else "0" for step in _STEPS)
        lines.append(
            f"| {_cell(row['source'])} | {row['documents']:,} | {lost} "
            f"| {row['retention']:.1%} | {alarm} |"
        )
    return "\n".join(lines)


def _cluster(view: ClusterView, *, excerpts: bool = True) -> str:
    licenses = ", ".join(view.licenses) or "none concluded"
    lines = [
        f"**{view.size:,} documents** (`{view.cluster_id[:12]}`), licences pooled: {licenses}",
        "",
        "| member | licence | | joined by | similarity |",
        "|---|---|---|---|---|",
    ]
    for row in view.members.iter_rows(named=True):
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        cells = (row["place"], row["license"], row["action"], row["match"], score)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if view.size > view.members.height:
        lines.append(f"| ... and {view.size - view.members.height:,} more | | | | |")
    if view.diff and not excerpts:
        lines += ["", "Two members differ; no excerpt is shown (TRITTER_EXCERPTS=off)."]
    elif view.diff:
        left, right = view.differ
        fence = _fence(view.diff)
        lines += ["", f"`-` {_cell(left)}  ", f"`+` {_cell(right)}", ""]
        lines += [f"{fence}diff", view.diff, fence]
    elif view.differ[0]:
        lines += ["", "The two members compared are equal line by line."]
    return "\n".join(lines)


def _cell(text: str | None) -> str:
    """Escapes what would end a cell of a Markdown table or start markup in it."""
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", (text or "-").replace("\n", " "))


def _fence(text: str) -> str:
    """Returns a fence longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)
