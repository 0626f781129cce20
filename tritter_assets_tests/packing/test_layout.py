from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.packing.layout import Layout, best_fit, concatenate

_LENGTHS = st.lists(st.integers(1, 40), max_size=50)


def _check(layout: Layout, lengths: list[int], context: int) -> None:
    """Every token of every document stands exactly once, and no sequence is too long."""
    covered = [np.zeros(length, dtype=int) for length in lengths]
    filled: dict[int, list[tuple[int, int]]] = {}
    for sequence, document, start, begin, size in zip(
        layout.sequence,
        layout.document,
        layout.token_start,
        layout.doc_token_start,
        layout.num_tokens,
        strict=True,
    ):
        covered[document][begin : begin + size] += 1
        filled.setdefault(int(sequence), []).append((int(start), int(start + size)))
    assert all((marks == 1).all() for marks in covered)
    assert sorted(filled) == list(range(layout.num_sequences))
    for runs in filled.values():
        assert runs == sorted(runs)
        assert runs[0][0] == 0
        assert all(a[1] == b[0] for a, b in pairwise(runs))
        assert runs[-1][1] <= context


@given(lengths=_LENGTHS, context=st.integers(1, 16))
@settings(max_examples=200, deadline=None)
def test_concatenation_keeps_every_token_and_wastes_no_place(
    lengths: list[int], context: int
) -> None:
    layout = concatenate(np.array(lengths, dtype=np.int64), context)
    _check(layout, lengths, context)
    assert layout.num_sequences == -(-sum(lengths) // context)


@given(lengths=_LENGTHS, context=st.integers(1, 16))
@settings(max_examples=200, deadline=None)
def test_best_fit_keeps_every_token_and_splits_only_what_is_too_long(
    lengths: list[int], context: int
) -> None:
    layout = best_fit(np.array(lengths, dtype=np.int64), context)
    _check(layout, lengths, context)
    for document, length in enumerate(lengths):
        assert (layout.document == document).sum() == -(-length // context)


def test_best_fit_fills_the_fullest_sequence_that_has_room() -> None:
    layout = best_fit(np.array([6, 5, 4, 3, 2]), 10)
    assert layout.sequence.tolist() == [0, 0, 1, 1, 1]
    assert layout.document.tolist() == [0, 2, 1, 3, 4]
