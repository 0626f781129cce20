"""Compiled loops over the UTF-8 bytes of many documents at once.

The functions here are plain Python; `compiled` makes machine code of them with numba on first use,
so that importing this module costs nothing. Documents come as Arrow buffers (`ByteColumn`):
no copy per document, and the lock of the interpreter is released.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

BytesArray = np.ndarray[Any, np.dtype[np.uint8]]
OffsetArray = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class ByteColumn:
    """The concatenated UTF-8 bytes of a string column and where each row begins."""

    data: BytesArray
    offsets: OffsetArray

    @classmethod
    def of(cls, column: pl.Series) -> ByteColumn:
        """Takes the buffers of a string column without nulls."""
        import pyarrow as pa

        array = column.to_arrow().cast(pa.large_string())
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        _, offsets, data = array.buffers()
        if len(array) == 0 or offsets is None:
            return cls(np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64))
        starts = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        raw = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        return cls(raw, starts)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the machine code of a kernel; cached on disk beside this package."""
    import numba

    return numba.njit(cache=True, nogil=True)(function)


def text_statistics(data, offsets):  # noqa: ANN001, ANN201, D417
    """Counts, per document, in one pass of about 1 GB/s.

    Returns:
        An int64 array of shape (documents, 6): lines, characters without line ends, characters of
        the longest line, ASCII alphanumeric and non-ASCII characters, NULs, replacement
        characters (U+FFFD).
    """
    num_documents = offsets.shape[0] - 1
    out = np.zeros((num_documents, 6), np.int64)
    for d in range(num_documents):
        lines = 0
        chars = 0
        longest = 0
        current = 0
        alnum = 0
        nul = 0
        replaced = 0
        last = np.uint8(10)
        for i in range(offsets[d], offsets[d + 1]):
            b = data[i]
            last = b
            if b == 10:
                lines += 1
                if current > longest:
                    longest = current
                current = 0
            elif b & 0xC0 != 0x80:
                if b == 13:
                    continue
                current += 1
                chars += 1
                if b >= 0xC0 or 48 <= b <= 57 or 97 <= (b | 32) <= 122:
                    alnum += 1
                elif b == 0:
                    nul += 1
                if b == 0xEF and i + 2 < offsets[d + 1] and data[i + 1] == 0xBF and data[i + 2] == 0xBD:
                    replaced += 1
        if last != 10:
            lines += 1
        if current > longest:
            longest = current
        out[d, 0] = lines
        out[d, 1] = chars
        out[d, 2] = longest
        out[d, 3] = alnum
        out[d, 4] = nul
        out[d, 5] = replaced
    return out


