# ruff: noqa: PLR0917, PLR1714, SIM109
# numba compiles one function at a time, by position, and is slow with `in (...)`.
"""Compiled loop that hashes functions as sets of statements, for copies that were edited.

A function is the sum of its statements' hashes and of how its names run through them: the same in
whatever order its statements stand. Without the statements that no item has, and without one or two
of those that some item has, a document's function is what it was before somebody put them in.

Importing this module imports numba (a second), so only code that is about to look for benchmarks
does. After a change here `window_kernels.COMPILED_IN` must be renewed.
"""

from __future__ import annotations

import numpy as np

from tritter_assets.filters.code_tokens import BASIS, MIXER, PRIME, jit

MAX_STATEMENTS = 48
"""Of a function that is looked at."""
MAX_LEFT_OUT = 3
"""Statements of a document's function that may have been put in."""

LOW_BITS = np.uint64(0x1FFFFF)
"""Of a gram: told by its statements alone, so that a bitmap of the items' rules most functions out
before their names are looked at."""

_U2 = np.uint64(2)
_NAMES_SEED = np.uint64(0x9FB21C651E98DF25)
SIGNED_SEED = np.uint64(0xC2B2AE3D27D4EB4F)


def _token_of(char):
    return np.uint64(((ord(char) * int(MIXER)) & 0xFFFFFFFFFFFFFFFF) | 1)


_COLON, _SQUARE, _END_SQUARE, _CURLY, _END_CURLY = (_token_of(char) for char in ":[]{}")


@jit
def mixed(h):
    """Spreads a sum of products over all 64 bits, the low ones too."""
    h = (h ^ (h >> np.uint64(32))) * MIXER
    return h ^ (h >> np.uint64(29))


@jit
def split_statements(codes, previous, indents, body, last, starts, hashes):
    """Finds the statements of tokens [body, last); what follows a colon is one of its own.

    So `if x: return y` is the same on one line and on two. `starts` gets the first token of each
    and, behind them, `last`; `hashes` what each says, its names numbered within it.

    Returns:
        Number of statements, or 0 if there are more than `MAX_STATEMENTS`.
    """
    count = 0
    depth = 0
    fresh = True
    for j in range(body, last):
        if fresh or indents[j] >= 0:
            if count == MAX_STATEMENTS:
                return 0
            starts[count] = j
            count += 1
            depth = 0
        code = codes[j]
        fresh = code == _COLON and depth == 0
        if code == _SQUARE or code == _CURLY:
            depth += 1
        elif (code == _END_SQUARE or code == _END_CURLY) and depth > 0:
            depth -= 1
    starts[count] = last
    for i in range(count):
        hashes[i] = span_hash(codes, previous, starts[i], starts[i + 1])
    return count


@jit
def span_hash(codes, previous, first, last):
    """Hashes tokens [first, last); a name is the distance to its last use, which renaming keeps."""
    h = BASIS
    for j in range(first, last):
        value = codes[j]
        if value == 0:
            back = previous[j]
            value = _U2 if back < first else np.uint64(2 * (j - back) + 2)
        h = h * PRIME + value
    return mixed(h)


@jit
def _add_names(codes, roots, uses, first, last, statement):
    """Notes for each name in which statement it stands and where."""
    for j in range(first, last):
        if codes[j] == 0:
            uses[roots[j]] += mixed(statement + np.uint64(j - first) * PRIME)


@jit
def _take_names(codes, roots, uses, first, last):
    """Sums up what was noted of names, each once, and forgets it."""
    total = np.uint64(0)
    for j in range(first, last):
        if codes[j] == 0 and uses[roots[j]] != 0:
            total += mixed(uses[roots[j]] ^ _NAMES_SEED)
            uses[roots[j]] = np.uint64(0)
    return total


@jit
def statement_gram(codes, previous, roots, uses, starts, hashes, left_out, count, first, bag):
    """Hashes a function without the statements that are left out.

    `first` is where its signature begins, or its body where that is to be left out too; `bag` is
    the sum of the hashes of what is not left out.
    """
    for j in range(first, starts[count]):
        if codes[j] == 0:
            roots[j] = j if previous[j] < first else roots[previous[j]]
    names = np.uint64(0)
    _add_names(codes, roots, uses, first, starts[0], SIGNED_SEED)
    for i in range(count):
        if not left_out[i]:
            _add_names(codes, roots, uses, starts[i], starts[i + 1], hashes[i])
    names += _take_names(codes, roots, uses, first, starts[0])
    for i in range(count):
        if not left_out[i]:
            names += _take_names(codes, roots, uses, starts[i], starts[i + 1])
    return (bag & LOW_BITS) | (mixed(bag ^ names) & ~LOW_BITS)


@jit
def is_wanted(gram, bitmap):
    """Whether one of the grams looked for may be this one, by its low bits."""
    bit = gram & LOW_BITS
    return (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1) != 0
