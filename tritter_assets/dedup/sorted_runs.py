"""A map on disk from 64-bit keys to 64-bit values: much is added, little of it is looked up.

A run is two plain arrays of the same length: keys in ascending order, and the value of each; a key
may stand in many entries. An update adds one run and merges runs of like size four at a time, so
there are at most three of a size, and an entry is copied once per fourfold growth (O'Neil et al.,
"The log-structured merge-tree", 1996). A tree of pages writes a page for each of its keys instead:
an update of both indexes by 500 documents beside 500,000 wrote 28 MB with such trees in SQLite, and
writes 7.5 with runs. Runs are mapped, not loaded: looking up m keys among n touches about m pages.

Most keys that a long run does not have are told by the bitmap beside it (`key_bitmap.py`), without
touching the run.

Entries are never taken out of a run. Whoever looks one up tells what is still there by its value,
and leaves the rest out when runs are merged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tritter_assets.dedup.key_bitmap import KeyBitmap
from tritter_assets.lake.mapped_file import map_file

_MERGED_AT_ONCE = 4
_BYTES_PER_MERGED_ENTRY = 64
"""16 read, 16 written, 8 of sort order, and what the sort needs."""
_BYTES_PER_VALUE = 8
_LONG_ENTRIES = 1 << 16
"""Shorter runs are searched at once: their keys are a few pages."""

_NOWHERE = np.zeros(0, dtype=np.int64)

Living = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes keys and values of entries; says which of them stay."""


@dataclass(frozen=True, slots=True)
class Run:
    """A sorted run: the stem of its files, and its length."""

    name: str
    num_entries: int


