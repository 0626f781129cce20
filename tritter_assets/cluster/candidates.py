"""Candidate pairs of the near index as Daft frames: all of them, or those that an update adds.

An update looks at the bands of changed shards, as they were and as they are (T below), and reads
of `dedup/near_bands` what shares a key with them:

- a pair with a content that is new shares a key of T, and is found there;
- a band of T that more contents than `CROWD` share is crowded: who is a hub of it may be another
  now, so all pairs of all its contents are found again, in whatever bands they have;
- every other pair of contents that are still there was a candidate before if it is one now, and
  the other way round: none of the bands that it shares has changed in a way that matters.

So the pairs with an end in `renewed` are found anew, and all others are as they were.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.cluster import band_groups
from tritter_assets.cluster.band_changes import BandChanges
from tritter_assets.cluster.frames import (
    contents,
    crowd_pairs,
    group_pairs,
    near_bands,
    signatures,
    texts_joined,
    union,
)
from tritter_assets.cluster.members import ties
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.crowds import CROWD
from tritter_assets.dedup.index import ShardInput
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    from daft import DataFrame


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a look-up found."""

    pairs: DataFrame
    """left < right: contents that share a band, each pair once."""
    renewed: DataFrame | None
    """Contents all pairs of which are among `pairs`, or that are gone; None: every content."""
    touched: DataFrame | None
    """Contents of changed shards, before and after; None: every content."""
    ties: DataFrame
    """left, right: contents that one id stands for; empty unless all was looked at."""
    num_new: int
    """How many contents had no document before."""


def all_candidates(lake: Lake, inputs: Sequence[ShardInput], scratch: Scratch) -> Candidates:
    """Returns all pairs that share a band."""
    from daft import col

    bands = near_bands(lake)
    groups = (
        bands.groupby("band", "key")
        .agg(col("content").list_agg_distinct().alias("together"))
        .where(col("together").list_count() > 1)
        .with_column("wanted", col("together"))
    )
    pairs = _pairs_of(lake, inputs, scratch, scratch.store("groups", groups))
    documents = bands.where(col("band") == 0)
    tied = scratch.store("ties", ties(documents))
    num_contents = contents((documents, "content")).count_rows()
    return Candidates(pairs, None, None, tied, num_contents)


def new_candidates(
    lake: Lake, inputs: Sequence[ShardInput], changes: BandChanges, scratch: Scratch
) -> Candidates | None:
    """Returns the pairs that changed shards give rise to; their bands are already written.

    None when an id stands for two contents: what that ties together takes a look at all ids.
    """
    from daft import col

    bands = near_bands(lake)
    old, new = changes.frames(scratch)
    same_ids = bands.where(col("band") == 0).join(new.select("id").distinct(), on="id", how="semi")
    tied = scratch.store("ties", ties(same_ids))
    if scratch.num_rows("ties"):
        return None
    before = contents((old.where(col("band") == 0), "content"))
    after = contents((new.where(col("band") == 0), "content"))
    touched = scratch.store("touched", contents((before, "content"), (after, "content")))
    elsewhere = scratch.store("elsewhere", _elsewhere(bands, changes, touched))
    fresh = after.join(before, on="content", how="anti").join(elsewhere, on="content", how="anti")
    fresh = scratch.store("fresh", fresh)
    gone = before.join(after, on="content", how="anti").join(elsewhere, on="content", how="anti")

    place = ["band", "key"]
    entry = ["content", *place]
    keys = union([old.select(*place), new.select(*place)]).distinct()
    sharing = scratch.store("sharing", bands.select(*entry).join(keys, on=place, how="semi"))
    crowded = (
        # Counts what was there, too: what was crowded still is.
        union([sharing, old.select(*entry)])
        .groupby(*place)
        .agg(col("content").count_distinct().alias("size"))
        .where(col("size") > CROWD)
    )
    crowd = scratch.store(
        "crowd", contents((sharing.join(crowded, on=place, how="semi"), "content"))
    )
    wanted = fresh
    if scratch.num_rows("crowd"):
        wanted = scratch.store("wanted-contents", contents((fresh, "content"), (crowd, "content")))
        keys = bands.select(*entry).join(wanted, on="content", how="semi").select(*place)
        found = bands.select(*entry).join(keys.distinct(), on=place, how="semi")
        sharing = scratch.store("sharing-crowd", found)
    marks = wanted.select("content", col("content").alias("wanted"))
    groups = (
        sharing.join(marks, on="content", how="left")
        .groupby(*place)
        .agg(
            col("content").list_agg_distinct().alias("together"),
            col("wanted").list_agg_distinct().alias("wanted"),
        )
        .where((col("together").list_count() > 1) & (col("wanted").list_count() > 0))
    )
    pairs = _pairs_of(lake, inputs, scratch, scratch.store("groups", groups))
    renewed = scratch.store("renewed", contents((wanted, "content"), (gone, "content")))
    return Candidates(pairs, renewed, touched, tied, scratch.num_rows("fresh"))