def comment_bytes(data, offsets, families):  # noqa: ANN001, ANN201, D417
    """Counts bytes inside comments and bytes that are not white space, per document.

    A lexer, not a parser. Family 1 (Python): `#` to the end of the line, and triple-quoted
    strings that begin a logical line outside brackets, i.e. docstrings. Family 2 (C-like,
    Rust, JavaScript, Go): `//`, nested `/* */`; strings, Rust raw strings, character literals and
    lifetimes are told apart. Family 3 (shell, YAML, TOML, Ruby): `#` at the start of a word.
    A JavaScript regular expression that holds a quote or `//` can mislead it.

    Returns:
        An int64 array of shape (documents, 2): comment bytes, all bytes, both without white space.
    """
    num_documents = offsets.shape[0] - 1
    out = np.zeros((num_documents, 2), np.int64)
    for d in range(num_documents):
        family = families[d]
        i = offsets[d]
        end = offsets[d + 1]
        comment = 0
        total = 0
        depth = 0
        start_of_statement = True
        previous = np.uint8(10)
        while i < end:
            b = data[i]
            if b <= 32:
                if b == 10 and depth == 0:
                    start_of_statement = True
                previous = b
                i += 1
                continue
            begin = i
            is_comment = False
            if family == 1 or family == 3:
                if b == 35 and (family == 1 or previous <= 32):
                    is_comment = True
                    while i < end and data[i] != 10:
                        i += 1
                elif b == 34 or b == 39:
                    triple = i + 2 < end and data[i + 1] == b and data[i + 2] == b
                    if triple and family == 1:
                        is_comment = start_of_statement
                        i += 3
                        while i < end:
                            if data[i] == 92:
                                i += 2
                                continue
                            if data[i] == b and i + 2 < end and data[i + 1] == b and data[i + 2] == b:
                                i += 3
                                break
                            if data[i] == b and i + 2 >= end:
                                i = end
                                break
                            i += 1
                    else:
                        i += 1
                        while i < end and data[i] != b and data[i] != 10:
                            if data[i] == 92:
                                i += 1
                            i += 1
                        if i < end and data[i] == b:
                            i += 1
                    start_of_statement = False
                else:
                    if b == 40 or b == 91 or b == 123:
                        depth += 1
                    elif (b == 41 or b == 93 or b == 125) and depth > 0:
                        depth -= 1
                    # A prefix (r, b, f, u) does not end the start of a statement.
                    if not (b == 114 or b == 82 or b == 117 or b == 85):
                        start_of_statement = False
                    elif not (i + 1 < end and (data[i + 1] == 34 or data[i + 1] == 39)):
                        start_of_statement = False
                    i += 1
            elif family == 2:
                following = data[i + 1] if i + 1 < end else np.uint8(0)
                word = (48 <= previous <= 57) or (97 <= (previous | 32) <= 122) or previous == 95
                if b == 47 and following == 47:
                    is_comment = True
                    while i < end and data[i] != 10:
                        i += 1
                elif b == 47 and following == 42:
                    is_comment = True
                    nested = 1
                    i += 2
                    while i < end and nested > 0:
                        if data[i] == 42 and i + 1 < end and data[i + 1] == 47:
                            nested -= 1
                            i += 2
                        elif data[i] == 47 and i + 1 < end and data[i + 1] == 42 and family == 2:
                            # Rust nests; C does not, and then a stray '/*' inside is rare.
                            nested += 1
                            i += 2
                        else:
                            i += 1
                elif b == 114 and not word and (following == 34 or following == 35):
                    hashes = 0
                    j = i + 1
                    while j < end and data[j] == 35:
                        hashes += 1
                        j += 1
                    if j < end and data[j] == 34:
                        j += 1
                        while j < end:
                            if data[j] == 34:
                                k = j + 1
                                while k < end and k - j - 1 < hashes and data[k] == 35:
                                    k += 1
                                if k - j - 1 == hashes:
                                    j = k
                                    break
                            j += 1
                        i = j
                    else:
                        i += 1
                elif b == 34 or b == 96:
                    i += 1
                    while i < end and data[i] != b:
                        if data[i] == 92:
                            i += 1
                        i += 1
                    i += 1
                elif b == 39:
                    # 'x' and '\n' are literals, 'a: a Rust lifetime; JavaScript strings end in line.
                    j = i + 1
                    while j < end and data[j] != 39 and data[j] != 10:
                        if data[j] == 92:
                            j += 1
                        j += 1
                    if j < end and data[j] == 39 and (
                        j - i <= 5 or data[i + 1] == 92 or not (
                            97 <= (data[i + 1] | 32) <= 122 or data[i + 1] == 95
                        )
                    ):
                        i = j + 1
                    else:
                        i += 1
                else:
                    i += 1
            else:
                i += 1
            i = min(i, end)
            previous = data[i - 1]
            for j in range(begin, i):
                if data[j] > 32:
                    total += 1
                    if is_comment:
                        comment += 1
        out[d, 0] = comment
        out[d, 1] = total
    return out


