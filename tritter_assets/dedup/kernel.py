"""Compiled kernels over Arrow buffers: shingles, sketches and normalised text.

Every kernel takes offsets and bytes as they lie in an Arrow array and fills arrays that the caller
allocated; none creates a Python object per document, and all release the GIL, so threads scale.
The functions are plain Python here and are compiled on first use (`kernels()`), because importing
numba costs a second that a process which only looks at the graph should not pay.

A shingle is `width` consecutive words ([A-Za-z0-9_]+, ASCII lower case), hashed to 64 bits. A
document with fewer words than that has one shingle: its whole text, lower-cased, white space
collapsed. Bytes outside ASCII separate words, so text without ASCII words is compared whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tritter_assets.dedup import pair_kernels

NUM_HASHES = 256
"""Coordinates of a sketch."""

SHINGLE_WORDS = 5

KERNEL_VERSION = "1"
"""Bump when a kernel's output changes: every signature goes stale with it."""

_WORD_SEED = np.uint64(0x243F6A8885A308D3)
_WORD_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ROLL_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_ROUND_STEP = np.uint64(0xA0761D6478BD642F)
_TEXT_SEED = np.uint64(0x13198A2E03707344)
_U0, _U1, _U24 = np.uint64(0), np.uint64(1), np.uint64(24)
_U32, _U33, _U56 = np.uint64(32), np.uint64(33), np.uint64(56)
_LOW_32 = np.uint64(0xFFFFFFFF)
_FIRST_SLOTS = np.uint64(1 << 18)
"""Of the table of a document's shingles, at most: 2 MB."""
_EMPTY = np.uint32(0xFFFFFFFF)


def word_table() -> np.ndarray:
    """Returns byte -> lower-cased word byte, or 0 for a byte that separates words."""
    table = np.zeros(256, dtype=np.uint8)
    for byte in range(128):
        if chr(byte).isalnum() or chr(byte) == "_":
            table[byte] = ord(chr(byte).lower())
    return table


def fold_table() -> np.ndarray:
    """Returns byte -> ASCII lower case, with every white-space byte turned into 32."""
    table = np.arange(256, dtype=np.uint8)
    table[ord("A") : ord("Z") + 1] += 32
    table[[9, 10, 11, 12, 13, 28, 29, 30, 31]] = 32
    return table


