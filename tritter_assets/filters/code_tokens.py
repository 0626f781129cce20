# ruff: noqa: PLR0912, PLR0915, PLR0917, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Compiled loop that splits Python into tokens, for decontamination.

A lexer, not a parser: it never fails, whatever it is given, and is linear in the text. Importing
this module imports numba (a second), so only code that is about to look for benchmarks does.

numba keeps machine code on disk by the file of the function that is called first. After a change
here `window_kernels.CODE_TOKENS` must be renewed, or old code would run; a test says so.
"""

from __future__ import annotations

import numba
import numpy as np

PRIME = np.uint64(0x100000001B3)
BASIS = np.uint64(0xCBF29CE484222325)
MIXER = np.uint64(0x9E3779B97F4A7C15)
"""FNV-1a's prime and basis, and the golden ratio that spreads bits."""

_KEPT_BITS = np.uint64(0xFFFF)

jit = numba.njit(cache=True, nogil=True)
"""Compiles on first use, keeps the machine code beside this package, releases the lock."""


@jit
def place_of(values, wanted):
    """Returns where `wanted` stands in the sorted `values`, or -1."""
    low = 0
    high = values.shape[0]
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < values.shape[0] and values[low] == wanted else -1


def _word_bytes():
    table = np.zeros(256, np.bool_)
    table[128:] = True  # every byte of what is not ASCII
    for char in "abcdefghijklmnopqrstuvwxyz":
        table[[ord(char), ord(char.upper())]] = True
    table[[ord(char) for char in "0123456789_"]] = True
    return table


WORD = _word_bytes()
"""Byte -> whether it belongs to a name or a number."""


@jit
def _number(data, i, end):
    """Reads a number, however it is spelt (1_000, 1., 1e3, 0xff), and returns (hash, its end)."""
    base = np.uint64(10)
    if data[i] == 48 and i + 2 < end and WORD[data[i + 2]]:
        mark = data[i + 1] | 32
        if mark == 120:
            base = np.uint64(16)
        elif mark == 111:
            base = np.uint64(8)
        elif mark == 98:
            base = np.uint64(2)
    if base != np.uint64(10):
        i += 2
    value = np.uint64(0)
    exponent = 0
    point = False
    whole = True
    other = np.uint64(0)
    while i < end:
        b = data[i]
        if b == 95:
            i += 1
            continue
        if b == 46 and base == 10 and not point:
            if i + 1 < end and ((97 <= (data[i + 1] | 32) <= 122) and (data[i + 1] | 32) != 101):
                break  # an attribute: 1.real
            point = True
            whole = False
            i += 1
            continue
        digit = 255
        if 48 <= b <= 57:
            digit = b - 48
        elif 97 <= (b | 32) <= 102 and base == 16:
            digit = (b | 32) - 87
        elif (
            (b | 32) == 101
            and i + 1 < end
            and (48 <= data[i + 1] <= 57 or data[i + 1] == 45 or data[i + 1] == 43)
        ):
            sign = 1
            i += 1
            if data[i] == 45 or data[i] == 43:
                sign = -1 if data[i] == 45 else 1
                i += 1
            power = 0
            while i < end and 48 <= data[i] <= 57:
                power = min(power * 10 + np.int64(data[i] - 48), 9999)
                i += 1
            exponent += sign * power
            whole = False
            continue
        elif WORD[b]:
            other = (other ^ np.uint64(b)) * PRIME
            i += 1
            continue
        else:
            break
        value = value * base + np.uint64(digit)
        if point:
            exponent -= 1
        i += 1
    if not whole:
        while value != 0 and value % np.uint64(10) == 0:
            value //= np.uint64(10)
            exponent += 1
        if value == 0:
            exponent = 0
    h = (BASIS ^ value) * PRIME
    h = (h ^ np.uint64(exponent + 20000)) * PRIME
    h = (h ^ np.uint64(whole)) * PRIME
    return (h ^ other) * MIXER, i


@jit
def _end_of_string(data, i, end, triple):
    """Returns the first byte behind a string whose text begins at `i`."""
    quote = data[i - 1]
    while i < end:
        b = data[i]
        if b == 92:
            i += 2
            continue
        if b == quote:
            if not triple:
                return i + 1
            if i + 2 < end and data[i + 1] == quote and data[i + 2] == quote:
                return i + 3
        if b == 10 and not triple:
            return i
        i += 1
    return end


@jit
def _ends_line(data, i, end):
    while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 13):
        i += 1
    return i >= end or data[i] == 10 or data[i] == 35


@jit
def kept_table(kept):
    """Returns the low bits of hashes -> whether one of `kept` has them; spares most searches."""
    table = np.zeros(np.int64(_KEPT_BITS) + 1, np.bool_)
    for h in kept:
        table[h & _KEPT_BITS] = True
    return table


