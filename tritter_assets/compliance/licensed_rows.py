"""Licence facts of stored rows, grouped: what the audit, its diff and the other reports count.

A table of a billion rows has a few thousand distinct combinations of licence facts, so everything
here is a group-by over the columns of `AXES` and the policy judges combinations, not rows. Content
is never read. Joins run in the streaming engine, one origin table at a time; the ids and facts of
one origin table are what has to fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import FACTS, admit_frame
from tritter_assets.lineage.inventory import DOCUMENT_STAGES

AXES = ("source", *FACTS)

EXAMPLES = 10
"""Example rows kept for each licence and action."""

NO_MORE: Mapping[str, pl.Expr] = MappingProxyType({})
"""No axes but `AXES`."""

_PROVENANCE = ("repo", "path", "revision")


def document_groups(
    lake: Lake, table: str, shards: Sequence[str] = (), *, also: Mapping[str, pl.Expr] = NO_MORE
) -> pl.DataFrame:
    """Groups a document table: `AXES`, table, rows, bytes, examples (ids), unproven.

    `unproven` counts rows without repository, path or revision.

    Args:
        lake: The stored tables.
        table: The document table.
        shards: Only these; all when empty.
        also: Further axes: name -> expression over document columns.
    """
    unproven = pl.any_horizontal(pl.col(name).str.len_bytes() == 0 for name in _PROVENANCE)
    rows = lake.scan(table)
    if shards:
        rows = rows.filter(pl.col("shard").is_in(list(shards)))
    groups = (
        rows.with_columns(**also)
        .group_by(*AXES, *also)
        .agg(
            rows=pl.len().cast(pl.Int64),
            bytes=pl.col("content_bytes").sum(),
            unproven=unproven.sum().cast(pl.Int64),
            examples=pl.col("id").bottom_k(EXAMPLES),
        )
        .with_columns(table=pl.lit(table))
    )
    return groups.collect(engine="streaming").sort(*AXES, *also)


def mix_references(lake: Lake, table: str) -> pl.LazyFrame:
    """The rows of `mix/<phase>` as references: id, table, source, shard, tokens, stated.

    `tokens` counts every epoch; `stated` is the licence the mix recorded.
    """
    return lake.scan(table).select(
        "id",
        "table",
        "source",
        "shard",
        tokens=pl.col("estimated_tokens") * pl.col("epochs"),
        stated="license_concluded",
    )


def packed_references(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The documents of packed sequences as references; `tokens` are those packed."""
    segments = rows.select(pl.col("segments").explode()).unnest("segments")
    length = (pl.col("token_end") - pl.col("token_start")).cast(pl.Int64)
    return (
        segments.group_by("doc_id", "table", "source", "shard")
        .agg(tokens=length.sum())
        .select(
            pl.col("doc_id").alias("id"),
            "table",
            "source",
            "shard",
            "tokens",
            stated=pl.lit(None, dtype=pl.String),
        )
    )


def seen_references(seen: pl.DataFrame) -> pl.LazyFrame:
    """The documents a checkpoint read as references; `tokens` are those read, repeats counted."""
    return (
        seen.lazy()
        .group_by("doc_id", "table", "source", "shard")
        .agg(pl.col("tokens").sum())
        .select(
            pl.col("doc_id").alias("id"),
            "table",
            "source",
            "shard",
            "tokens",
            stated=pl.lit(None, dtype=pl.String),
        )
    )


def reference_groups(
    lake: Lake, references: pl.LazyFrame, *, also: Mapping[str, pl.Expr] = NO_MORE
) -> pl.DataFrame:
    """Groups references by the licence facts of the stored rows they point to.

    Args:
        lake: The stored tables.
        references: Columns id, table, source, shard, tokens, stated.
        also: Further axes: name -> expression over document columns.

    Returns:
        `AXES`, table, found, differs (the mix recorded another licence than the row has now),
        rows, bytes, tokens, unproven, examples. A reference whose row is not in the lake has
        `found` false and no facts.
    """
    tables = references.select(pl.col("table").unique().sort()).collect()["table"].to_list()
    frames = [
        _join(lake, references.filter(pl.col("table") == table), table, also).collect(
            engine="streaming"
        )
        for table in tables
    ]
    if not frames:
        return pl.DataFrame(schema=_GROUP_TYPES | dict.fromkeys(also, pl.Null))
    grouped = pl.concat(frames, how="vertical_relaxed")
    return grouped.sort("table", *AXES, *also, "found", "differs")


_GROUP_TYPES: dict[str, type[pl.DataType] | pl.DataType] = {
    **dict.fromkeys(AXES, pl.String),
    "license_confidence": pl.Float32,
    "found": pl.Boolean,
    "differs": pl.Boolean,
    "rows": pl.Int64,
    "bytes": pl.Int64,
    "tokens": pl.Int64,
    "unproven": pl.Int64,
    "examples": pl.List(pl.String),
    "table": pl.String,
}