def _shingle(  # noqa: PLR0912, PLR0915, PLR0917 - one pass; numba takes no keyword arguments
    offsets: Any, data: Any, words: Any, folds: Any, width: Any, starts: Any, out: Any
) -> Any:
    """Writes each document's distinct shingles, in order of appearance, one after the other.

    `starts` has one entry more than there are documents; `out` needs `len(data) // 2 + documents`
    entries. Returns how many were written.
    """
    num_documents = offsets.shape[0] - 1
    longest = 0
    for document in range(num_documents):
        longest = max(longest, offsets[document + 1] - offsets[document])
    hashes = np.empty(longest // 2 + 2, dtype=np.uint64)
    behind = np.empty(longest // 4 + 2, dtype=np.uint64)
    slots = 64
    while slots < 2 * longest + 4:
        slots *= 2
    table = np.empty(slots, dtype=np.uint64)
    # Positions are unsigned: numba wraps a signed index that may be negative, at every access.
    last = np.uint64(width) - _U1
    leaving = _U1
    for _ in range(width):
        leaving *= _ROLL_MULTIPLIER
    written = _U0
    for document in range(num_documents):
        starts[document] = written
        begin, end = np.uint64(offsets[document]), np.uint64(offsets[document + 1])
        # Words. A branch-free form: the hash is stored after every byte and the cursor moves only
        # where a word ends, because word ends are what a branch predictor cannot predict. Each
        # byte waits for the multiplication of the one before, so the two halves of a document,
        # cut where no word is, are read side by side (a third less time than one after the other).
        middle = begin + ((end - begin) >> _U1)
        while middle < end and words[data[middle]] != 0:
            middle += _U1
        both = min(middle - begin, end - middle)
        num_words, num_behind = _U0, _U0
        word_hash, other_hash = _WORD_SEED, _WORD_SEED
        inside, other_inside = _U0, _U0
        for step in range(both):
            byte = np.uint64(words[data[begin + step]])
            is_word = _U1 if byte != _U0 else _U0
            hashes[num_words] = word_hash
            num_words += inside & ~is_word
            advanced = (word_hash ^ byte) * _WORD_MULTIPLIER
            word_hash = advanced if byte != _U0 else _WORD_SEED
            inside = is_word
            byte = np.uint64(words[data[middle + step]])
            is_word = _U1 if byte != _U0 else _U0
            behind[num_behind] = other_hash
            num_behind += other_inside & ~is_word
            advanced = (other_hash ^ byte) * _WORD_MULTIPLIER
            other_hash = advanced if byte != _U0 else _WORD_SEED
            other_inside = is_word
        for position in range(begin + both, middle):
            byte = np.uint64(words[data[position]])
            is_word = _U1 if byte != _U0 else _U0
            hashes[num_words] = word_hash
            num_words += inside & ~is_word
            advanced = (word_hash ^ byte) * _WORD_MULTIPLIER
            word_hash = advanced if byte != _U0 else _WORD_SEED
            inside = is_word
        hashes[num_words] = word_hash
        num_words += inside
        for position in range(middle + both, end):
            byte = np.uint64(words[data[position]])
            is_word = _U1 if byte != _U0 else _U0
            behind[num_behind] = other_hash
            num_behind += other_inside & ~is_word
            advanced = (other_hash ^ byte) * _WORD_MULTIPLIER
            other_hash = advanced if byte != _U0 else _WORD_SEED
            other_inside = is_word
        behind[num_behind] = other_hash
        num_behind += other_inside
        for index in range(num_behind):
            hashes[num_words + index] = behind[index]
        num_words += num_behind
        if num_words <= last:
            text_hash = _TEXT_SEED
            pending = False
            any_text = False
            for position in range(begin, end):
                byte = np.uint64(folds[data[position]])
                if byte == _U32:
                    pending = any_text
                    continue
                if pending:
                    text_hash = (text_hash ^ _U32) * _WORD_MULTIPLIER
                    text_hash ^= text_hash >> _U32
                    pending = False
                any_text = True
                text_hash = (text_hash ^ byte) * _WORD_MULTIPLIER
                text_hash ^= text_hash >> _U32
            text_hash ^= text_hash >> _U33
            text_hash *= _MIX_1
            text_hash ^= text_hash >> _U33
            out[written] = max(text_hash, _U1)
            written += _U1
            continue
        capacity = np.uint64(64)
        while capacity < num_words + num_words and capacity < _FIRST_SLOTS:
            capacity += capacity
        mask = capacity - _U1
        table[:capacity] = _U0
        begin_written = written
        full = written + (capacity >> _U1)
        rolled = _U0
        for index in range(num_words):
            rolled = rolled * _ROLL_MULTIPLIER + hashes[index]
            if index > last:
                rolled -= leaving * hashes[index - last - _U1]
            if index < last:
                continue
            mixed = rolled
            mixed ^= mixed >> _U33
            mixed *= _MIX_1
            mixed ^= mixed >> _U33
            mixed *= _MIX_2
            mixed ^= mixed >> _U33
            mixed = max(mixed, _U1)
            slot = mixed & mask
            while table[slot] != _U0 and table[slot] != mixed:
                slot = (slot + _U1) & mask
            if table[slot] == _U0:
                table[slot] = mixed
                out[written] = mixed
                written += _U1
                if written > full:
                    # Long documents repeat themselves: a table of all their words would not be
                    # in any cache (40 MB of XML: half the time).
                    capacity <<= _U1
                    mask = capacity - _U1
                    full = begin_written + (capacity >> _U1)
                    table[:capacity] = _U0
                    for position in range(begin_written, written):
                        slot = out[position] & mask
                        while table[slot] != _U0:
                            slot = (slot + _U1) & mask
                        table[slot] = out[position]
    starts[num_documents] = written
    return written


def _sketch(starts: Any, shingles: Any, out: Any) -> None:
    """Fills one row of 256 minima per document: Fast Similarity Sketching.

    Dahlgaard, Knudsen, Thorup, FOCS 2017. Round r throws every shingle into one of the 256 bins; a
    bin keeps its minimum and closes at the end of the round that filled it; after 256 rounds each
    open bin takes the minimum over all shingles. As with 256 independent permutations, two sets
    agree in a coordinate with probability equal to their Jaccard similarity, with no larger
    variance, but a document of n shingles costs n + 256 ln 256 steps and not 256 n. Short
    documents fill their bins in later rounds, so they keep the recall that one-permutation
    hashing with copied bins loses.
    """
    closed = np.empty(NUM_HASHES, dtype=np.bool_)
    filled = np.empty(NUM_HASHES, dtype=np.uint8)
    for document in range(starts.shape[0] - 1):
        begin, end = np.uint64(starts[document]), np.uint64(starts[document + 1])
        row = out[document]
        row[:] = _EMPTY
        for position in range(begin, end):
            mixed = shingles[position]
            bin_ = mixed >> _U56
            value = np.uint32((mixed >> _U24) & _LOW_32)
            row[bin_] = min(row[bin_], value)
        num_open = 0
        for bin_index in range(NUM_HASHES):
            closed[bin_index] = row[bin_index] != _EMPTY
            num_open += 0 if closed[bin_index] else 1
        seed = _U0
        for turn in range(1, 2 * NUM_HASHES):
            if num_open == 0:
                break
            seed += _ROUND_STEP
            if turn >= NUM_HASHES and closed[turn - NUM_HASHES]:
                continue
            # A short document has hundreds of rounds: bins are closed by name, not by a look at
            # all of them.
            num_filled = 0
            for position in range(begin, end):
                mixed = (shingles[position] + seed) * _MIX_1
                mixed ^= mixed >> _U32
                mixed *= _MIX_2
                value = np.uint32((mixed >> _U24) & _LOW_32)
                bin_ = mixed >> _U56
                if turn >= NUM_HASHES:
                    bin_ = np.uint64(turn - NUM_HASHES)
                if not closed[bin_] and value < row[bin_]:
                    if row[bin_] == _EMPTY:
                        filled[num_filled] = bin_
                        num_filled += 1
                    row[bin_] = value
            for index in range(num_filled):
                closed[filled[index]] = True
            num_open -= num_filled


def _normalize(offsets: Any, data: Any, folds: Any, starts: Any, out: Any) -> None:
    """Writes each document in ASCII lower case, white space collapsed to one blank and trimmed."""
    cursor = _U0
    for document in range(offsets.shape[0] - 1):
        first = cursor
        starts[document] = first
        blank = _U1
        for position in range(np.uint64(offsets[document]), np.uint64(offsets[document + 1])):
            byte = folds[data[position]]
            is_blank = _U1 if byte == 32 else _U0
            out[cursor] = byte
            cursor += _U1 - (is_blank & blank)
            blank = is_blank
        if cursor > first and out[cursor - _U1] == 32:
            cursor -= _U1
    starts[offsets.shape[0] - 1] = cursor


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled kernels; see the function of the same name, here or in `pair_kernels.py`."""

    shingle: Callable[..., int]
    sketch: Callable[..., None]
    normalize: Callable[..., None]
    buckets: Callable[..., None]
    pairs: Callable[..., tuple[int, int]]
    ordered: Callable[..., None]
    jaccard: Callable[..., None]
    components: Callable[..., None]
    survivors: Callable[..., None]


@cache
def kernels() -> Kernels:
    """Compiles the kernels, or loads them from numba's cache beside this file.

    Where neither that folder, nor the user's cache folder, nor `NUMBA_CACHE_DIR` can be written,
    they are compiled for this process alone.
    """
    import numba

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # numba: "no locator available"
            return numba.njit(nogil=True)(function)

    return Kernels(
        shingle=compiled(_shingle),
        sketch=compiled(_sketch),
        normalize=compiled(_normalize),
        buckets=compiled(pair_kernels.buckets),
        pairs=compiled(pair_kernels.pairs),
        ordered=compiled(pair_kernels.ordered),
        jaccard=compiled(pair_kernels.jaccard),
        components=compiled(pair_kernels.components),
        survivors=compiled(pair_kernels.survivors),
    )
