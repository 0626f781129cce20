"""What the catalogue shows of a duplicate index, as Markdown: sizes, losses, sources, clusters."""

from __future__ import annotations

import polars as pl

from tritter_assets.compliance.plots import as_markdown_image, bar_plot, heat_map, line_plot
from tritter_assets.compliance.retention import BANDS
from tritter_assets.dedup.index import SEMANTIC_INDEX
from tritter_assets.dedup.license_family import families_of
from tritter_assets.dedup.removal_curve import (
    MEASURED_DOCUMENTS,
    SEMANTIC_CURVE,
    USUAL_SHARE,
    describe,
    shares,
)
from tritter_assets.dedup.stats import (
    LOST_SOURCE_SHARE,
    cluster_sizes,
    conflicts,
    largest_sources,
    retention_by_source,
    source_matrix,
    stage_retention,
)
from tritter_assets.dedup.top_clusters import largest_clusters
from tritter_assets.defs.cluster_view import cell, cluster_view
from tritter_assets.defs.shards import signed_shards
from tritter_assets.defs.stage import Platform
from tritter_assets.lake import Lake

_STEPS = ("exact", "near", "semantic")
_HEAT_MAP_SOURCES = 16
_LISTED_SOURCES = 30
_LISTED_CONFLICTS = 8


def dedup_report(platform: Platform, table: str, *, excerpts: bool = True) -> str | None:
    """Returns the report of `dedup/<step>_index`; None when it was never made.

    Args:
        platform: For the lake, the policy and the sources.
        table: An index.
        excerpts: Whether the report may quote documents, in a diff of two members of a cluster.
    """
    lake, catalog = platform.lake, platform.catalog
    if not lake.exists(table):
        return None
    if table == SEMANTIC_INDEX and not _is_on(lake):
        return (
            "Semantic deduplication is off. `semantic_enabled: true` in "
            f"`data_contracts/profiles/{catalog.profile.name}.yaml` turns it on; its first run "
            "reports what each `semantic_epsilon` would remove."
        )
    retention = retention_by_source(lake, signed_shards(platform))
    parts = [_curve(lake, catalog.profile.semantic_epsilon)] if table == SEMANTIC_INDEX else []
    parts += ["### Kept, step by step", _steps(lake, retention)]
    parts += ["### Kept, by source", _sources(retention)]
    sizes = cluster_sizes(lake, table)
    if sizes.is_empty():
        return "\n\n".join([*parts, "No cluster: no document compared is a duplicate of another."])
    parts += ["### Cluster sizes", _sizes(sizes, table)]
    matrix = source_matrix(lake, table)
    if matrix.height:
        parts += ["### Duplicates between sources", _matrix(matrix, table)]
    clashes = conflicts(lake, table)
    if clashes.height:
        parts += ["### Quarantined: duplicates under licences of different families"]
        parts += [_conflicts(clashes)]
    parts += ["### Largest clusters"]
    families = families_of(catalog.policy, catalog.profile.use_profile)
    views = largest_clusters(lake, table, families=families)
    parts += [cluster_view(view, excerpts=excerpts) for view in views]
    return "\n\n".join(parts)


def _is_on(lake: Lake) -> bool:
    state = lake.state(SEMANTIC_CURVE)
    return state is not None and state.num_rows > 0


def _curve(lake: Lake, epsilon: float) -> str:
    curve = lake.scan(SEMANTIC_CURVE).collect().sort("epsilon")
    measured, compared = curve.select("measured", "compared").row(0)
    points = [(at, 100 * share) for at, share in shares(curve)]
    png = line_plot(
        {"removed": points},
        title="Documents that each epsilon removes (green: what SemDeDup is expected to remove)",
        x="epsilon (a cosine of 1 - epsilon or more to a document that stays)",
        y="% of documents compared",
        band=(100 * USUAL_SHARE[0], 100 * USUAL_SHARE[1]),
        mark=next((at, share, f"{at:g}: {share:.1f} %") for at, share in points if at == epsilon),
    )
    said = describe(curve, epsilon)
    on = (
        f"all {compared:,} documents that the exact and near index keep"
        if measured == compared
        else f"{measured:,} of the {compared:,} documents that the exact and near index keep: "
        f"whole clusters, drawn until there were {MEASURED_DOCUMENTS:,}"
    )
    table = [
        "| epsilon | removed | documents |",
        "|---|---|---|",
        *(
            f"| {f'**{at:g}** (profile)' if at == epsilon else f'{at:g}'} | {share:.1f}% "
            f"| {removed:,} |"
            for (at, share), removed in zip(points, curve["removed"], strict=True)
        ),
    ]
    return "\n\n".join(
        [
            "### What each epsilon removes",
            f"{said[0].upper()}{said[1:]}. `semantic_epsilon` in the profile sets it.",
            as_markdown_image(png, "share removed by epsilon"),
            f"Measured on {on}.",
            "\n".join(table),
        ]
    )


