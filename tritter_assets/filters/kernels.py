# ruff: noqa: PLR0912, PLR0915, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
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


def text_statistics(data, offsets):
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
                longest = max(longest, current)
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
                if (
                    b == 0xEF
                    and i + 2 < offsets[d + 1]
                    and data[i + 1] == 0xBF
                    and data[i + 2] == 0xBD
                ):
                    replaced += 1
        if last != 10:
            lines += 1
        longest = max(longest, current)
        out[d, 0] = lines
        out[d, 1] = chars
        out[d, 2] = longest
        out[d, 3] = alnum
        out[d, 4] = nul
        out[d, 5] = replaced
    return out


def comment_bytes(data, offsets, families):
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
                            if (
                                data[i] == b
                                and i + 2 < end
                                and data[i + 1] == b
                                and data[i + 2] == b
                            ):
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
                    is_prefix = b == 114 or b == 82 or b == 117 or b == 85
                    quoted = i + 1 < end and (data[i + 1] == 34 or data[i + 1] == 39)
                    if not (is_prefix and quoted):
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
                    # 'x' and '\n' are literals, 'a is a Rust lifetime; strings end in their line.
                    j = i + 1
                    while j < end and data[j] != 39 and data[j] != 10:
                        if data[j] == 92:
                            j += 1
                        j += 1
                    if (
                        j < end
                        and data[j] == 39
                        and (
                            j - i <= 5
                            or data[i + 1] == 92
                            or not (97 <= (data[i + 1] | 32) <= 122 or data[i + 1] == 95)
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
