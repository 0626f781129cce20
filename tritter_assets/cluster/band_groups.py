"""The pairs of contents that share a band, for many bands at once; see `crowds.py`.

A pair that several of these bands have is given with the first of them alone.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from tritter_assets.dedup.crowds import NUM_HUBS

SEPARATOR = "\x01"
"""Below every character of a path or repository; NUL ends a string in some readers."""
WANTED = "1"

_PAIRS = pa.large_list(pa.struct([pa.field("left", pa.int64()), pa.field("right", pa.int64())]))


def pairs_within(together: pa.Array, wanted: pa.Array) -> pa.Array:
    """Returns, for each list of contents, its pairs with a wanted end, as structs left < right.

    Args:
        together: Lists of the contents of a band.
        wanted: For each of them a list of some of its contents.
    """
    return _pairs(len(together), _exploded(together, "one"), _exploded(wanted, "two"))


def pairs_with_hubs(crowds: pa.Array) -> pa.Array:
    """Returns, for each crowded band, the pairs of its first contents with all the others.

    Args:
        crowds: Lists of texts that sort as documents survive and end in `SEPARATOR`, a content,
            `SEPARATOR` and `WANTED` when pairs of that content are wanted.
    """
    tail = pl.col("text").str.split(SEPARATOR)
    members = (
        _exploded(crowds, "text")
        .unique()
        .with_columns(
            one=tail.list.get(-2).cast(pl.Int64),
            wanted=tail.list.get(-1) == WANTED,
            is_hub=pl.col("text").rank("ordinal").over("group") <= NUM_HUBS,
        )
    )
    hubs = members.filter("is_hub").select("group", pl.col("one").alias("two"), hub="wanted")
    return _pairs(len(crowds), members, hubs, pl.col("wanted") | pl.col("hub"))


def _exploded(lists: pa.Array, name: str) -> pl.DataFrame:
    return (
        pl.DataFrame({name: pl.Series(lists)})
        .with_row_index("group")
        .explode(name)
        .filter(pl.col(name).is_not_null())
    )


def _pairs(
    num_groups: int, one: pl.DataFrame, two: pl.DataFrame, wanted: pl.Expr | None = None
) -> pa.Array:
    together = one.join(two, on="group").filter(pl.col("one") != pl.col("two"))
    if wanted is not None:
        together = together.filter(wanted)
    pairs = (
        together.select(
            "group", left=pl.min_horizontal("one", "two"), right=pl.max_horizontal("one", "two")
        )
        .group_by("left", "right")
        .agg(pl.col("group").min())
        .sort("group", "left", "right")
        .group_by("group", maintain_order=True)
        .agg(pair=pl.struct("left", "right"))
    )
    groups = pl.DataFrame({"group": pl.int_range(num_groups, dtype=pl.UInt32, eager=True)})
    listed = groups.join(pairs, on="group", how="left", maintain_order="left")
    return listed["pair"].to_arrow().cast(_PAIRS)
