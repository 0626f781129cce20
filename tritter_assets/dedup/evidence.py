"""The pairs that prove a near duplicate, for explanations and removals."""

from __future__ import annotations

import polars as pl

from tritter_assets.dedup.near import NEAR_PAIRS
from tritter_assets.lake import Lake


def verified_mates(lake: Lake, ids: pl.Series) -> pl.DataFrame:
    """Returns documents whose similarity to one of `ids` was computed and reaches the threshold.

    Columns id, of, jaccard, ordered by (id, of); `of` is the one of `ids`. A copy (equal once
    normalised) has the mates of its content. Members of a cluster that are tied to `ids` through
    others only are not among them.
    """
    empty = pl.DataFrame(schema={"id": pl.String, "of": pl.String, "jaccard": pl.Float32})
    if not lake.exists(NEAR_PAIRS) or ids.is_empty():
        return empty
    pairs = lake.scan(NEAR_PAIRS).select("id_a", "id_b", "jaccard", "content_a", "content_b")
    wanted = ids.unique().alias("of").to_frame().lazy()
    ends = pl.concat(
        [pairs.select(of="id_a", content="content_a"), pairs.select(of="id_b", content="content_b")]
    )
    contents = wanted.join(ends, on="of").unique()
    ours = pl.concat(
        [
            contents.join(
                pairs.select(content=f"content_{mine}", mate=f"content_{other}", jaccard="jaccard"),
                on="content",
            )
            for mine, other in (("a", "b"), ("b", "a"))
        ]
        # Copies of a content share its key; one with no copy has no such pair.
        + [contents.with_columns(mate="content", jaccard=pl.lit(1.0, dtype=pl.Float32))]
    ).unique(["of", "mate"])
    members = ends.select(id="of", mate="content").unique()
    return (
        ours.join(members, on="mate")
        .filter(pl.col("id") != pl.col("of"))
        .select("id", "of", "jaccard")
        .sort("id", "of")
        .collect()
    )
