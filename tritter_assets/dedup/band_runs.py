"""Band keys as sorted runs on disk, so that new keys are looked up and the rest is not read.

A run is two plain arrays of the same length: hashes of (band, key) in ascending order, and the
content each belongs to. An update adds one run and merges runs of like size four at a time, so
there are at most three of a size, and an entry is copied once per fourfold growth. Runs are
mapped, not loaded: looking up m keys among n touches about m pages.

Runs are a cache of `dedup/near_bands`: an entry too many costs a look at a content that is gone,
an entry too few cannot be (`near.py` makes them anew when the tables do not fit). What a look-up
finds does not depend on how the entries lie in runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

_MERGED_AT_ONCE = 4
_BYTES_PER_MERGED_ENTRY = 64
"""16 read, 16 written, 8 of sort order, and what the sort needs."""
_PAIRS_AT_ONCE = 1 << 22
NO_HASHES = np.zeros(0, dtype=np.uint64)
PAIR_SCHEMA = {"left": pl.Int64, "right": pl.Int64}


@dataclass(frozen=True, slots=True)
class Run:
    """A sorted run: the stem of its two files, and its length."""

    name: str
    num_entries: int


class BandRuns:
    """The runs in one folder.

    Args:
        folder: Where the files are; made when missing.
        runs: The runs that count; other files are what an unfinished update left.
        memory_limit_bytes: Merging works in slices that fit half of it.
    """

    def __init__(self, folder: Path, runs: Sequence[Run], memory_limit_bytes: int) -> None:
        self._folder = folder
        self._slice_entries = max(memory_limit_bytes // 2 // _BYTES_PER_MERGED_ENTRY, 1 << 12)
        self.runs = list(runs)
        self._number = 1 + max((int(run.name) for run in runs), default=0)
        folder.mkdir(parents=True, exist_ok=True)
        self.sweep()

    @property
    def num_entries(self) -> int:
        """Returns the entries of all runs."""
        return sum(run.num_entries for run in self.runs)

    def sweep(self) -> None:
        """Deletes files of runs that do not count; call it when an update is complete."""
        names = {run.name for run in self.runs}
        for file in self._folder.iterdir():
            if file.stem not in names:
                file.unlink()

    def add_all(self, entries: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Writes hashes and contents as runs, as many of them in one as memory takes."""
        gathered: list[tuple[np.ndarray, np.ndarray]] = []
        size = 0
        for part in entries:
            gathered.append(part)
            size += len(part[0])
            if size >= self._slice_entries:
                self.add(*map(np.concatenate, zip(*gathered, strict=True)))
                gathered, size = [], 0
        if gathered:
            self.add(*map(np.concatenate, zip(*gathered, strict=True)))

    def add(self, hashes: np.ndarray, contents: np.ndarray) -> Run:
        """Writes entries, in any order, as one run."""
        order = np.argsort(hashes, kind="stable")
        run = Run(f"{self._number:08d}", len(order))
        self._number += 1
        hashes[order].tofile(self._path(run, "hash"))
        contents[order].tofile(self._path(run, "content"))
        self.runs.append(run)
        return run

    def settle(self, dead: np.ndarray) -> int:
        """Merges runs while four are of one size; returns the entries written.

        Args:
            dead: Sorted contents that are gone: their entries are left out of merged runs.
        """
        written = 0
        while True:
            tiers: dict[int, list[Run]] = {}
            for run in self.runs:
                tiers.setdefault(_tier(run.num_entries), []).append(run)
            full = [tier for tier in sorted(tiers) if len(tiers[tier]) >= _MERGED_AT_ONCE]
            if not full:
                return written
            written += self.merge(tiers[full[0]], dead).num_entries

    def merge(self, runs: Sequence[Run], dead: np.ndarray) -> Run:
        """Puts one run in the place of several."""
        name = f"{self._number:08d}"
        self._number += 1
        merged = Run(name, 0)
        written = 0
        with (
            self._path(merged, "hash").open("wb") as hash_file,
            self._path(merged, "content").open("wb") as content_file,
        ):
            for hashes, contents in self._slices(runs):
                living = ~_among(contents, dead)
                hashes[living].tofile(hash_file)
                contents[living].tofile(content_file)
                written += int(living.sum())
        self.runs = [run for run in self.runs if run not in runs]
        self.runs.append(Run(name, written))
        return self.runs[-1]

    def crowded(self, run: Run, limit: int) -> np.ndarray:
        """Returns the hashes that more than `limit` entries of a run have, sorted."""
        found = [np.zeros(0, dtype=np.uint64)]
        for hashes, _ in self._slices([run]):
            many = hashes[: max(len(hashes) - limit, 0)]
            found.append(np.unique(many[many == hashes[limit:]]))
        return np.concatenate(found)

    def hashes(self, run: Run) -> np.ndarray:
        """Returns the distinct hashes of a run, sorted."""
        held, _ = self._load(run)
        first = np.ones(len(held), dtype=np.bool_)
        np.not_equal(held[1:], held[:-1], out=first[1:])
        return np.asarray(held[first])

    def counts(self, hashes: np.ndarray) -> np.ndarray:
        """Returns how many entries of all runs each of the sorted hashes has."""
        total = np.zeros(len(hashes), dtype=np.int64)
        for run in self.runs:
            held, _ = self._load(run)
            if len(held):
                low = np.searchsorted(held, hashes, "left")
                found = np.flatnonzero(held[np.minimum(low, len(held) - 1)] == hashes)
                # One in twenty: the second search is for these alone.
                total[found] += np.searchsorted(held, hashes[found], "right") - low[found]
        return total

    def members(self, hashes: np.ndarray) -> pl.DataFrame:
        """Returns the entries of all runs that have one of the sorted hashes: hash, content."""
        frames = [pl.DataFrame(schema={"hash": pl.UInt64, "content": pl.Int64})]
        for run in self.runs:
            held, contents = self._load(run)
            low = np.searchsorted(held, hashes, "left")
            count = np.searchsorted(held, hashes, "right") - low
            offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            frames.append(
                pl.DataFrame(
                    {
                        "hash": np.repeat(hashes, count),
                        "content": contents[np.repeat(low, count) + offset],
                    },
                    schema=frames[0].schema,
                )
            )
        return pl.concat(frames).unique()

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
            kept = ~_among(every_hash, crowded)
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
                        kept = _among(one, fresh) | _among(two, fresh)
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
            kept = _among(some, shared) & ~_among(some, crowded)
            some = some[kept]
            theirs = np.asarray(contents[start : start + self._slice_entries])[kept]
            for run in held:
                run_hashes, run_contents = self._load(run)
                if not len(run_hashes):
                    continue
                low = np.searchsorted(run_hashes, some, "left")
                found = np.flatnonzero(run_hashes[np.minimum(low, len(run_hashes) - 1)] == some)
                if not len(found):
                    continue
                low = low[found]
                count = np.searchsorted(run_hashes, some[found], "right") - low
                yield from _expanded(theirs[found], run_contents, low, count)

    def _slices(self, runs: Sequence[Run]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the entries of runs by ranges of the hash, each sorted; a hash lies in one."""
        loaded = [self._load(run) for run in runs if run.num_entries]
        total = sum(len(hashes) for hashes, _ in loaded)
        num_slices = -(-total // self._slice_entries)
        bounds = [int(number * (1 << 64) / num_slices) for number in range(1, num_slices)]
        edges = np.array(bounds, dtype=np.uint64)
        cuts = [
            [0, *np.searchsorted(hashes, edges, "left").tolist(), len(hashes)]
            for hashes, _ in loaded
        ]
        for number in range(num_slices):
            parts = [
                (hashes[cut[number] : cut[number + 1]], contents[cut[number] : cut[number + 1]])
                for (hashes, contents), cut in zip(loaded, cuts, strict=True)
            ]
            hashes = np.concatenate([part for part, _ in parts])
            contents = np.concatenate([part for _, part in parts])
            if len(parts) > 1:
                order = np.argsort(hashes, kind="stable")  # merges what is sorted piece by piece
                hashes, contents = hashes[order], contents[order]
            yield hashes, contents

    def _load(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        if not run.num_entries:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        return (
            np.memmap(self._path(run, "hash"), dtype="<u8", mode="r"),
            np.memmap(self._path(run, "content"), dtype="<i8", mode="r"),
        )

    def _path(self, run: Run, column: str) -> Path:
        return self._folder / f"{run.name}.{column}"


def _tier(num_entries: int) -> int:
    return max(num_entries, 1).bit_length() // 2


def _among(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """True where a value is in a sorted array."""
    if not len(among):
        return np.zeros(len(values), dtype=np.bool_)
    return among[np.minimum(np.searchsorted(among, values), len(among) - 1)] == values


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
        offset = np.arange(int(some.sum())) - np.repeat(np.cumsum(some) - some, some)
        positions = np.repeat(low[start:stop], some) + offset
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
