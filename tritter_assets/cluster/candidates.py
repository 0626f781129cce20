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

from tritter_assets.cluster.band_changes import SpreadBandChanges
from tritter_assets.cluster.band_pairs import PLACE, grouped, pairs_of
from tritter_assets.cluster.frames import contents, near_bands, union
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
    compared: DataFrame | None
    """Some pairs that were candidates before: what `near_pairs` lacks of them is no duplicate."""
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
    pairs = pairs_of(lake, inputs, scratch, "candidates", grouped(bands))
    documents = bands.where(col("band") == 0)
    tied = ties(documents, scratch)
    num_contents = contents((documents, "content")).count_rows()
    return Candidates(pairs, None, None, None, tied, num_contents)


def new_candidates(
    lake: Lake, inputs: Sequence[ShardInput], changes: SpreadBandChanges, scratch: Scratch
) -> Candidates | None:
    """Returns the pairs that changed shards give rise to; their bands are already written.

    None when an id stands for two contents: what that ties together takes a look at all ids.
    """
    from daft import col

    bands = near_bands(lake)
    old, new = changes.frames(scratch)
    new_ids = new.select("id").distinct()
    same_ids = bands.where(col("band") == 0).join(new_ids, on="id", how="semi")
    same_ids = scratch.store("same-ids", same_ids.select("id", "content"))
    tied = ties(same_ids, scratch)
    if scratch.num_rows("ties"):
        return None
    before = contents((old.where(col("band") == 0), "content"))
    after = contents((new.where(col("band") == 0), "content"))
    touched = scratch.store("touched", contents((before, "content"), (after, "content")))
    elsewhere = scratch.store("elsewhere", _elsewhere(bands, changes, touched))
    fresh = after.join(before, on="content", how="anti").join(elsewhere, on="content", how="anti")
    fresh = scratch.store("fresh", fresh)
    gone = before.join(after, on="content", how="anti").join(elsewhere, on="content", how="anti")

    entry = ["content", *PLACE]
    keys = union([old.select(*PLACE), new.select(*PLACE)]).distinct()
    sharing = scratch.store("sharing", bands.select(*entry).join(keys, on=PLACE, how="semi"))
    crowded = (
        # Counts what was there, too: what was crowded still is.
        union([sharing, old.select(*entry)])
        .groupby(*PLACE)
        .agg(col("content").count_distinct().alias("size"))
        .where(col("size") > CROWD)
    )
    crowd = scratch.store(
        "crowd", contents((sharing.join(crowded, on=PLACE, how="semi"), "content"))
    )
    wanted, compared = fresh, None
    if scratch.num_rows("crowd"):
        wanted = scratch.store("wanted-contents", contents((fresh, "content"), (crowd, "content")))
        keys = bands.select(*entry).join(wanted, on="content", how="semi").select(*PLACE)
        sharing = bands.join(keys.distinct(), on=PLACE, how="semi")
        sharing = scratch.store("sharing-crowd", sharing.select(*entry, "source", "shard"))
        # In a band that no changed shard was in, who shared it and in which order is known.
        earlier = sharing.join(changes.shards(), on=["source", "shard"], how="anti")
        earlier = earlier.join(old.select(*PLACE).distinct(), on=PLACE, how="anti")
        unchanged = [item for item in inputs if (item.source, item.shard) not in changes.changed]
        compared = pairs_of(lake, unchanged, scratch, "compared", grouped(earlier, crowd))
    pairs = pairs_of(lake, inputs, scratch, "candidates", grouped(sharing, wanted))
    renewed = scratch.store("renewed", contents((wanted, "content"), (gone, "content")))
    return Candidates(pairs, compared, renewed, touched, tied, scratch.num_rows("fresh"))


def _elsewhere(bands: DataFrame, changes: SpreadBandChanges, touched: DataFrame) -> DataFrame:
    """Returns those of the touched contents that documents of unchanged shards have."""
    from daft import col

    unchanged = bands.where(col("band") == 0).join(
        changes.shards(), on=["source", "shard"], how="anti"
    )
    return contents((unchanged.join(touched, on="content", how="semi"), "content"))
