"""A bitmap over the first digits of 64-bit keys: tells most keys that a sorted run does not have.

Keys are hashes, so their first digits are uniform: with 8 to 16 bits a key, one absent key in eight
at most looks as if it were there (a Bloom filter of one function, in the order of the keys, so that
looking sorted keys up walks through it once).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from tritter_assets.lake.mapped_file import map_file

_BITS_PER_KEY = 8


class KeyBitmap:
    """The bitmap of one run, mapped from its file."""

    def __init__(self, bits: np.ndarray) -> None:
        self._bits = bits
        self._shift = np.uint64(64 - (8 * len(bits)).bit_length() + 1)

    @classmethod
    def create(cls, path: Path, num_keys: int) -> Self:
        """Makes the file for at most so many keys."""
        size = 1 << max(num_keys * _BITS_PER_KEY // 8 - 1, 0).bit_length()
        return cls(np.memmap(path, dtype=np.uint8, mode="w+", shape=(size,)))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Maps the file, or returns None when there is none."""
        try:
            return cls(np.frombuffer(map_file(path), dtype=np.uint8))
        except FileNotFoundError:
            return None

    def mark(self, keys: np.ndarray) -> None:
        """Sets the bits of sorted keys."""
        if len(keys):
            byte, bit = self._places(keys)
            first = np.flatnonzero(np.concatenate([[True], byte[1:] != byte[:-1]]))
            bits = np.left_shift(np.uint8(1), bit)
            self._bits[byte[first]] |= np.bitwise_or.reduceat(bits, first)

    def flush(self) -> None:
        """Writes the bits out.

        The file has its length before its bits: a machine that stops must not leave zeros.
        """
        if isinstance(self._bits, np.memmap):
            self._bits.flush()

    def possible(self, keys: np.ndarray) -> np.ndarray:
        """Returns the positions of the keys that may be there: all that are, and a few more."""
        byte, bit = self._places(keys)
        return np.flatnonzero((self._bits[byte] >> bit) & np.uint8(1))

    def _places(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = keys >> self._shift
        return (place >> np.uint64(3)).astype(np.int64), (place & np.uint64(7)).astype(np.uint8)
