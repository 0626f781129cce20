"""Band keys as sorted runs on disk, so that new keys are looked up and the rest is not read.

An entry is the hash of (band, key), and the content it belongs to. Runs are a cache of
`dedup/near_bands`: an entry too many costs a look at a content that is gone, an entry too few
cannot be (`near.py` makes them anew when the tables do not fit). What a look-up finds does not
depend on how the entries lie in runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from tritter_assets.dedup.sorted_runs import Run, SortedRuns, among, ranges

_PAIRS_AT_ONCE = 1 << 22
NO_HASHES = np.zeros(0, dtype=np.uint64)
PAIR_SCHEMA = {"left": pl.Int64, "right": pl.Int64}


class BandRuns(SortedRuns):
    """Runs from band hashes to contents, and the pairs of contents that share a hash."""

    def crowded(self, run: Run, limit: int) -> np.ndarray:
        """Returns the hashes that more than `limit` entries of a run have, sorted."""
        found = [NO_HASHES]
        for hashes, _ in self._slices([run]):
            many = hashes[: max(len(hashes) - limit, 0)]
            found.append(np.unique(many[many == hashes[limit:]]))
        return np.concatenate(found)

    def members(self, hashes: np.ndarray) -> pl.DataFrame:
        """Returns the entries of all runs that have one of the sorted hashes: hash, content."""
        found, contents = self.find(hashes)
        schema = {"hash": pl.UInt64, "content": pl.Int64}
        return pl.DataFrame({"hash": found, "content": contents}, schema=schema).unique()

    def pairs_within(
        self, run: Run, fresh: np.ndarray | None = None, *, crowded: np.ndarray = NO_HASHES
    ) -> Iterator[pl.DataFrame]:
        """Yields pairs of contents that share a hash within a run.

        Args:
            run: The run.
            fresh: Sorted contents, one of which has to be in each pair; None takes all pairs.
            crowded: Sorted hashes to pass over.
        """
        for every_hash, every_content in self._slices([run]):
            kept = ~among(every_hash, crowded)
            hashes, contents = every_hash[kept], every_content[kept]
            first = np.arange(len(hashes) - 1)
            step = 1
            while len(first):
                first = first[: np.searchsorted(first, len(hashes) - step)]
                first = first[hashes[first] == hashes[first + step]]
                for start in range(0, len(first), _PAIRS_AT_ONCE):
                    some = first[start : start + _PAIRS_AT_ONCE]
                    one, two = contents[some], contents[some + step]
                    if fresh is not None:
                        kept = among(one, fresh) | among(two, fresh)
                        one, two = one[kept], two[kept]
                    yield _pairs(one, two)
                step += 1

    def pairs_between(
        self,
        fresh: Run,
        held: Sequence[Run],
        *,
        shared: np.ndarray,
        crowded: np.ndarray = NO_HASHES,
    ) -> Iterator[pl.DataFrame]:
        """Yields pairs of a content of `fresh` and one of `held` that share a hash.

        Args:
            fresh: A run.
            held: Other runs.
            shared: Sorted hashes of which there is more than one entry; others are not looked up.
            crowded: Sorted hashes to pass over.
        """
        hashes, contents = self._load(fresh)
        for start in range(0, len(hashes), self._slice_entries):
            some = np.asarray(hashes[start : start + self._slice_entries])
            kept = among(some, shared) & ~among(some, crowded)
            some = some[kept]
            theirs = np.asarray(contents[start : start + self._slice_entries])[kept]
            for run in held:
                found, low, count = self._search(run, some)
                if len(found):
                    _, run_contents = self._load(run)
                    yield from _expanded(theirs[found], run_contents, low, count)


def _expanded(
    theirs: np.ndarray, run_contents: np.ndarray, low: np.ndarray, count: np.ndarray
) -> Iterator[pl.DataFrame]:
    """Yields one pair per entry that a hash was found to have, some millions at a time."""
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, "right")), start + 1)
        some = count[start:stop]
        positions = ranges(low[start:stop], some)
        yield _pairs(np.repeat(theirs[start:stop], some), run_contents[positions])
        start = stop


def _pairs(one: np.ndarray, two: np.ndarray) -> pl.DataFrame:
    different = one != two
    one, two = one[different], two[different]
    frame = pl.DataFrame(
        {"left": np.minimum(one, two), "right": np.maximum(one, two)}, schema=PAIR_SCHEMA
    )
    return frame.unique()


def distinct_pairs(found: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Returns each pair once, sorted; holds the distinct pairs and a few millions more."""
    distinct = pl.DataFrame(schema=PAIR_SCHEMA)
    pending: list[pl.DataFrame] = []
    size = 0
    for pairs in found:
        pending.append(pairs)
        size += pairs.height
        if size > max(_PAIRS_AT_ONCE, distinct.height):
            distinct = pl.concat([distinct, *pending]).unique()
            pending, size = [], 0
    return pl.concat([distinct, *pending]).unique().sort("left", "right")
