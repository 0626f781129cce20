# ruff: noqa: PLR0912, PLR0915, PLR0917, PLR1714
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Compiled loops that turn text into hashes of what it says, for decontamination.

Importing this module imports numba (a second), so only code that is about to look for benchmarks
does. Everything is linear in the text: a window costs its length, a function at most
`longest` tokens, however deep functions are nested.
"""

from __future__ import annotations

import numba
import numpy as np

PRIME = np.uint64(0x100000001B3)
BASIS = np.uint64(0xCBF29CE484222325)
MIXER = np.uint64(0x9E3779B97F4A7C15)
WINDOW, FUNCTION, BODY, NAMED = 0, 1, 2, 3
"""Kinds of grams: a window, a function without its name, its body, its name and body."""

FUNCTION_SEED = np.uint64(0x2545F4914F6CDD1D)
BODY_SEED = np.uint64(0xD6E8FEB86659FD93)
NAMED_SEED = np.uint64(0xA0761D6478BD642F)
_U2 = np.uint64(2)
_LOW_BITS = np.uint64(0xFFFFFF)

_jit = numba.njit(cache=True, nogil=True)


@_jit
def _place(values, wanted):
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


@_jit
def _emit(found, document, gram, position, token, kind, grams, bitmap, emit_all, out):
    """Notes one hash if it is looked for; returns the number noted, which may exceed the room."""
    place = np.int64(0)
    if not emit_all:
        bit = gram & _LOW_BITS
        if not (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
            return found
        place = _place(grams, gram)
        if place < 0:
            return found
    if found < out.shape[0]:
        out[found, 0] = document
        out[found, 1] = np.int64(gram) if emit_all else place
        out[found, 2] = position
        out[found, 3] = token
        out[found, 4] = kind
    return found + 1


@_jit
def _is_word(b):
    return (97 <= (b | 32) <= 122) or b == 95 or b >= 128 or (48 <= b <= 57)


@_jit
def _number(data, i, end):
    """Reads a number, however it is spelt (1_000, 1., 1e3, 0xff), and returns (hash, its end)."""
    base = np.uint64(10)
    if data[i] == 48 and i + 2 < end and _is_word(data[i + 2]):
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
        elif _is_word(b):
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


@_jit
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


@_jit
def _ends_line(data, i, end):
    while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 13):
        i += 1
    return i >= end or data[i] == 10 or data[i] == 35


@_jit
def _tokens(
    data, begin, end, kept, def_hash, document, codes, previous, following, positions,
    indents, defs, names, table, latest, owner,
):  # fmt: skip
    """Splits one document into tokens that renaming and reformatting leave alone.

    White space, comments, triple-quoted strings, strings that are statements, brackets `()`,
    commas, semicolons and backslashes are no tokens. A name is 0 in `codes` and has in `previous`
    the token of its last use, in `following` that of its next; keywords and builtins (`kept`),
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
        if _is_word(b):
            h = BASIS
            while i < end and _is_word(data[i]):
                h = (h ^ np.uint64(data[i])) * PRIME
                i += 1
            if i < end and (data[i] == 34 or data[i] == 39) and i - start <= 2:
                first = data[start] | 32
                second = data[i - 1] | 32
                known = first == 114 or first == 98 or first == 102 or first == 117
                if known and (second == 114 or second == 98 or second == 102 or second == 117):
                    formatted = first == 102 or second == 102
                    continue  # a prefix of a string
            fixed = after_dot or _place(kept, h) >= 0
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


@_jit
def _power(exponent):
    power = np.uint64(1)
    for _ in range(exponent):
        power *= PRIME
    return power


@_jit
def _mixed(h):
    """Spreads a sum of products over all 64 bits, the low ones too."""
    h = (h ^ (h >> np.uint64(32))) * MIXER
    return h ^ (h >> np.uint64(29))


@_jit
def _value(codes, previous, token, first):
    """What a token is in a span that begins at `first`: a name is the distance to its last use."""
    value = codes[token]
    if value == 0:
        back = previous[token]
        value = _U2 if back < first else np.uint64(2 * (token - back) + 2)
    return value


@_jit
def _span_hash(codes, previous, first, last):
    """Hashes tokens [first, last)."""
    h = BASIS
    for j in range(first, last):
        h = h * PRIME + _value(codes, previous, j, first)
    return _mixed(h)