class SortedRuns:
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
        self._mapped: dict[Run, tuple[np.ndarray, np.ndarray]] = {}
        self._bitmaps: dict[Run, KeyBitmap | None] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.sweep()

    @property
    def num_entries(self) -> int:
        """Returns the entries of all runs."""
        return sum(run.num_entries for run in self.runs)

    def sweep(self) -> None:
        """Deletes files of runs that do not count; call it when an update is complete."""
        names = {run.name for run in self.runs}
        for file in os.listdir(self._folder):
            if file.partition(".")[0] not in names:
                os.unlink(self._folder / file)

    def add_all(self, entries: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Writes keys and values as runs, as many of them in one as memory takes."""
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

    def add(self, keys: np.ndarray, values: np.ndarray) -> Run:
        """Writes entries, in any order, as one run."""
        order = np.argsort(keys, kind="stable")
        run = Run(self._next_name(), len(order))
        keys[order].tofile(self._path(run, "keys"))
        values[order].tofile(self._path(run, "values"))
        if run.num_entries >= _LONG_ENTRIES:
            bitmap = KeyBitmap.create(self._path(run, "bits"), run.num_entries)
            bitmap.mark(keys[order])
            bitmap.flush()
        self.runs.append(run)
        return run

    def settle(self, living: Living | None = None) -> int:
        """Merges runs while four are of one size; returns the entries written.

        Args:
            living: Entries that it refuses are left out of merged runs.
        """
        written = 0
        while True:
            tiers: dict[int, list[Run]] = {}
            for run in self.runs:
                tiers.setdefault(_tier(run.num_entries), []).append(run)
            full = [tier for tier in sorted(tiers) if len(tiers[tier]) >= _MERGED_AT_ONCE]
            if not full:
                return written
            written += self.merge(tiers[full[0]], living).num_entries

    def merge(self, runs: Sequence[Run], living: Living | None = None) -> Run:
        """Puts one run in the place of several."""
        name = self._next_name()
        merged = Run(name, 0)
        written = 0
        most = sum(run.num_entries for run in runs)
        bitmap = None
        if most >= _LONG_ENTRIES:
            bitmap = KeyBitmap.create(self._path(merged, "bits"), most)
        with (
            self._path(merged, "keys").open("wb") as key_file,
            self._path(merged, "values").open("wb") as value_file,
        ):
            for every_key, every_value in self._slices(runs):
                keys, values = every_key, every_value
                if living is not None:
                    stays = living(keys, values)
                    keys, values = keys[stays], values[stays]
                keys.tofile(key_file)
                values.tofile(value_file)
                if bitmap is not None:
                    bitmap.mark(keys)
                written += len(keys)
        if bitmap is not None:
            bitmap.flush()
        self.runs = [run for run in self.runs if run not in runs]
        for run in runs:
            self._mapped.pop(run, None)
            self._bitmaps.pop(run, None)
        self.runs.append(Run(name, written))
        return self.runs[-1]

    def keys(self, run: Run) -> np.ndarray:
        """Returns the distinct keys of a run, sorted."""
        held, _ = self._load(run)
        first = np.ones(len(held), dtype=np.bool_)
        np.not_equal(held[1:], held[:-1], out=first[1:])
        return np.asarray(held[first])

    def repeated(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields all entries whose key stands in more than one, keys and values, by key."""
        for keys, values in self._slices(self.runs):
            same = keys[1:] == keys[:-1]
            shared = np.concatenate([same, [False]]) | np.concatenate([[False], same])
            yield keys[shared], values[shared]

    def counts(self, keys: np.ndarray) -> np.ndarray:
        """Returns how many entries of all runs each of the sorted keys has."""
        total = np.zeros(len(keys), dtype=np.int64)
        for run in self.runs:
            found, _, count = self._search(run, keys)
            total[found] += count
        return total

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the keys and values of all entries that have one of the sorted keys."""
        found_keys, found_values = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for run in self.runs:
            found, low, count = self._search(run, keys)
            if len(found):
                _, values = self._load(run)
                found_keys.append(np.repeat(keys[found], count))
                found_values.append(values[ranges(low, count)])
        return np.concatenate(found_keys), np.concatenate(found_values)

    def _search(self, run: Run, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Looks sorted keys up in a run.

        Returns:
            Which of the keys are there, the first entry of each of these, and how many it has.
        """
        held, _ = self._load(run)
        if not len(held) or not len(keys):
            return _NOWHERE, _NOWHERE, _NOWHERE
        possible = self._possible(run, keys)
        some = keys if possible is None else keys[possible]
        low = np.searchsorted(held, some, "left")
        found = np.flatnonzero(held[np.minimum(low, len(held) - 1)] == some)
        low = low[found]
        # One in twenty: the second search is for these alone.
        count = np.searchsorted(held, some[found], "right") - low
        return found if possible is None else possible[found], low, count

    def _possible(self, run: Run, keys: np.ndarray) -> np.ndarray | None:
        """Returns which keys a long run may have; None when any."""
        if run.num_entries < _LONG_ENTRIES:
            return None
        if run not in self._bitmaps:
            self._bitmaps[run] = KeyBitmap.load(self._path(run, "bits"))
        bitmap = self._bitmaps[run]
        return None if bitmap is None else bitmap.possible(keys)

    def _slices(self, runs: Sequence[Run]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the entries of runs by ranges of the key, each sorted; a key lies in one."""
        loaded = [self._load(run) for run in runs if run.num_entries]
        total = sum(len(keys) for keys, _ in loaded)
        num_slices = -(-total // self._slice_entries)
        bounds = [int(number * (1 << 64) / num_slices) for number in range(1, num_slices)]
        edges = np.array(bounds, dtype=np.uint64)
        cuts = [
            [0, *np.searchsorted(keys, edges, "left").tolist(), len(keys)] for keys, _ in loaded
        ]
        for number in range(num_slices):
            parts = [
                (keys[cut[number] : cut[number + 1]], values[cut[number] : cut[number + 1]])
                for (keys, values), cut in zip(loaded, cuts, strict=True)
            ]
            keys = np.concatenate([part for part, _ in parts])
            values = np.concatenate([part for _, part in parts])
            if len(parts) > 1:
                order = np.argsort(keys, kind="stable")  # merges what is sorted piece by piece
                keys, values = keys[order], values[order]
            yield keys, values

    def _load(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        if not run.num_entries:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        if run not in self._mapped:
            self._mapped[run] = (
                np.frombuffer(map_file(self._path(run, "keys")), dtype="<u8"),
                np.frombuffer(map_file(self._path(run, "values")), dtype="<i8"),
            )
        return self._mapped[run]

    def _next_name(self) -> str:
        self._number += 1
        return f"{self._number - 1:08d}"

    def _path(self, run: Run, column: str) -> Path:
        return self._folder / f"{run.name}.{column}"


def are_whole(folder: Path, runs: Iterable[Run]) -> bool:
    """True when the files of all runs in a folder are there in their full length."""
    try:
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
    except FileNotFoundError:
        sizes = {}
    return all(
        sizes.get(f"{run.name}.{column}") == run.num_entries * _BYTES_PER_VALUE
        for run in runs
        for column in ("keys", "values")
    )


def keys_of(values: pl.Series) -> np.ndarray:
    """Returns 64-bit integers as keys, in their order."""
    return values.to_numpy().view(np.uint64)


def ranges(start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns the positions of `count` entries from each `start` on, one range after the other."""
    offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(start, count) + offset


def without(dead: np.ndarray) -> Living:
    """Returns what leaves out entries whose value is among sorted ones."""
    return lambda _, values: ~among(values, dead)


def without_keys(dead: np.ndarray) -> Living:
    """Returns what leaves out entries whose key is among sorted ones."""
    return lambda keys, _: ~among(keys, dead)


def among(values: np.ndarray, held: np.ndarray) -> np.ndarray:
    """True where a value is in a sorted array."""
    if not len(held):
        return np.zeros(len(values), dtype=np.bool_)
    return held[np.minimum(np.searchsorted(held, values), len(held) - 1)] == values


def _tier(num_entries: int) -> int:
    return max(num_entries, 1).bit_length() // 2