def _elsewhere(bands: DataFrame, changes: BandChanges, touched: DataFrame) -> DataFrame:
    """Returns those of the touched contents that documents of unchanged shards have."""
    import daft
    from daft import col

    changed = daft.from_pydict(
        {
            "source": [source for source, _ in changes.changed] or [""],
            "shard": [shard for _, shard in changes.changed] or [""],
        }
    )
    unchanged = bands.where(col("band") == 0).join(changed, on=["source", "shard"], how="anti")
    return contents((unchanged.join(touched, on="content", how="semi"), "content"))


def _pairs_of(
    lake: Lake, inputs: Sequence[ShardInput], scratch: Scratch, groups: DataFrame
) -> DataFrame:
    """Returns the pairs of groups (band, key, together, wanted), each once."""
    from daft import col

    crowded = col("together").list_count() > CROWD
    few = groups.where(~crowded).select(group_pairs(col("together"), col("wanted")).alias("pair"))
    found = [few]
    crowds = scratch.store("crowds", groups.where(crowded))
    if scratch.num_rows("crowds"):
        found.append(_pairs_of_crowds(lake, inputs, crowds))
    return scratch.store(
        "candidates",
        union(found)
        .explode("pair")
        .select(col("pair").get("left").alias("left"), col("pair").get("right").alias("right"))
        .distinct(),
    )


def _pairs_of_crowds(lake: Lake, inputs: Sequence[ShardInput], crowds: DataFrame) -> DataFrame:
    from daft import DataType, col, lit
    from daft.functions import when

    place = ["band", "key"]
    members = crowds.select(*place, col("together").alias("content")).explode("content")
    wanted = crowds.select(*place, col("wanted").alias("content")).explode("content")
    flags = wanted.with_column("flag", lit(band_groups.WANTED))
    ranks = _ranks(lake, inputs, contents((members, "content")))
    ranked = (
        members.join(flags, on=[*place, "content"], how="left")
        .join(ranks, on="content")
        .with_columns(
            {
                "number": col("content").cast(DataType.string()),
                "flag": when(col("flag").is_null(), lit("0")).otherwise(col("flag")),
            }
        )
    )
    text = texts_joined([col("rank"), col("number"), col("flag")], band_groups.SEPARATOR)
    groups = ranked.select(*place, text.alias("text"))
    listed = groups.groupby(*place).agg(col("text").list_agg().alias("members"))
    return listed.select(crowd_pairs(col("members")).alias("pair"))


def _ranks(lake: Lake, inputs: Sequence[ShardInput], wanted: DataFrame) -> DataFrame:
    """Returns content and a text that sorts as the first documents of contents survive."""
    from daft import col

    order = ("order", "source", "repo", "path", "id", "shard")  # `SURVIVAL_ORDER`, then the shard
    signed = signatures(lake, inputs, ["normalized_sha256", "repo", "path"])
    rank = texts_joined([col(name) for name in order], band_groups.SEPARATOR)
    chosen = signed.join(wanted, on="content", how="semi")
    return chosen.select("content", rank.alias("rank")).groupby("content").agg(col("rank").min())
