"""The largest clusters of an index as a person wants to see them: members, licences, a diff.

The diff is of two members that differ, if there are such: the closest pair that the index names
(a dropped document and the one kept for it), or else two that were quarantined together. It is cut
to a few lines, because what is shown is stored again wherever it is shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.verdict import Action

_SHOWN_MEMBERS = 6
_DIFF_LINES = 16
_LINE_CHARACTERS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterView:
    """One cluster: what it holds, and how two of its members differ."""

    cluster_id: str
    size: int
    licenses: tuple[str, ...]
    members: pl.DataFrame
    """The first members, those that stay before the others: `place` (source:repo/path), license,
    action, match, score."""
    differ: tuple[str, str]
    """The two places that are compared; empty strings when a text is no longer stored."""
    diff: str
    """Unified diff, cut; empty when the two are equal line by line."""


def largest_clusters(lake: Lake, index: str, limit: int = 3) -> list[ClusterView]:
    """Returns the largest clusters of an index, ties by cluster id.

    Clusters with a member that differs from the one kept for it come first: mere copies are what
    the exact index shows.
    """
    rows = lake.scan(index)
    chosen = (
        rows.group_by("cluster_id")
        .agg(size=pl.col("cluster_size").first(), differs=(pl.col("score") < 1.0).any())
        .sort(["differs", "size", "cluster_id"], descending=[True, True, False])
        .head(limit)
        .select("cluster_id", "size")
        .collect()
    )
    members = rows.filter(pl.col("cluster_id").is_in(chosen["cluster_id"].implode())).collect()
    if members.is_empty():
        return []
    shown = members.group_by("cluster_id").map_groups(_first_members)
    pairs = {number: _pair(members.filter(cluster_id=number)) for number in chosen["cluster_id"]}
    wanted = pl.concat([shown["id"], *(pl.Series(list(pair)) for pair in pairs.values())])
    places = _places(lake, members.filter(pl.col("id").is_in(wanted.implode())))
    described = shown.join(places, on="id").sort("survivor", "id", descending=[True, False])
    compared = members.filter(
        pl.col("id").is_in([identity for pair in pairs.values() for identity in pair])
    )
    texts = _texts(lake, compared)
    names = dict(places.select("id", "place").iter_rows())
    found = []
    for number, size in chosen.iter_rows():
        left, right = pairs[number]
        whole = left in texts and right in texts
        found.append(
            ClusterView(
                cluster_id=number,
                size=size,
                licenses=tuple(members.filter(cluster_id=number)["licenses"][0]),
                members=described.filter(cluster_id=number).select(
                    "place", "license", "action", "match", "score"
                ),
                differ=(names.get(left, ""), names.get(right, "")) if whole else ("", ""),
                diff=_diff(texts[left], texts[right]) if whole else "",
            )
        )
    return found


def _first_members(members: pl.DataFrame) -> pl.DataFrame:
    return members.sort("survivor", "id", descending=[True, False]).head(_SHOWN_MEMBERS)


def _pair(members: pl.DataFrame) -> tuple[str, str]:
    """Returns the two members to compare."""
    dropped = members.filter(pl.col("kept_id").is_not_null() & (pl.col("kept_id") != pl.col("id")))
    differing = dropped.filter(pl.col("score") < 1.0).sort("score", "id", descending=[True, False])
    for named in (differing, dropped.sort("id")):
        if named.height:
            return named["kept_id"][0], named["id"][0]
    quarantined = members.filter(pl.col("action") == Action.QUARANTINE)
    first = (quarantined if quarantined.height > 1 else members).sort("id")["id"]
    return first[0], first[1]


def _places(lake: Lake, members: pl.DataFrame) -> pl.DataFrame:
    """Returns id, place and license, from the signatures."""
    frames = []
    for (source,), rows in members.unique("id").group_by("source"):
        signatures = lake.scan(f"signatures/{source}").filter(
            pl.col("shard").is_in(rows["shard"].unique().implode())
            & pl.col("id").is_in(rows["id"].implode())
        )
        frames.append(
            signatures.select(
                "id",
                place=pl.concat_str(
                    pl.lit(f"{source}: "), "repo", pl.lit("/"), "path", ignore_nulls=True
                ),
                license="license_concluded",
            ).collect()
        )
    return pl.concat(frames).unique("id", keep="first")


def _texts(lake: Lake, members: pl.DataFrame) -> dict[str, str]:
    texts: dict[str, str] = {}
    for (source, shard), rows in members.group_by(["source", "shard"]):
        stored = lake.scan(f"filtered/{source}").filter(
            (pl.col("shard") == shard) & pl.col("id").is_in(rows["id"].implode())
        )
        texts.update(stored.select("id", "content").collect().iter_rows())
    return texts


def _diff(left: str, right: str) -> str:
    lines: Iterable[str] = difflib.unified_diff(
        left.splitlines(), right.splitlines(), lineterm="", n=1
    )
    # The first two lines name files; the places stand above the diff.
    kept = [_cut(line) for line in lines if not re.match(r"(---|\+\+\+) $", line)]
    if len(kept) > _DIFF_LINES:
        kept = [*kept[:_DIFF_LINES], f"... {len(kept) - _DIFF_LINES} more lines"]
    return "\n".join(kept)


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 3] + "..."