def _join(
    lake: Lake, references: pl.LazyFrame, table: str, also: Mapping[str, pl.Expr]
) -> pl.LazyFrame:
    if _holds_documents(lake, table):
        facts = (
            lake.scan(table)
            .with_columns(**also, found=pl.lit(value=True))
            .select("id", "source", *FACTS, *_PROVENANCE, "content_bytes", *also, "found")
        )
    else:
        facts = pl.LazyFrame(
            schema={
                "id": pl.String,
                **{name: _GROUP_TYPES[name] for name in AXES},
                **dict.fromkeys(_PROVENANCE, pl.String),
                "content_bytes": pl.Int64,
                **dict.fromkeys(also, pl.Null),
                "found": pl.Boolean,
            }
        )
    unproven = pl.any_horizontal(pl.col(name).str.len_bytes() == 0 for name in _PROVENANCE)
    return (
        references.join(facts, on=["id", "source"], how="left")
        .with_columns(
            found=pl.col("found").fill_null(value=False),
            differs=(pl.col("stated") != pl.col("license_concluded")).fill_null(value=False),
        )
        .group_by(*AXES, *also, "found", "differs")
        .agg(
            rows=pl.len().cast(pl.Int64),
            bytes=pl.col("content_bytes").sum(),
            tokens=pl.col("tokens").sum(),
            unproven=unproven.fill_null(value=False).sum().cast(pl.Int64),
            examples=pl.col("id").bottom_k(EXAMPLES),
        )
        .with_columns(table=pl.lit(table))
    )


def judged(groups: pl.DataFrame, policy: Policy, use_profile: str) -> pl.DataFrame:
    """Adds action, reason, obligations, chosen and warnings; a row not found is refused."""
    numbered = groups.with_row_index("number").with_columns(id=pl.col("number").cast(pl.String))
    present = pl.col("license_concluded").is_not_null()
    verdicts = admit_frame(numbered.filter(present), policy, use_profile)
    joined = numbered.join(
        verdicts.select(
            "id",
            pl.col("action").cast(pl.String),
            pl.col("reason").cast(pl.String),
            "obligations",
            "chosen",
            "warnings",
        ),
        on="id",
        how="left",
        maintain_order="left",
    )
    return joined.drop("id", "number").with_columns(
        pl.col("action").fill_null("drop"), pl.col("reason").fill_null("provenance_missing")
    )


def examples_of(lake: Lake, groups: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Yields up to `EXAMPLES` rows, with their evidence, for each licence and action."""
    ids = groups.filter(pl.col("found")) if "found" in groups.columns else groups
    listed = (
        ids.select("table", "license_concluded", "action", "reason", pl.col("examples"))
        .explode("examples")
        .rename({"examples": "id"})
        .drop_nulls("id")
        .sort("license_concluded", "action", "id")
        .group_by("license_concluded", "action", maintain_order=True)
        .head(EXAMPLES)
    )
    rows = _with_evidence(lake, listed)
    if not rows.is_empty():
        order = ["license_concluded", "action", "id"]
        yield from rows.drop_nulls("source").sort(order).iter_rows(named=True)


def few_examples(
    lake: Lake, groups: pl.DataFrame, *, shards: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Returns up to `EXAMPLES` rows with their evidence, of as many licences as can be.

    Args:
        lake: The stored tables.
        groups: Judged groups; those that are not admitted come first.
        shards: Where to look for the rows; everywhere when empty.
    """
    licence = ("license_concluded", "action", "reason")
    listed = (
        groups.select("table", *licence, pl.col("examples"))
        .explode("examples")
        .rename({"examples": "id"})
        .drop_nulls("id")
        .sort(*licence, "id")
        .with_columns(turn=pl.int_range(pl.len()).over(licence))
        .sort(pl.col("action") == "keep", "turn", *licence, "id")
        .head(EXAMPLES)
        .drop("turn")
    )
    order = {row: place for place, row in enumerate(listed["id"])}
    rows = _with_evidence(lake, listed, shards).to_dicts()
    return sorted(rows, key=lambda row: order[row["id"]])


_EVIDENCE = (
    "id",
    "source",
    "repo",
    "path",
    "revision",
    "url",
    "license_declared",
    "license_wrapper",
    "access_terms",
    "generator",
    "license_method",
    "license_confidence",
    "license_evidence",
)


def _with_evidence(lake: Lake, wanted: pl.DataFrame, shards: Sequence[str] = ()) -> pl.DataFrame:
    """Adds the stored facts of rows; those of a row that is not stored stay null."""
    parts = [wanted.drop("table").clear()]
    for (table,), rows in wanted.group_by("table", maintain_order=True):
        listed = rows.drop("table")
        if _holds_documents(lake, str(table)):
            within = pl.col("shard").is_in(list(shards)) if shards else pl.lit(value=True)
            stored = (
                lake.scan(str(table))
                .filter(within, pl.col("id").is_in(rows["id"].implode()))
                .select(_EVIDENCE)
                .collect()
            )
            listed = listed.join(stored, on="id", how="left", maintain_order="left")
        parts.append(listed)
    return pl.concat(parts, how="diagonal_relaxed")


def _holds_documents(lake: Lake, table: str) -> bool:
    return table.split("/", 1)[0] in DOCUMENT_STAGES and lake.exists(table)