@jit
def split_tokens(
    data, begin, end, kept, maybe_kept, def_hash, document, codes, previous, following, positions,
    indents, defs, names, table, latest, owner,
):  # fmt: skip
    """Splits one document into tokens that renaming and reformatting leave alone.

    White space, comments, triple-quoted strings, strings that are statements, brackets `()`,
    commas, semicolons and backslashes are no tokens. A name is 0 in `codes` and has in `previous`
    the token of its last use, in `following` that of its next; keywords and builtins (`kept`,
    and `kept_table` of them),
    names after a dot, names of keyword arguments, numbers and other strings are hashed as they
    stand. `indents` holds the indentation
    of a token that begins a logical line, else -1. `defs` gets (token, first token of the body,
    indentation) of each `def`, whose hash is `def_hash`; `names` the hash of its name.

    Returns:
        (tokens, defs).
    """
    used = 64
    while used < end - begin:
        used *= 2
    mask = np.uint64(used - 1)
    tokens = 0
    num_defs = 0
    i = begin
    depth = 0
    after_dot = False
    in_signature = False
    formatted = False  # the string that comes has holes, whose text is not looked at
    fresh = True  # nothing of this logical line was seen yet
    indent = 0
    while i < end:
        b = data[i]
        if b == 10:
            i += 1
            width = 0
            while i < end and (data[i] == 32 or data[i] == 9):
                width = width + 1 if data[i] == 32 else (width // 8 + 1) * 8
                i += 1
            if depth == 0:
                fresh = True
                indent = width
            elif i + 5 < end and (
                (data[i] == 100 and data[i + 1] == 101 and data[i + 2] == 102 and data[i + 3] == 32)
                or (data[i] == 99 and data[i + 1] == 108 and data[i + 2] == 97
                    and data[i + 3] == 115 and data[i + 4] == 115 and data[i + 5] == 32)
            ):  # fmt: skip
                depth = 0  # neither word can stand inside brackets: one was never closed
                fresh = True
                indent = width
                in_signature = False
            continue
        if b <= 32 or b == 44 or b == 92:
            if b == 92 and i + 1 < end and (data[i + 1] == 10 or data[i + 1] == 13):
                while i < end and data[i] != 10:
                    i += 1
                i += 1
                continue
            i += 1
            continue
        if b == 59:
            if depth == 0:
                fresh = True
            i += 1
            continue
        if b == 40 or b == 41:
            depth = depth + 1 if b == 40 else max(depth - 1, 0)
            after_dot = False
            i += 1
            continue
        if b == 35:
            while i < end and data[i] != 10:
                i += 1
            continue
        start = i
        if b == 34 or b == 39:
            triple = i + 2 < end and data[i + 1] == b and data[i + 2] == b
            i = min(i + (3 if triple else 1), end)
            text = i
            i = min(_end_of_string(data, i, end, triple), end)
            statement = fresh and depth == 0 and _ends_line(data, i, end)
            after_dot = False
            if triple or statement:
                formatted = False
                continue
            h = BASIS
            hole = 0
            for j in range(text, max(i - 1, text)):
                if formatted and data[j] == 123:
                    hole += 1
                if data[j] != 92 and hole == 0:
                    h = (h ^ np.uint64(data[j])) * PRIME
                if formatted and data[j] == 125:
                    hole = max(hole - 1, 0)
            formatted = False
            codes[tokens] = (h * MIXER) | np.uint64(1)
            previous[tokens] = -1
            positions[tokens] = start - begin
            indents[tokens] = indent if fresh else -1
            fresh = False
            tokens += 1
            continue
        indents[tokens] = indent if fresh else -1
        positions[tokens] = start - begin
        previous[tokens] = -1
        if 48 <= b <= 57 or (b == 46 and i + 1 < end and 48 <= data[i + 1] <= 57 and not after_dot):
            h, i = _number(data, i, end)
            codes[tokens] = h | np.uint64(1)
            fresh = False
            tokens += 1
            after_dot = False
            continue
        if WORD[b]:
            h = BASIS
            while i < end and WORD[data[i]]:
                h = (h ^ np.uint64(data[i])) * PRIME
                i += 1
            if i < end and (data[i] == 34 or data[i] == 39) and i - start <= 2:
                first = data[start] | 32
                second = data[i - 1] | 32
                known = first == 114 or first == 98 or first == 102 or first == 117
                if known and (second == 114 or second == 98 or second == 102 or second == 117):
                    formatted = first == 102 or second == 102
                    continue  # a prefix of a string
            fixed = after_dot or (maybe_kept[h & _KEPT_BITS] and place_of(kept, h) >= 0)
            if not fixed and depth > 0 and not in_signature:
                j = i
                while j < end and data[j] == 32:
                    j += 1
                fixed = j + 1 < end and data[j] == 61 and data[j + 1] != 61
            codes[tokens] = h | np.uint64(1)
            if not fixed:
                slot = (h * MIXER >> np.uint64(20)) & mask
                while owner[slot] == document and table[slot] != h:
                    slot = (slot + np.uint64(1)) & mask
                codes[tokens] = np.uint64(0)
                following[tokens] = -1
                if owner[slot] == document:
                    previous[tokens] = latest[slot]
                    following[latest[slot]] = tokens
                owner[slot] = document
                table[slot] = h
                latest[slot] = tokens
            elif h == def_hash and not after_dot:
                in_signature = True
                defs[num_defs, 0] = tokens
                defs[num_defs, 1] = -1
                defs[num_defs, 2] = indent
                num_defs += 1
            if num_defs and defs[num_defs - 1, 0] == tokens - 1:
                names[num_defs - 1] = h
            fresh = False
            tokens += 1
            after_dot = False
            continue
        if b == 91 or b == 123:
            depth += 1
        elif b == 93 or b == 125:
            depth = max(depth - 1, 0)
        codes[tokens] = (np.uint64(b) * MIXER) | np.uint64(1)
        fresh = False
        tokens += 1
        after_dot = b == 46
        i += 1
        if b == 58 and depth == 0 and in_signature:
            in_signature = False
            defs[num_defs - 1, 1] = tokens
    return tokens, num_defs
