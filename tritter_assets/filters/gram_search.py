"""Calls the compiled loops on columns of documents: all grams there are, or those looked for."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from tritter_assets.filters import window_kernels
from tritter_assets.filters.code_tokens import BASIS, PRIME
from tritter_assets.filters.kernels import ByteColumn

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]

BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_KEPT = BUILTINS | set(keyword.kwlist) | {"match", "case", "self", "cls"}
_NO_GRAMS = np.zeros(0, np.uint64)
_NO_BITS = np.zeros(1, np.uint8)
_USUAL_ROWS = 1 << 14


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowRules:
    """What the index is made with; a subset of stage 14's config."""

    code_window_tokens: int
    text_window_words: int
    min_function_tokens: Mapping[str, int]
    """Benchmark -> tokens; `default` for those not named."""
    min_body_tokens: int
    max_function_tokens: int
    max_families_per_window: int
    tokens_per_edit: Mapping[str, int]
    """Benchmark -> tokens; `default` for those not named."""
    max_edits: int
    min_windows: Mapping[str, Sequence[float]]
    """Kind of part -> (base, share): so many windows, and so many more per window it has."""
    edits: int = 0
    """Statements by which an item's functions may differ; documents are searched for all."""


class Wanted(Protocol):
    """What is looked for."""

    @property
    def grams(self) -> Hashes:
        """Sorted and distinct."""
        ...

    @property
    def bitmap(self) -> Bits:
        """2^21 bits, set by the low bits of the grams."""
        ...

    @property
    def statements(self) -> Bits:
        """The same of the statements that items have; empty for words."""
        ...


def code_rows(column: ByteColumn, rules: WindowRules, wanted: Wanted | None) -> Rows:
    """Returns the grams of code that are wanted, as indexes; or all of them, as hashes.

    A row is document, gram, byte offset, number of the token, kind (`window_kernels.WINDOW`).
    """
    step = min(rules.tokens_per_edit.values())
    return _run(
        lambda out: window_kernels.code_grams(
            column.data,
            column.offsets,
            _kept_names(),
            _DEF,
            rules.code_window_tokens,
            min(rules.min_function_tokens.values()),
            rules.min_body_tokens,
            rules.max_function_tokens,
            min(rules.min_function_tokens.values()) + rules.edits * step,
            rules.min_body_tokens + rules.edits * step,
            step,
            _NO_BITS if wanted is None else wanted.statements,
            _NO_GRAMS if wanted is None else wanted.grams,
            _NO_BITS if wanted is None else wanted.bitmap,
            wanted is None,
            out,
        ),
        column,
        len(column.data) if wanted is None else _USUAL_ROWS,
    )


def word_rows(column: ByteColumn, rules: WindowRules, wanted: Wanted | None) -> Rows:
    """Returns the windows of words that are wanted, as indexes; or all of them, as hashes."""
    return _run(
        lambda out: window_kernels.word_grams(
            column.data,
            column.offsets,
            rules.text_window_words,
            _NO_GRAMS if wanted is None else wanted.grams,
            _NO_BITS if wanted is None else wanted.bitmap,
            wanted is None,
            out,
        ),
        column,
        len(column.data) if wanted is None else _USUAL_ROWS,
    )


def _run(kernel: Callable[[Rows], int], column: ByteColumn, room: int) -> Rows:
    if column.offsets[-1] == column.offsets[0]:
        # Buffers of nothing are of another type, for which the loops would be compiled anew.
        return np.empty((0, 5), np.int64)
    while True:
        out = np.empty((room, 5), np.int64)
        found = kernel(out)
        if found <= room:
            return out[:found]
        room = found


@cache
def _kept_names() -> Hashes:
    """Returns the sorted hashes of names that renaming leaves alone."""
    return np.unique(np.array([_hash(name) for name in _KEPT], np.uint64))


def _hash(name: str) -> int:
    value = int(BASIS)
    for byte in name.encode():
        value = ((value ^ byte) * int(PRIME)) & 0xFFFFFFFFFFFFFFFF
    return value


_DEF = np.uint64(_hash("def"))
