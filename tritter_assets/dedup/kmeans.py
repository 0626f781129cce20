"""Spherical k-means with a fixed number of rounds: same rows, same order, same clusters.

Dhillon and Modha 2001. Rows are read in blocks, so they may lie in a file; memory is the centres
and one block of similarities. The first centres are rows spread evenly over the order given.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK_ROWS = 4096
_BLOCK_CELLS = 1 << 24
"""Similarities held at once: 64 MB."""
_TILE_ROWS = 2048


def cluster(rows: np.ndarray, num_clusters: int, rounds: int) -> np.ndarray:
    """Returns the cluster number of each row.

    Args:
        rows: float32 rows of length 1, in a documented order.
        num_clusters: At most the number of rows.
        rounds: Assignments made; more change little after ten.
    """
    first = np.linspace(0, len(rows) - 1, num_clusters).astype(np.int64)
    centres = np.array(rows[first])
    labels = np.zeros(len(rows), dtype=np.int64)
    step = min(_BLOCK_ROWS, max(_BLOCK_CELLS // num_clusters, 1))
    for _ in range(rounds):
        for begin in range(0, len(rows), step):
            block = np.asarray(rows[begin : begin + step])
            labels[begin : begin + step] = (block @ centres.T).argmax(axis=1)
        # A cluster that lost all its rows keeps its centre.
        for members in members_of(labels):
            total = np.zeros(centres.shape[1], dtype=np.float64)
            for begin in range(0, len(members), _BLOCK_ROWS):
                some = rows[members[begin : begin + _BLOCK_ROWS]]
                total += some.sum(axis=0, dtype=np.float64)
            centres[labels[members[0]]] = total / max(float(np.linalg.norm(total)), 1e-12)
    return labels


def members_of(labels: np.ndarray) -> list[np.ndarray]:
    """Returns the rows of each cluster that has any, ascending, by cluster number."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []


def close_pairs(
    rows: np.ndarray, labels: np.ndarray, minimum: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (left, right, cosine) of pairs within a cluster at or above `minimum`."""
    return _joined(pairs_within(rows, members, minimum) for members in members_of(labels))


def pairs_within(
    rows: np.ndarray, members: np.ndarray, minimum: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (left, right, cosine) of pairs of `members` (ascending), left < right."""
    return _joined(_tiles(rows, members, minimum))


def _tiles(
    rows: np.ndarray, members: np.ndarray, minimum: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for begin in range(0, len(members), _TILE_ROWS):
        above = members[begin : begin + _TILE_ROWS]
        block = np.asarray(rows[above])
        for start in range(begin, len(members), _TILE_ROWS):
            below = members[start : start + _TILE_ROWS]
            similar = block @ (block if start == begin else np.asarray(rows[below])).T
            row, column = np.divmod(np.flatnonzero(similar >= minimum), len(below))
            if start == begin:
                upper = row < column
                row, column = row[upper], column[upper]
            yield above[row], below[column], similar[row, column]


def _joined(
    parts: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    empty = np.zeros(0, dtype=np.int64)
    found = [(empty, empty, np.zeros(0, dtype=np.float32)), *parts]
    left, right, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
    return left, right, cosine
