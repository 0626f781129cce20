# ruff: noqa: PLR0912, PLR0915, PLR0917
# numba compiles one function at a time, by position, and is slow with `in {...}`.
"""Compiled loops that turn text into hashes of what it says, for decontamination.

Importing this module imports numba (a second), so only code that is about to look for benchmarks
does. Everything is linear in the text: a window costs its length, a function at most
`longest` tokens, however deep functions are nested.
"""

from __future__ import annotations

import numpy as np

from tritter_assets.filters.code_tokens import (
    BASIS,
    PRIME,
    WORD,
    jit,
    kept_table,
    place_of,
    split_tokens,
)
from tritter_assets.filters.statement_kernels import (
    LOW_BITS,
    MAX_LEFT_OUT,
    MAX_STATEMENTS,
    SIGNED_SEED,
    is_wanted,
    mixed,
    span_hash,
    split_statements,
    statement_gram,
)

COMPILED_IN = "b02ed47862bf"
"""Of the files `code_tokens.py` and `statement_kernels.py`, whose loops are compiled into those of
this file."""

WINDOW, FUNCTION, BODY, NAMED = 0, 1, 2, 3
"""Kinds of grams: a window, a function without its name, its body, its name and body."""
EDITED, EDITED_BODY, STATEMENT = 4, 8, 12
"""A function as a set of statements, its body as one: plus the number left out; one statement."""
EDIT_SEEDS = np.array([0, 0x524BAED4963, 0x1FB21C651E9, 0x6A09E667F3B], np.uint64) << np.uint64(21)
"""What a gram is marked with, by statements left out."""

FUNCTION_SEED = np.uint64(0x2545F4914F6CDD1D)
BODY_SEED = np.uint64(0xD6E8FEB86659FD93)
NAMED_SEED = np.uint64(0xA0761D6478BD642F)


def _letters():
    table = np.where(WORD, np.arange(256), 0).astype(np.uint8)
    table[ord("A") : ord("Z") + 1] += 32
    table[ord("_")] = 0
    return table


LETTER = _letters()
"""Byte -> lower-case letter or digit, 0 for a gap between words."""
_U2 = np.uint64(2)


