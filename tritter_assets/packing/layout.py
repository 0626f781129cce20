"""Where each piece of each document goes: planned on lengths alone, before a token is moved.

    concatenate   documents end to end, cut every `context` tokens: no padding, no token lost; for
                  code and text
    best_fit      a sample stays whole where it fits: the fullest open sequence that still has room
                  takes it; only a sample longer than the context is cut, into full sequences and a
                  rest; for instructions

Both keep every token exactly once per epoch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_OPEN_SEQUENCES = 512
"""Sequences that best-fit keeps open; the fullest is closed when there are more."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Pieces in the order of (sequence, token_start). All arrays have the same length."""

    sequence: Ints
    """Number of the sequence the piece stands in, from 0."""
    document: Ints
    """Index of the document."""
    token_start: Ints
    """First token of the piece in its sequence."""
    doc_token_start: Ints
    """First token of the piece in its document's stream."""
    num_tokens: Ints

    @property
    def num_sequences(self) -> int:
        """Sequences of the layout."""
        return int(self.sequence[-1]) + 1 if len(self.sequence) else 0


def concatenate(lengths: Ints, context_tokens: int) -> Layout:
    """Lays documents end to end and cuts every `context_tokens`."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    total = int(ends[-1]) if len(ends) else 0
    edges = np.union1d(starts[lengths > 0], np.arange(0, total, context_tokens))
    following = np.append(edges[1:], total)
    document = np.searchsorted(ends, edges, side="right").astype(np.int64)
    return Layout(
        sequence=(edges // context_tokens).astype(np.int64),
        document=document,
        token_start=(edges % context_tokens).astype(np.int64),
        doc_token_start=(edges - starts[document]).astype(np.int64),
        num_tokens=(following - edges).astype(np.int64)[: len(edges)],
    )


def best_fit(lengths: Ints, context_tokens: int) -> Layout:
    """Puts each sample into the fullest open sequence that has room for it."""
    pieces: list[tuple[int, int, int, int, int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, sequence), sorted
    num_sequences = 0
    for document, length in enumerate(lengths.tolist()):
        begun = 0
        while length - begun > 0:
            size = min(length - begun, context_tokens)
            place = bisect_left(room, (size, -1))
            if place < len(room):
                left, sequence = room.pop(place)
            else:
                left, sequence = context_tokens, num_sequences
                num_sequences += 1
            pieces.append((sequence, context_tokens - left, document, begun, size))
            if left > size:
                insort(room, (left - size, sequence))
                if len(room) > _OPEN_SEQUENCES:
                    room.pop(0)
            begun += size
    pieces.sort()
    table = np.array(pieces, dtype=np.int64).reshape(-1, 5)
    return Layout(
        sequence=table[:, 0],
        document=table[:, 2],
        token_start=table[:, 1],
        doc_token_start=table[:, 3],
        num_tokens=table[:, 4],
    )


def one_each(lengths: Ints, doc_token_start: Ints) -> Layout:
    """Gives every document a sequence of its own, from some token of its stream on."""
    numbers = np.arange(len(lengths), dtype=np.int64)
    return Layout(
        sequence=numbers,
        document=numbers,
        token_start=np.zeros_like(numbers),
        doc_token_start=doc_token_start,
        num_tokens=np.asarray(lengths, dtype=np.int64),
    )