def code_windows(  # noqa: D417
    data, offsets, kept, window, grams, bitmap, emit_all, out_document, out_gram, out_position
):  # noqa: ANN001, ANN201
    """Hashes every window of `window` code tokens so that renaming and reformatting change nothing.

    White space, comments, triple-quoted strings, brackets `()`, commas, semicolons and backslashes
    are no tokens. A name that may be renamed is written as the distance to its last use inside the
    window, 0 for its first (the parameterised matching of Baker, 1993). Names in `kept`, names
    after a dot, numbers and short strings are hashed as they stand.

    Args:
        kept: Sorted hashes (FNV-1a) of keywords and builtins.
        grams: Sorted hashes that are looked for; ignored with `emit_all`.
        bitmap: 2^24 bits of `grams`, to rule most windows out.
        emit_all: Write every window's hash to `out_gram` instead of the index of a match.
        out_document, out_gram, out_position: Filled; position is a byte offset in the document.

    Returns:
        Number of entries, which may exceed the capacity of the outputs: then call again.
    """
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    mixer = np.uint64(0x9E3779B97F4A7C15)
    longest = 0
    num_documents = offsets.shape[0] - 1
    for d in range(num_documents):
        longest = max(longest, offsets[d + 1] - offsets[d])
    codes = np.empty(longest + 1, np.uint64)
    previous = np.empty(longest + 1, np.int64)
    positions = np.empty(longest + 1, np.int64)
    size = 64
    while size < longest:
        size *= 2
    table = np.zeros(size, np.uint64)
    latest = np.zeros(size, np.int64)
    owner = np.full(size, -1, np.int64)
    capacity = out_document.shape[0]
    found = 0
    for d in range(num_documents):
        begin = offsets[d]
        end = offsets[d + 1]
        length = end - begin
        used = 64
        while used < length:
            used *= 2
        mask = np.uint64(used - 1)
        tokens = 0
        i = begin
        after_dot = False
        while i < end:
            b = data[i]
            if b <= 32 or b == 40 or b == 41 or b == 44 or b == 59 or b == 92:
                i += 1
                continue
            if b == 35:
                while i < end and data[i] != 10:
                    i += 1
                continue
            start = i
            h = basis
            if b == 34 or b == 39:
                if i + 2 < end and data[i + 1] == b and data[i + 2] == b:
                    i += 3
                    while i < end:
                        if data[i] == 92:
                            i += 2
                            continue
                        if data[i] == b and i + 2 < end and data[i + 1] == b and data[i + 2] == b:
                            break
                        i += 1
                    i = min(i + 3, end)
                    after_dot = False
                    continue
                i += 1
                while i < end and data[i] != b and data[i] != 10:
                    if data[i] == 92 and i + 1 < end:
                        i += 1
                    h = (h ^ np.uint64(data[i])) * prime
                    i += 1
                i = min(i + 1, end)
                codes[tokens] = h | np.uint64(1)
                previous[tokens] = -1
                positions[tokens] = start - begin
                tokens += 1
                after_dot = False
                continue
            letter = (97 <= (b | 32) <= 122) or b == 95 or b >= 128
            digit = 48 <= b <= 57
            if letter or digit:
                while i < end:
                    c = data[i]
                    if not (
                        (97 <= (c | 32) <= 122) or c == 95 or c >= 128 or (48 <= c <= 57)
                        or (digit and c == 46)
                    ):
                        break
                    h = (h ^ np.uint64(c)) * prime
                    i += 1
                if letter and i < end and (data[i] == 34 or data[i] == 39) and i - start <= 2:
                    continue  # a prefix of a string
                fixed = digit or after_dot
                if not fixed:
                    low = 0
                    high = kept.shape[0]
                    while low < high:
                        middle = (low + high) // 2
                        if kept[middle] < h:
                            low = middle + 1
                        else:
                            high = middle
                    fixed = low < kept.shape[0] and kept[low] == h
                codes[tokens] = h | np.uint64(1)
                previous[tokens] = -1
                if not fixed:
                    slot = (h * mixer >> np.uint64(20)) & mask
                    while owner[slot] == d and table[slot] != h:
                        slot = (slot + np.uint64(1)) & mask
                    codes[tokens] = np.uint64(0)
                    if owner[slot] == d:
                        previous[tokens] = latest[slot]
                    owner[slot] = d
                    table[slot] = h
                    latest[slot] = tokens
                positions[tokens] = start - begin
                tokens += 1
                after_dot = False
                continue
            codes[tokens] = (np.uint64(b) * mixer) | np.uint64(1)
            previous[tokens] = -1
            positions[tokens] = start - begin
            tokens += 1
            after_dot = b == 46
            i += 1
        for first in range(tokens - window + 1):
            h = basis
            for j in range(first, first + window):
                value = codes[j]
                if value == 0:
                    back = previous[j]
                    value = np.uint64(2) if back < first else np.uint64(2 * (j - back) + 2)
                h = (h ^ value) * prime
                h ^= h >> np.uint64(29)
            if emit_all:
                if found < capacity:
                    out_document[found] = d
                    out_gram[found] = h
                    out_position[found] = positions[first]
                found += 1
                continue
            bit = h & np.uint64(0xFFFFFF)
            if not (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
                continue
            low = 0
            high = grams.shape[0]
            while low < high:
                middle = (low + high) // 2
                if grams[middle] < h:
                    low = middle + 1
                else:
                    high = middle
            if low < grams.shape[0] and grams[low] == h:
                if found < capacity:
                    out_document[found] = d
                    out_gram[found] = np.uint64(low)
                    out_position[found] = positions[first]
                found += 1
    return found


def word_windows(  # noqa: D417
    data, offsets, window, grams, bitmap, emit_all, out_document, out_gram, out_position
):  # noqa: ANN001, ANN201
    """Hashes every window of `window` words: letters in lower case and digits, all else is a gap.

    Arguments and result as for `code_windows`.
    """
    prime = np.uint64(0x100000001B3)
    basis = np.uint64(0xCBF29CE484222325)
    capacity = out_document.shape[0]
    ring = np.zeros(64, np.uint64)
    where = np.zeros(64, np.int64)
    found = 0
    for d in range(offsets.shape[0] - 1):
        words = 0
        i = offsets[d]
        end = offsets[d + 1]
        while i < end:
            b = data[i]
            if not ((97 <= (b | 32) <= 122) or b >= 128 or (48 <= b <= 57)):
                i += 1
                continue
            where[words & 63] = i - offsets[d]
            h = basis
            while i < end:
                b = data[i]
                if 65 <= b <= 90:
                    b = np.uint8(b + 32)
                if not ((97 <= b <= 122) or b >= 128 or (48 <= b <= 57)):
                    break
                h = (h ^ np.uint64(b)) * prime
                i += 1
            ring[words & 63] = h
            words += 1
            if words < window:
                continue
            h = basis
            for j in range(words - window, words):
                h = (h ^ ring[j & 63]) * prime
                h ^= h >> np.uint64(29)
            place = where[(words - window) & 63]
            if emit_all:
                if found < capacity:
                    out_document[found] = d
                    out_gram[found] = h
                    out_position[found] = place
                found += 1
                continue
            bit = h & np.uint64(0xFFFFFF)
            if not (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
                continue
            low = 0
            high = grams.shape[0]
            while low < high:
                middle = (low + high) // 2
                if grams[middle] < h:
                    low = middle + 1
                else:
                    high = middle
            if low < grams.shape[0] and grams[low] == h:
                if found < capacity:
                    out_document[found] = d
                    out_gram[found] = np.uint64(low)
                    out_position[found] = place
                found += 1
    return found