@jit
def _emit(found, document, gram, position, token, kind, grams, bitmap, emit_all, out):
    """Notes one hash if it is looked for; returns the number noted, which may exceed the room."""
    place = np.int64(0)
    if not emit_all:
        bit = gram & LOW_BITS
        if not (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
            return found
        place = place_of(grams, gram)
        if place < 0:
            return found
    if found < out.shape[0]:
        out[found, 0] = document
        out[found, 1] = np.int64(gram) if emit_all else place
        out[found, 2] = position
        out[found, 3] = token
        out[found, 4] = kind
    return found + 1


@jit
def _power(exponent):
    power = np.uint64(1)
    for _ in range(exponent):
        power *= PRIME
    return power


@jit
def _value(codes, previous, token, first):
    """What a token is in a span that begins at `first`: a name is the distance to its last use."""
    value = codes[token]
    if value == 0:
        back = previous[token]
        value = _U2 if back < first else np.uint64(2 * (token - back) + 2)
    return value


@jit
def _statement_grams(
    found, d, codes, previous, indents, roots, uses, starts, hashes, left_out, place, first, body,
    last, shortest_function, shortest_body, step, statements, grams, bitmap, emit_all, out,
):  # fmt: skip
    """Hashes a function as a set of statements, and again with some of them left out.

    Left out are those that no item has (`statements` is a bitmap of the others), and up to two
    more; `MAX_LEFT_OUT` at most. Of the function or of its body so many tokens must be left, and
    `step` more for each statement left out.
    """
    spare = last - first - shortest_function
    spare_body = last - body - shortest_body
    if spare < 0 and spare_body < 0:
        return found
    count = split_statements(codes, previous, indents, body, last, starts, hashes)
    strange = 0
    fewer = np.int64(0)
    bag = np.uint64(0)
    for i in range(count):
        left_out[i] = not emit_all and not is_wanted(hashes[i], statements)
        if left_out[i]:
            strange += 1
            fewer += starts[i + 1] - starts[i] + step
            if strange > MAX_LEFT_OUT or (fewer > spare and fewer > spare_body):
                return found
        else:
            bag += hashes[i]
        if emit_all:
            found = _emit(
                found, d, hashes[i], place, first, STATEMENT, grams, bitmap, emit_all, out
            )
    signature = span_hash(codes, previous, first, body) ^ SIGNED_SEED
    for one in range(-1 if count else 0, count):
        if one >= 0 and left_out[one]:
            continue
        # A second one is none while `two` is `one`.
        for two in range(one, count if one >= 0 else 0):
            num_left_out = strange + (one >= 0) + (two > one)
            if num_left_out > MAX_LEFT_OUT or (emit_all and two > one):
                break
            if two > one and left_out[two]:
                continue
            size = fewer
            rest = bag
            if one >= 0:
                size += starts[one + 1] - starts[one] + step
                rest -= hashes[one]
            if two > one:
                size += starts[two + 1] - starts[two] + step
                rest -= hashes[two]
            for signed in range(2):
                begin = first if signed else body
                room = spare if signed else spare_body
                gram = rest + signature if signed else rest
                if size > room or not (emit_all or is_wanted(gram, bitmap)):
                    continue
                if one >= 0:
                    left_out[one] = left_out[two] = True
                gram = statement_gram(
                    codes, previous, roots, uses, starts, hashes, left_out, count, begin, gram
                )
                if one >= 0:
                    left_out[one] = left_out[two] = False
                gram ^= EDIT_SEEDS[num_left_out]
                kind = (EDITED if signed else EDITED_BODY) + num_left_out
                found = _emit(found, d, gram, place, first, kind, grams, bitmap, emit_all, out)
    return found


@jit
def code_grams(
    data, offsets, kept, def_hash, window, shortest_function, shortest_body, longest,
    edited_function, edited_body, step, statements, grams, bitmap, emit_all, out,
):  # fmt: skip
    """Hashes every window of `window` code tokens, every function and every body of a function.

    Names are written as distances (the parameterised matching of Baker, 1993). A function runs to
    the first logical line that is indented no deeper than its `def`; one of more than `longest`
    tokens is left out. `grams` are the sorted hashes that are looked for, `bitmap` 2^21 bits of
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
    roots = np.empty(room + 1, np.int32)
    uses = np.zeros(room + 1, np.uint64)
    starts = np.empty(MAX_STATEMENTS + 1, np.int64)
    hashes = np.empty(MAX_STATEMENTS, np.uint64)
    left_out = np.zeros(MAX_STATEMENTS, np.bool_)
    maybe_kept = kept_table(kept)
    oldest = _power(window - 1)
    found = 0
    for d in range(num_documents):
        tokens, num_defs = split_tokens(
            data, offsets[d], offsets[d + 1], kept, maybe_kept, def_hash, d, codes, previous,
            following, positions, indents, defs, names, table, latest, owner,
        )  # fmt: skip
        rolled = np.uint64(0)
        for last in range(tokens):
            first = last - window + 1
            rolled = rolled * PRIME + _value(codes, previous, last, max(first, 0))
            if first < 0:
                continue
            h = mixed(rolled)
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
            inner = span_hash(codes, previous, body, last)
            h = mixed(inner ^ names[n] ^ NAMED_SEED)
            found = _emit(found, d, h, place, first, NAMED, grams, bitmap, emit_all, out)
            if last - body >= shortest_body:
                h = inner ^ BODY_SEED
                found = _emit(found, d, h, place, first, BODY, grams, bitmap, emit_all, out)
            if last - first >= shortest_function:
                h = span_hash(codes, previous, first, last) ^ FUNCTION_SEED
                found = _emit(found, d, h, place, first, FUNCTION, grams, bitmap, emit_all, out)
            found = _statement_grams(
                found, d, codes, previous, indents, roots, uses, starts, hashes, left_out,
                place, first, body, last, edited_function, edited_body, step, statements, grams,
                bitmap, emit_all, out,
            )  # fmt: skip
    return found


@jit
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


@jit
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
            if LETTER[b] == 0:
                i += 1
                continue
            where[words & 63] = i - offsets[d]
            h = BASIS
            while i < end:
                b = LETTER[data[i]]
                if b == 0:
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
            h = mixed(rolled)
            first = words - window
            place = where[first & 63]
            found = _emit(found, d, h, place, first, WINDOW, grams, bitmap, emit_all, out)
    return found
