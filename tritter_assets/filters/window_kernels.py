# ruff: noqa: PLR0912, PLR0915, PLR0917, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Compiled loops that hash windows of code tokens and of words, for decontamination.

Plain Python, made into machine code by `kernels.compiled` on first use.
"""

from __future__ import annotations

import numpy as np


def code_windows(
    data, offsets, kept, window, grams, bitmap, emit_all, out_document, out_gram, out_position
):
    """Hashes every window of `window` code tokens so that renaming and reformatting change nothing.

    White space, comments, triple-quoted strings, brackets `()`, commas, semicolons and backslashes
    are no tokens. A name that may be renamed is written as the distance to its last use inside the
    window, 0 for its first (the parameterised matching of Baker, 1993). Names in `kept`, names
    after a dot, numbers and short strings are hashed as they stand.

    `kept` are the sorted FNV-1a hashes of keywords and builtins, `grams` the sorted hashes that are
    looked for, `bitmap` 2^24 bits of them that rule most windows out. With `emit_all` each window's
    hash goes to `out_gram`, else the index of each match. Positions are byte offsets in a document.

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
                        (97 <= (c | 32) <= 122)
                        or c == 95
                        or c >= 128
                        or (48 <= c <= 57)
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


def word_windows(
    data, offsets, window, grams, bitmap, emit_all, out_document, out_gram, out_position
):
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
