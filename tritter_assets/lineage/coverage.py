"""Which documents a set of removal requests covers: those named, their copies, and their children.

| `how` | meaning |
|---|---|
| named | the request's repository, owner, author, hash or id matches the row |
| exact_copy | the same content elsewhere (SHA-256, or the exact index after normalisation) |
| near_copy | a verified near duplicate of a named document |
| derived | a function or synthetic row made from any of the above |

Copies are taken one step from a named document, never through another copy: a chain of pairwise
similar files may end far from where it began. Rows that follow from a request, and those of the
policy's list (see `removal.py`), cover what they match and its children. Cost: one scan of the key
columns of each document table, without content.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.lineage.where import any_of
from tritter_assets.removal import RemovalKind, covered_by, covers_alone

MIN_COPY_BYTES = 32
"""Shorter contents (empty files, one-line markers) are nobody's expression; they are matched by
name, never as copies."""

NEAR_PAIRS = "dedup/near_pairs"
EXACT_INDEX = "dedup/exact_index"

_MATCHED = (
    "id",
    "repo",
    "revision",
    "content_sha256",
    "owner",
    "author_emails",
    "derived_from",
)
"""What `covered_by` reads of a row."""

_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "table": pl.String(),
        "source": pl.String(),
        "shard": pl.String(),
        "repo": pl.String(),
        "path": pl.String(),
        "content_sha256": pl.String(),
        "content_bytes": pl.Int64(),
        "digests": pl.List(pl.String),
        "request": pl.String(),
        "how": pl.String(),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The documents that requests cover, one row per id, sorted by id."""

    documents: pl.DataFrame
    """Columns id, table, source, shard, repo, path, content_sha256, content_bytes, digests (of the
    content in each table that holds it: a redacted text has another), request (that named it; null
    for copies and children), how."""

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
        return Coverage(documents=pl.DataFrame(schema=_SCHEMA))
    asked = removals.filter(~covers_alone())
    named = _named(lake, asked)
    found = named
    for how, more in (
        ("exact_copy", _exact_copies(lake, named)),
        ("near_copy", _near_copies(lake, named)),
        *_alone(lake, removals.filter(covers_alone())),
    ):
        found = _join(found, more, how)
    while True:
        grown = _join(found, _children(lake, found), "derived")
        if grown.height == found.height:
            return Coverage(documents=grown.sort("id"))
        found = grown


def _join(found: pl.DataFrame, more: pl.DataFrame, how: str) -> pl.DataFrame:
    said = more.with_columns(
        how=pl.when(_is_derived()).then(pl.lit("derived")).otherwise(pl.lit(how)),
        request=pl.lit(None, pl.String),
    )
    added = said.select(list(_SCHEMA))
    return pl.concat([found, added]).unique("id", keep="first", maintain_order=True)


def _over(lake: Lake, stages: tuple[str, ...], condition: pl.Expr) -> pl.DataFrame:
    """Returns matching rows, one per id, from the first table that holds it."""
    columns = ["source", "shard", "path", "content_bytes", *_MATCHED]
    frames = [
        lake.scan(table)
        .select(columns)
        .filter(condition)
        .with_columns(table=pl.lit(table))
        .collect(engine="streaming")
        for stage in stages
        for table in tables_under(lake, stage)
    ]
    if not frames:
        lists = dict.fromkeys(("author_emails", "derived_from"), pl.List(pl.String))
        types = dict.fromkeys((*columns, "table"), pl.String) | {"content_bytes": pl.Int64} | lists
        frames = [pl.DataFrame(schema=types)]
    rows = pl.concat(frames).sort("id", "table")
    digests = rows.group_by("id").agg(digests=pl.col("content_sha256").unique().sort())
    return rows.unique("id", keep="first", maintain_order=True).join(digests, on="id", how="left")


def _named(lake: Lake, asked: pl.DataFrame) -> pl.DataFrame:
    if asked.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    rows = _over(lake, DOCUMENT_STAGES, covered_by(asked))
    how = pl.when(_is_derived()).then(pl.lit("derived")).otherwise(pl.lit("named"))
    unclaimed = rows.select(_MATCHED)
    claims = [pl.DataFrame(schema={"id": pl.String, "request": pl.String})]
    for request in asked.partition_by("request", maintain_order=True):
        mine = unclaimed.filter(covered_by(request)).select("id")
        claims.append(mine.with_columns(request=pl.lit(request["request"][0])))
        unclaimed = unclaimed.join(mine, on="id", how="anti")
    claimed = rows.join(pl.concat(claims), on="id", how="left", maintain_order="left")
    return claimed.with_columns(how=how).select(list(_SCHEMA))


def _alone(lake: Lake, followers: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Returns (how, rows) of what those rows match from which nothing follows."""
    kinds = {RemovalKind.SHA256: "exact_copy", RemovalKind.ID: "near_copy"}
    found = []
    for (kind,), rows in followers.partition_by("kind", as_dict=True).items():
        how = kinds.get(RemovalKind(str(kind)), "named")
        found.append((how, _over(lake, DOCUMENT_STAGES, covered_by(rows))))
    return sorted(found, key=lambda one: one[0])


def _is_derived() -> pl.Expr:
    return pl.col("table").str.starts_with("functions/") | pl.col("table").str.starts_with(
        "synthetic/"
    )


def _whole(documents: pl.DataFrame) -> pl.DataFrame:
    return documents.filter(~_is_derived() & (pl.col("content_bytes") >= MIN_COPY_BYTES))


def _exact_copies(lake: Lake, named: pl.DataFrame) -> pl.DataFrame:
    large = _whole(named)
    digests = large["digests"].explode().drop_nulls().unique().sort()
    ids = _cluster_mates(lake, EXACT_INDEX, large["id"])
    same = pl.col("content_sha256").is_in(digests.implode()) | pl.col("id").is_in(ids.implode())
    return _over(lake, ("raw", "filtered"), same & (pl.col("content_bytes") >= MIN_COPY_BYTES))


def _near_copies(lake: Lake, named: pl.DataFrame) -> pl.DataFrame:
    origins = named.filter(pl.col("how") == "named")["id"]
    ids = near_mates(lake, origins)["id"].unique().sort()
    return _over(lake, ("raw", "filtered"), pl.col("id").is_in(ids.implode()))


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