def _steps(lake: Lake, retention: pl.DataFrame) -> str:
    bands = {b.group: (b.low, b.high) for b in BANDS if b.low is not None and b.high is not None}
    kept = stage_retention(retention)
    made = [
        s for s in _STEPS if lake.exists(f"dedup/{s}_index") and (s != "semantic" or _is_on(lake))
    ]
    lines = ["| step | kept | usual for crawled code | is |", "|---|---|---|---|"]
    for step in _STEPS:
        low, high = bands[step]
        share = kept[step]
        word = "below" if share < low else "above" if share > high else "within"
        shown = f"{share:.1%}" if step in made else "-"
        if step not in made:
            word = "off" if lake.exists(f"dedup/{step}_index") else "not made yet"
        lines.append(f"| {step} | {shown} | {low:.0%}-{high:.0%} | {word} |")
    png = bar_plot(
        {step: round(100 * kept[step], 1) for step in made},
        title="Documents kept (green: usual for crawled code)",
        unit="% of the documents that reach the step",
        bands={step: (100 * bands[step][0], 100 * bands[step][1]) for step in made},
    )
    return as_markdown_image(png, "documents kept by step") + "\n\n" + "\n".join(lines)


def _sources(retention: pl.DataFrame) -> str:
    lost = pl.col("documents") - pl.col("kept")
    ordered = retention.with_columns(lost=lost).sort(
        ["alarm", "lost", "source"], descending=[True, True, False]
    )
    lines = [
        "| source | documents | exact | near | semantic | kept | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ordered.head(_LISTED_SOURCES).iter_rows(named=True):
        alarm = f"**loses more than {LOST_SOURCE_SHARE:.0%}**" if row["alarm"] else ""
        removed = " | ".join(f"-{row[step]:,}" if row[step] else "0" for step in _STEPS)
        lines.append(
            f"| {cell(row['source'])} | {row['documents']:,} | {removed} "
            f"| {row['retention']:.1%} | {alarm} |"
        )
    rest = ordered.slice(_LISTED_SOURCES)
    if rest.height:
        total = rest.sum()
        removed = " | ".join(f"-{total[step][0]:,}" if total[step][0] else "0" for step in _STEPS)
        share = total["kept"][0] / max(total["documents"][0], 1)
        lines.append(
            f"| ... and {rest.height:,} that lose fewer | {total['documents'][0]:,} | {removed} "
            f"| {share:.1%} | |"
        )
    return "\n".join(lines)


def _sizes(sizes: pl.DataFrame, table: str) -> str:
    bars = {
        f"{low:,}" if low == high else f"{low:,} to {high:,}": float(clusters)
        for low, high, clusters, _ in sizes.iter_rows()
    }
    png = bar_plot(bars, title=f"{table}: documents in a cluster", unit="clusters")
    largest = sizes.row(-1, named=True)
    return (
        as_markdown_image(png, f"cluster sizes of {table}")
        + f"\n\n{sizes['clusters'].sum():,} clusters hold {sizes['documents'].sum():,} documents; "
        f"the largest holds {largest['high']:,}."
    )


def _matrix(matrix: pl.DataFrame, table: str) -> str:
    folded = largest_sources(matrix, _HEAT_MAP_SOURCES)
    cells = {(source, kept): float(number) for source, kept, number in folded.iter_rows()}
    png = heat_map(
        cells,
        title=f"{table}: documents dropped (on the diagonal: within one source)",
        rows="dropped from",
        columns="in favour of one in",
    )
    return as_markdown_image(png, "documents dropped, by source and by the source that keeps one")


def _conflicts(clashes: pl.DataFrame) -> str:
    lines = ["| licences pooled | clusters | documents |", "|---|---|---|"]
    for licenses, clusters, documents in clashes.head(_LISTED_CONFLICTS).iter_rows():
        lines.append(f"| {cell(licenses)} | {clusters:,} | {documents:,} |")
    rest = clashes.slice(_LISTED_CONFLICTS)
    if rest.height:
        lines.append(
            f"| ... and {rest.height:,} more combinations | {rest['clusters'].sum():,} "
            f"| {rest['documents'].sum():,} |"
        )
    return "\n".join(lines)
