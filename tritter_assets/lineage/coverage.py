"""Which documents a set of removal requests covers: those named, their copies, and their children.

| `how` | meaning |
|---|---|
| named | the request's repository, owner, author, hash or id matches the row |
| exact_copy | the same content elsewhere (SHA-256, or the exact index after normalisation) |
| near_copy | a verified near duplicate of a named document |
| derived | a function or synthetic row made from any of the above |

Copies are taken one step from a named document, never through another copy: a chain of pairwise
similar files may end far from where it began. Cost: one scan of the key columns of each document
table, without content.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.lineage.where import any_of
from tritter_assets.removal import covered_by

MIN_COPY_BYTES = 32
"""Shorter contents (empty files, one-line markers) are nobody's expression; they are matched by
name, never as copies."""

NEAR_PAIRS = "dedup/near_pairs"
EXACT_INDEX = "dedup/exact_index"

_KEYS = (
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "revision",
    "content_sha256",
    "content_bytes",
    "owner",
    "author_emails",
    "derived_from",
)
_KEPT = ("id", "table", "source", "shard", "repo", "path", "content_sha256", "content_bytes", "how")


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The documents that requests cover, one row per id, sorted by id."""

    documents: pl.DataFrame
    """Columns id, table, source, shard, repo, path, content_sha256, content_bytes, how."""

    @property
    def ids(self) -> pl.Series:
        """The ids, sorted."""
        return self.documents["id"]

    @property
    def whole(self) -> pl.DataFrame:
        """The documents that are not derived from others, and long enough to be compared.

        A function that many repositories share is nobody's alone: derived rows follow their
        parents, and their own text is not looked for elsewhere.
        """
        return _whole(self.documents)

    def counts(self) -> dict[str, int]:
        """Number of documents by `how`."""
        grouped = self.documents.group_by("how").len().sort("how")
        return {str(how): int(number) for how, number in grouped.iter_rows()}


def coverage(lake: Lake, removals: pl.DataFrame) -> Coverage:
    """Returns every document the requests cover, from what the lake holds now."""
    if removals.is_empty():
        return Coverage(documents=_empty())
    found = _named(lake, removals)
    for how, more in (
        ("exact_copy", _exact_copies(lake, found)),
        ("near_copy", _near_copies(lake, found)),
    ):
        found = _join(found, more.with_columns(pl.lit(how).alias("how")))
    while True:
        children = _children(lake, found).with_columns(pl.lit("derived").alias("how"))
        grown = _join(found, children)
        if grown.height == found.height:
            return Coverage(documents=grown.sort("id"))
        found = grown


def _empty() -> pl.DataFrame:
    types = dict.fromkeys(_KEPT, pl.String) | {"content_bytes": pl.Int64}
    return pl.DataFrame(schema=types)


def _join(found: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([found, more.select(_KEPT)]).unique("id", keep="first", maintain_order=True)


def _select(lake: Lake, table: str, condition: pl.Expr) -> pl.DataFrame:
    rows = lake.scan(table).select(_KEYS).filter(condition)
    named = rows.with_columns(pl.lit(table).alias("table"))
    return named.select(column for column in _KEPT if column != "how").collect(engine="streaming")


def _over(lake: Lake, stages: tuple[str, ...], condition: pl.Expr) -> pl.DataFrame:
    frames = [
        _select(lake, table, condition) for stage in stages for table in tables_under(lake, stage)
    ]
    if not frames:
        return _empty().drop("how")
    return pl.concat(frames).sort("id", "table").unique("id", keep="first", maintain_order=True)


def _named(lake: Lake, removals: pl.DataFrame) -> pl.DataFrame:
    rows = _over(lake, DOCUMENT_STAGES, covered_by(removals))
    how = pl.when(_is_derived()).then(pl.lit("derived")).otherwise(pl.lit("named"))
    return rows.with_columns(how.alias("how")).select(_KEPT)


def _is_derived() -> pl.Expr:
    return pl.col("table").str.starts_with("functions/") | pl.col("table").str.starts_with(
        "synthetic/"
    )


def _whole(documents: pl.DataFrame) -> pl.DataFrame:
    return documents.filter(~_is_derived() & (pl.col("content_bytes") >= MIN_COPY_BYTES))


def _exact_copies(lake: Lake, found: pl.DataFrame) -> pl.DataFrame:
    large = _whole(found)
    digests = large["content_sha256"].unique().sort()
    ids = _cluster_mates(lake, EXACT_INDEX, large["id"])
    same = pl.col("content_sha256").is_in(digests.implode()) | pl.col("id").is_in(ids.implode())
    rows = _over(lake, ("raw", "filtered"), same & (pl.col("content_bytes") >= MIN_COPY_BYTES))
    return rows.join(found.select("id"), on="id", how="anti")


def _near_copies(lake: Lake, found: pl.DataFrame) -> pl.DataFrame:
    ids = near_mates(lake, _named_ids(found))["id"].unique().sort()
    if ids.is_empty():
        return _empty().drop("how")
    return _over(lake, ("raw", "filtered"), pl.col("id").is_in(ids.implode()))


def _named_ids(found: pl.DataFrame) -> pl.Series:
    return found.filter(pl.col("how") == "named")["id"]


def near_mates(lake: Lake, ids: pl.Series) -> pl.DataFrame:
    """Returns verified near duplicates of `ids`: columns id, of, score (Jaccard).

    The pair table names contents by their smallest document id, and ties further documents of one
    content to that id; so a document's mates are the documents of every content paired with its
    own.
    """
    if not lake.exists(NEAR_PAIRS) or ids.is_empty():
        return pl.DataFrame(schema={"id": pl.String, "of": pl.String, "score": pl.Float32})
    pairs = lake.scan(NEAR_PAIRS)
    members = pl.concat(
        [
            pairs.select(id="id_a", content="content_a"),
            pairs.select(id="id_b", content="content_b"),
        ]
    ).unique()
    mine = members.filter(pl.col("id").is_in(ids.implode())).rename({"id": "of"})
    links = pl.concat(
        [
            pairs.select(content="content_a", other="content_b", score="jaccard"),
            pairs.select(content="content_b", other="content_a", score="jaccard"),
        ]
    ).unique()
    near = mine.join(links, on="content").join(members, left_on="other", right_on="content")
    return (
        near.filter(pl.col("id") != pl.col("of"))
        .select("id", "of", "score")
        .unique(["id", "of"])
        .sort("id", "of")
        .collect(engine="streaming")
    )


def _cluster_mates(lake: Lake, index: str, ids: pl.Series) -> pl.Series:
    if not lake.exists(index) or ids.is_empty():
        return pl.Series("id", [], dtype=pl.String)
    members = lake.scan(index).select("id", "cluster_id")
    clusters = members.filter(pl.col("id").is_in(ids.implode())).select("cluster_id").unique()
    return members.join(clusters, on="cluster_id", how="semi").select("id").collect()["id"].sort()


def _children(lake: Lake, found: pl.DataFrame) -> pl.DataFrame:
    return _over(lake, ("functions", "synthetic"), any_of(pl.col("derived_from"), found["id"]))
