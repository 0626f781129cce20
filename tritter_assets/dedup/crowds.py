"""Bands that many contents share: compared with a few of them, not each with each.

k contents that are all but the same fill 42 buckets of k, and k x k pairs. A bucket of more than
`CROWD` contents gives only the pairs of its `NUM_HUBS` first contents, in the order in which
documents survive, with all the others: k x 32 pairs. The first of a bucket is the one the others
fall for. What is a candidate is a function of the documents that are there, so the order in which
they came does not matter; when a crowded bucket changes, the pairs of all its contents are found
again.

Bound: a pair is lost only if each of its common buckets is crowded and neither end is a hub of one.
A document stays that a full comparison would drop only if all it is similar to and falls for is
lost in this way: every one of 32 earlier contents in each of those buckets is less similar to it
than the threshold, or fell itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from tritter_assets.dedup.band_runs import BandRuns
from tritter_assets.dedup.bands import CROWD, NUM_HUBS
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.index import SURVIVAL_ORDER

_HASHES_AT_ONCE = 1 << 16


def contents_of(runs: BandRuns, cache: DocumentCache, crowded: np.ndarray) -> pl.Series:
    """Returns the contents that are there and have one of the crowded hashes, sorted."""
    if not len(crowded):
        return pl.Series(dtype=pl.Int64)
    return cache.present(runs.members(crowded)["content"]).sort()


def pairs_of(
    runs: BandRuns, cache: DocumentCache, hashes: np.ndarray, contents: pl.Series
) -> Iterator[pl.DataFrame]:
    """Yields all candidate pairs (left, right) that have one of `contents` in them.

    Args:
        runs: The band runs, `contents` included.
        cache: Tells which contents are there.
        hashes: The band hashes of `contents`, sorted and distinct.
        contents: Whose pairs are wanted.
    """
    for start in range(0, len(hashes), _HASHES_AT_ONCE):
        members = runs.members(hashes[start : start + _HASHES_AT_ONCE])
        living = cache.present(members["content"]).implode()
        members = members.filter(pl.col("content").is_in(living)).with_columns(
            size=pl.len().over("hash")
        )
        crowd = members.filter(pl.col("size") > CROWD)
        hubs = pl.concat(
            [
                members.filter(pl.col("size") <= CROWD).select("hash", "content"),
                crowd.join(_survival(cache, crowd["content"].unique()), on="content")
                .filter(pl.col("rank").rank("ordinal").over("hash") <= NUM_HUBS)
                .select("hash", "content"),
            ]
        )
        found = hubs.select("hash", one="content").join(
            members.select("hash", two="content"), on="hash"
        )
        wanted = contents.implode()
        yield (
            found.filter(
                (pl.col("one") != pl.col("two"))
                & (pl.col("one").is_in(wanted) | pl.col("two").is_in(wanted))
            )
            .select(left=pl.min_horizontal("one", "two"), right=pl.max_horizontal("one", "two"))
            .unique()
        )


def _survival(cache: DocumentCache, contents: pl.Series) -> pl.DataFrame:
    """Returns content and rank, in the order in which the first documents of contents survive."""
    documents = cache.documents(contents).sort(*SURVIVAL_ORDER, "shard")
    firsts = documents.unique("content", keep="first", maintain_order=True)
    return firsts.select("content").with_row_index("rank")
