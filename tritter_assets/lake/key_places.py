"""Where in a data file the rows of a key stand, and what they add to the table's content hash.

One file of four plain arrays beside the cache of a table, for each of its data files: hashes of
the keys in ascending order, row numbers, and the two hashes of each row. Data files never change,
so neither does this; a missing one is made by reading the data file. Mapped, not loaded: looking up
m keys among n touches about m pages.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from tritter_assets.lake.fingerprint import CONTENT_SEEDS
from tritter_assets.lake.mapped_file import map_file

_COLUMNS = ("<u8", "<u8", "<u8", "<u4")
_BYTES_PER_ROW = 28


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """The arrays of one data file."""

    keys: np.ndarray
    sums: tuple[np.ndarray, np.ndarray]
    rows: np.ndarray

    FRAME: ClassVar = {"key": pl.UInt64, "first": pl.UInt64, "second": pl.UInt64}

    def total(self, positions: Any) -> tuple[int, int]:
        """Returns the sums of the row hashes at positions of the arrays."""
        first, second = (int(hashes[positions].sum(dtype=np.uint64)) for hashes in self.sums)
        return first, second

    def frame(self, positions: Any) -> pl.DataFrame:
        """Returns what stands at positions of the arrays, as `FRAME`."""
        columns = (self.keys, *self.sums)
        named = zip(self.FRAME, columns, strict=True)
        return pl.DataFrame({name: np.asarray(values[positions]) for name, values in named})

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Returns the positions in the arrays of all rows that have one of the sorted keys."""
        low = np.searchsorted(self.keys, keys, "left")
        count = np.searchsorted(self.keys, keys, "right") - low
        offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(low, count) + offset


def key_hashes(keys: pl.Series) -> np.ndarray:
    """Returns a 64-bit hash of each key."""
    return keys.hash(seed=23).to_numpy()


def places_of(rows: pl.DataFrame, key: str) -> KeyPlaces:
    """Returns the places of the rows of one data file, in the order they have there."""
    hashes = key_hashes(rows[key])
    order = np.argsort(hashes, kind="stable")
    first, second = (rows.hash_rows(seed=seed).to_numpy()[order] for seed in CONTENT_SEEDS)
    return KeyPlaces(hashes[order], (first, second), order.astype(np.uint32))


class PlaceFiles:
    """The files of places of one table.

    Args:
        folder: Where they are; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, data_file: str) -> KeyPlaces | None:
        """Maps the places of a data file, or returns None when they were never kept."""
        try:
            mapped = map_file(self._folder / data_file)
        except FileNotFoundError:
            return None
        num_rows = len(mapped) // _BYTES_PER_ROW
        arrays, offset = [], 0
        for kind in _COLUMNS:
            arrays.append(np.frombuffer(mapped, dtype=kind, offset=offset, count=num_rows))
            offset += num_rows * np.dtype(kind).itemsize
        return KeyPlaces(arrays[0], (arrays[1], arrays[2]), arrays[3])

    def keep(self, data_file: str, places: KeyPlaces) -> None:
        """Writes the places of a data file; the file is whole or not there."""
        path = self._folder / data_file
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            for array, kind in zip((places.keys, *places.sums, places.rows), _COLUMNS, strict=True):
                array.astype(kind).tofile(file)
        os.replace(unfinished, path)

    def sweep(self, data_files: Iterable[str]) -> None:
        """Deletes the places of all other data files."""
        kept = set(data_files)
        for path in self._folder.iterdir():
            if path.name not in kept:
                path.unlink()
