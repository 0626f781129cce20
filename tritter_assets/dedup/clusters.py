"""From documents and verified pairs of contents to index rows.

A node of the graph is a content (documents that are equal once normalised), not a document: a
file that stands in 10,000 repositories is one node, and costs no pairs with itself. The first
document of a content stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from tritter_assets.dedup.components import solve
from tritter_assets.dedup.index import INDEX_SCHEMA, SURVIVAL_ORDER, IndexReport
from tritter_assets.dedup.license_family import LicenseFamilies, index_families
from tritter_assets.errors import LakeCorruption
from tritter_assets.verdict import Action, Reason

DOCUMENT_COLUMNS = ("repo", "path", "license_concluded", "content_sha256", "normalized_sha256")
"""What clustering needs of a signature besides id, source, shard and priority."""


def cluster_rows(
    documents: pl.DataFrame,
    pairs: pl.DataFrame,
    *,
    match: str,
    reason: Reason,
    families: LicenseFamilies | None = None,
) -> pl.DataFrame:
    """Clusters documents and decides which of them stay.

    A content whose documents are concluded under more than one licence family, and both ends of a
    pair that joins two families, are quarantined. Everything else follows the survival order.

    Args:
        documents: `DOCUMENT_COLUMNS`, id, source, shard, priority and `content` (int64).
        pairs: Columns left, right (contents), score: at or above the threshold.
        match: What a pair stands for: `near` or `semantic`.
        reason: Reason of a document dropped through a pair.
        families: Of the policy; without one, those of the SPDX index.

    Returns:
        Rows of `INDEX_SCHEMA`, ordered by (cluster_id, id).
    """
    if documents.is_empty():
        return pl.DataFrame(INDEX_SCHEMA.empty_table())
    documents = documents.sort(*SURVIVAL_ORDER, "shard").unique(
        "id", keep="first", maintain_order=True
    )
    bits = family_bits(documents["license_concluded"], families or index_families())
    documents = documents.with_columns(family=bits)
    contents = (
        documents.group_by("content", maintain_order=True)
        .agg(
            first_id=pl.col("id").first(),
            first_sha256=pl.col("content_sha256").first(),
            families=pl.col("family").unique().sum(),
            num_digests=pl.col("normalized_sha256").n_unique(),
        )
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )
    _refuse_collisions(contents)
    numbers = contents.select("content", "node")
    joined = pairs.join(numbers.rename({"content": "left", "node": "a"}), on="left").join(
        numbers.rename({"content": "right", "node": "b"}), on="right"
    )
    a, b = joined["a"].to_numpy(), joined["b"].to_numpy()
    excluded = quarantined(contents["families"].to_numpy(), a, b)
    solved = solve(contents.height, a, b, joined["score"].to_numpy(), excluded)
    contents = contents.with_columns(
        component=pl.Series(solved.component),
        excluded=pl.Series(excluded),
        kept_for=pl.when(pl.Series(solved.kept_by >= 0)).then(
            contents["first_id"].gather(np.maximum(solved.kept_by, 0))
        ),
        similarity=pl.Series(solved.score),
    )
    return _rows(documents.join(contents, on="content", maintain_order="left"), match, reason)


def _rows(members: pl.DataFrame, match: str, reason: Reason) -> pl.DataFrame:
    first = pl.col("id") == pl.col("first_id")
    fallen = pl.col("kept_for").is_not_null()
    quarantined = pl.col("excluded")
    alone = pl.col("node").n_unique().over("component") == 1
    copy_match = (
        pl.when(pl.col("content_sha256") == pl.col("first_sha256"))
        .then(pl.lit("content"))
        .otherwise(pl.lit("normalized"))
    )
    stays = ~quarantined & ~fallen & first
    clustered = (
        members.with_columns(
            cluster_id=pl.col("id").min().over("component"),
            cluster_size=pl.len().over("component").cast(pl.Int32),
        )
        .filter(pl.col("cluster_size") > 1)
        .with_columns(
            survivor=stays,
            kept_id=pl.when(quarantined)
            .then(None)
            .when(fallen)
            .then(pl.col("kept_for"))
            .otherwise(pl.col("first_id")),
            score=pl.when(quarantined | stays)
            .then(None)
            .when(fallen)
            .then(pl.col("similarity"))
            .otherwise(1.0)
            .cast(pl.Float32),
            match=pl.when(alone | (~fallen & ~first))
            .then(copy_match)
            .when(stays & (pl.col("node") != pl.col("component")))
            .then(pl.lit("transitive"))
            .otherwise(pl.lit(match)),
            action=pl.when(quarantined)
            .then(pl.lit(Action.QUARANTINE.value))
            .when(stays)
            .then(pl.lit(Action.KEEP.value))
            .otherwise(pl.lit(Action.DROP.value)),
            reason=pl.when(quarantined)
            .then(pl.lit(Reason.CLUSTER_LICENSE_CONFLICT.value))
            .when(stays)
            .then(pl.lit(Reason.PASSED.value))
            .when(fallen)
            .then(pl.lit(reason.value))
            .otherwise(pl.lit(Reason.EXACT_DUPLICATE.value)),
        )
    )
    pooled = clustered.group_by("cluster_id").agg(
        licenses=pl.col("license_concluded").unique().sort()
    )
    return (
        clustered.join(pooled, on="cluster_id").select(INDEX_SCHEMA.names).sort("cluster_id", "id")
    )


def report_of(
    index: str,
    rows: pl.DataFrame,
    num_documents: int,
    details: Mapping[str, int | float | str],
) -> IndexReport:
    """Counts the rows of an index."""
    dropped = rows.filter(pl.col("action") == Action.DROP)
    by_source = dropped.group_by("source").len().sort("source")
    return IndexReport(
        index=index,
        num_documents=num_documents,
        num_clusters=rows["cluster_id"].n_unique(),
        num_members=rows.height,
        num_dropped=dropped.height,
        num_quarantined=rows.filter(pl.col("action") == Action.QUARANTINE).height,
        dropped_by_source=dict(by_source.iter_rows()),
        details=details,
    )


def family_bits(expressions: pl.Series, families: LicenseFamilies) -> pl.Series:
    """Returns each licence as one bit of its family."""
    distinct = expressions.unique().to_list()
    values = [1 << families.of(expression) for expression in distinct]
    return expressions.replace_strict(distinct, values, return_dtype=pl.Int64)


def quarantined(bits: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns which contents stay nowhere: under two families, or close to one of another.

    Args:
        bits: The families of each content.
        left: One end of each pair.
        right: The other end.
    """
    excluded = _mixed(bits)
    conflict = _mixed(bits[left] | bits[right])
    excluded[left[conflict]] = True
    excluded[right[conflict]] = True
    return excluded


def _mixed(families: np.ndarray) -> np.ndarray:
    """True where more than one bit is set."""
    return (families & (families - 1)) != 0


def _refuse_collisions(contents: pl.DataFrame) -> None:
    collided = contents.filter(pl.col("num_digests") > 1)
    if collided.height:
        raise LakeCorruption(
            f"two different contents share the 64-bit key {collided['content'][0]} (one is of "
            f"document {collided['first_id'][0]}): drop one of them by a removal request"
        )
