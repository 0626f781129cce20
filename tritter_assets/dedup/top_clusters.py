"""The largest clusters of an index as a person wants to see them: members, licences, a diff.

The diff is of two members that differ, if there are such: the closest pair that the index names
(a dropped document and the one kept for it), or else two that were quarantined together. It is cut
to a few lines, because what is shown is stored again wherever it is shown, and left out where a
licence does not let its text be shown.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass

import polars as pl

from tritter_assets.dedup.license_family import LicenseFamilies, index_families
from tritter_assets.lake import Lake
from tritter_assets.verdict import Action

_SHOWN_MEMBERS = 6
_DIFF_LINES = 16
_LINE_CHARACTERS = 120
_COMPARED_LINES = 500
"""Of each member, from the first line that differs: comparing costs up to the square."""


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
    """Unified diff, cut; empty when the two are equal line by line, or one may not be shown."""
    withheld: str
    """The licence that does not let its text be shown, if there is one."""


def largest_clusters(
    lake: Lake, index: str, limit: int = 3, families: LicenseFamilies | None = None
) -> list[ClusterView]:
    """Returns the largest clusters of an index, ties by cluster id.

    Clusters with a member that differs from the one kept for it come first: mere copies are what
    the exact index shows.

    Args:
        lake: The lake.
        index: Name of the index.
        limit: How many clusters.
        families: Of the policy; without one, those of the SPDX index.
    """
    rows = lake.scan(index)
    chosen = (
        rows.group_by("cluster_id")
        .agg(size=pl.col("cluster_size").first(), differs=(pl.col("score") < 1.0).any())
        .sort(["differs", "size", "cluster_id"], descending=[True, True, False])
        .head(limit)
        .select("cluster_id", "size")
        .collect(engine="streaming")
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
    names = {row[0]: row[1:] for row in places.select("id", "place", "license").iter_rows()}
    judge = families or index_families()
    hidden = {key for key, (_, license_) in names.items() if not judge.may_be_shown(license_)}
    texts = _texts(lake, compared.filter(~pl.col("id").is_in(list(hidden))))
    found = []
    for number, size in chosen.iter_rows():
        left, right = pairs[number]
        whole = left in texts and right in texts
        withheld = next((names[one][1] for one in (left, right) if one in hidden), "")
        found.append(
            ClusterView(
                cluster_id=number,
                size=size,
                licenses=tuple(members.filter(cluster_id=number)["licenses"][0]),
                members=described.filter(cluster_id=number).select(
                    "place", "license", "action", "match", "score"
                ),
                differ=(names[left][0], names[right][0]) if whole else ("", ""),
                diff=_diff(texts[left], texts[right]) if whole else "",
                withheld=withheld,
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
    one, two = left.splitlines(), right.splitlines()
    same = 0
    while same < min(len(one), len(two)) and one[same] == two[same]:
        same += 1
    start = max(same - 1, 0)
    lines = difflib.unified_diff(
        one[start : start + _COMPARED_LINES],
        two[start : start + _COMPARED_LINES],
        lineterm="",
        n=1,
    )
    # The first two lines name files; the places stand above the diff.
    kept = [_moved(line, start) for line in itertools.islice(lines, 2, None)]
    shown = _cut(kept[:_DIFF_LINES])
    rest = len(kept) - len(shown)
    unseen = max(len(one), len(two)) > start + _COMPARED_LINES
    if rest:
        shown.append(f"... {rest}{' or more' if unseen else ''} more lines")
    return "\n".join(shown)


def _moved(line: str, by: int) -> str:
    """Adds to the line numbers of a hunk's head."""
    if not line.startswith("@@"):
        return line
    return re.sub(r"([-+])(\d+)", lambda found: f"{found[1]}{int(found[2]) + by}", line)


def _cut(lines: list[str]) -> list[str]:
    """Cuts long lines; of one that was changed, what is around its first change stays."""
    taken = [line for line in lines if line[0] == "-"], [line for line in lines if line[0] == "+"]
    begins = {}
    for old, new in zip(*taken, strict=False):
        begins[old] = begins[new] = _first_change(old[1:], new[1:])
    return [_window(line, begins.get(line, 0)) for line in lines]


def _first_change(old: str, new: str) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))


def _window(line: str, change: int) -> str:
    if len(line) <= _LINE_CHARACTERS:
        return line
    begin = max(change - _LINE_CHARACTERS // 3, 0)
    head = f"{line[0]}... " if begin else line[0]
    body = line[1 + begin :]
    room = _LINE_CHARACTERS - len(head)
    return head + (body if len(body) <= room else body[: room - 4] + " ...")