@_jit
def code_grams(
    data, offsets, kept, def_hash, window, shortest_function, shortest_body, longest,
    grams, bitmap, emit_all, out,
):  # fmt: skip
    """Hashes every window of `window` code tokens, every function and every body of a function.

    Names are written as distances (the parameterised matching of Baker, 1993). A function runs to
    the first logical line that is indented no deeper than its `def`; one of more than `longest`
    tokens is left out. `grams` are the sorted hashes that are looked for, `bitmap` 2^24 bits of
    them that rule most out. A row of `out` is document, index of the gram (with `emit_all` the
    hash itself), byte offset, number of the first token, kind.

    Returns:
        Number of rows, which may exceed the room in `out`: then call again.
    """
    room = 0
    num_documents = offsets.shape[0] - 1
    for d in range(num_documents):
        room = max(room, offsets[d + 1] - offsets[d])
    codes = np.empty(room + 1, np.uint64)
    previous = np.empty(room + 1, np.int32)
    following = np.full(room + 1, -1, np.int32)
    positions = np.empty(room + 1, np.int32)
    indents = np.empty(room + 1, np.int32)
    defs = np.empty((room // 3 + 1, 3), np.int32)
    names = np.zeros(room // 3 + 1, np.uint64)
    size = 64
    while size < room:
        size *= 2
    table = np.zeros(size, np.uint64)
    latest = np.zeros(size, np.int32)
    owner = np.full(size, -1, np.int32)
    oldest = _power(window - 1)
    found = 0
    for d in range(num_documents):
        tokens, num_defs = _tokens(
            data, offsets[d], offsets[d + 1], kept, def_hash, d, codes, previous, following,
            positions, indents, defs, names, table, latest, owner,
        )  # fmt: skip
        rolled = np.uint64(0)
        for last in range(tokens):
            first = last - window + 1
            rolled = rolled * PRIME + _value(codes, previous, last, max(first, 0))
            if first < 0:
                continue
            h = _mixed(rolled)
            place = positions[first]
            found = _emit(found, d, h, place, first, WINDOW, grams, bitmap, emit_all, out)
            # The first token leaves: its name's next use becomes the first one.
            rolled -= _value(codes, previous, first, first) * oldest
            if codes[first] == 0:
                use = following[first]
                if 0 <= use <= last:
                    rolled += (_U2 - np.uint64(2 * (use - first) + 2)) * _power(last - use)
        for n in range(num_defs):
            first, body, indent = defs[n]
            if body < 0:
                continue
            limit = min(tokens, first + longest + 1)
            last = body
            while last < limit and (last == body or indents[last] < 0 or indents[last] > indent):
                last += 1
            if last - first > longest or last - body < 3:
                continue
            place = positions[first]
            inner = _span_hash(codes, previous, body, last)
            h = _mixed(inner ^ names[n] ^ NAMED_SEED)
            found = _emit(found, d, h, place, first, NAMED, grams, bitmap, emit_all, out)
            if last - body >= shortest_body:
                h = inner ^ BODY_SEED
                found = _emit(found, d, h, place, first, BODY, grams, bitmap, emit_all, out)
            if last - first >= shortest_function:
                h = _span_hash(codes, previous, first, last) ^ FUNCTION_SEED
                found = _emit(found, d, h, place, first, FUNCTION, grams, bitmap, emit_all, out)
    return found


@_jit
def densest(starts, tokens, grams, spans, num_grams, held, at):
    """Finds, per group of hits, the stretch of tokens that holds most distinct grams.

    Group g is the rows from `starts[g]` to `starts[g + 1]`, ordered by token. `held[g]` becomes
    the number of grams in its best stretch of `spans[g]` tokens, `at[g]` the row it begins with.
    """
    count = np.zeros(num_grams, np.int32)
    for g in range(starts.shape[0] - 1):
        distinct = 0
        low = starts[g]
        held[g] = 0
        for row in range(starts[g], starts[g + 1]):
            if count[grams[row]] == 0:
                distinct += 1
            count[grams[row]] += 1
            while tokens[row] - tokens[low] > spans[g]:
                count[grams[low]] -= 1
                if count[grams[low]] == 0:
                    distinct -= 1
                low += 1
            if distinct > held[g]:
                held[g] = distinct
                at[g] = low
        for row in range(low, starts[g + 1]):
            count[grams[row]] = 0


@_jit
def word_grams(data, offsets, window, grams, bitmap, emit_all, out):
    """Hashes every window of `window` words: letters in lower case and digits, all else is a gap.

    Arguments and result as for `code_grams`; `window` is at most 63.
    """
    ring = np.zeros(64, np.uint64)
    where = np.zeros(64, np.int64)
    oldest = _power(window)
    found = 0
    for d in range(offsets.shape[0] - 1):
        words = 0
        rolled = np.uint64(0)
        i = offsets[d]
        end = offsets[d + 1]
        while i < end:
            b = data[i]
            if b == 92 and i + 1 < end and (data[i + 1] == 110 or data[i + 1] == 116):
                i += 2  # line ends and tabs of text inside JSON or a string
                continue
            if b == 95 or not _is_word(b):
                i += 1
                continue
            where[words & 63] = i - offsets[d]
            h = BASIS
            while i < end:
                b = data[i]
                if 65 <= b <= 90:
                    b = np.uint8(b + 32)
                if b == 95 or not _is_word(b):
                    break
                h = (h ^ np.uint64(b)) * PRIME
                i += 1
            rolled = rolled * PRIME + h
            if words >= window:
                rolled -= ring[(words - window) & 63] * oldest
            ring[words & 63] = h
            words += 1
            if words < window:
                continue
            h = _mixed(rolled)
            first = words - window
            place = where[first & 63]
            found = _emit(found, d, h, place, first, WINDOW, grams, bitmap, emit_all, out)
    return found
