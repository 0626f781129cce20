"""Spherical k-means with a fixed number of rounds: same rows, same order, same clusters.

Dhillon and Modha 2001. Rows are taken in blocks, so memory is the rows plus one block of
similarities. The first centres are rows spread evenly over the order given.
"""

from __future__ import annotations

import numpy as np

_BLOCK_ROWS = 4096


def cluster(rows: np.ndarray, num_clusters: int, rounds: int) -> np.ndarray:
    """Returns the cluster number of each row.

    Args:
        rows: float32 rows of length 1, in a documented order.
        num_clusters: At most the number of rows.
        rounds: Assignments made; more change little after ten.
    """
    first = np.linspace(0, len(rows) - 1, num_clusters).astype(np.int64)
    centres = rows[first].copy()
    labels = np.zeros(len(rows), dtype=np.int64)
    for _ in range(rounds):
        for begin in range(0, len(rows), _BLOCK_ROWS):
            block = rows[begin : begin + _BLOCK_ROWS]
            labels[begin : begin + _BLOCK_ROWS] = (block @ centres.T).argmax(axis=1)
        order = np.argsort(labels, kind="stable")
        bounds = np.searchsorted(labels[order], np.arange(num_clusters + 1))
        for number in range(num_clusters):
            members = rows[order[bounds[number] : bounds[number + 1]]]
            if len(members):
                total = members.sum(axis=0, dtype=np.float64)
                centres[number] = total / max(float(np.linalg.norm(total)), 1e-12)
    return labels


def close_pairs(
    rows: np.ndarray, labels: np.ndarray, minimum: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (left, right, cosine) of pairs within a cluster at or above `minimum`."""
    lefts, rights, cosines = [], [], []
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1))
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        members = order[begin:end]
        for start in range(0, len(members), _BLOCK_ROWS):
            block = members[start : start + _BLOCK_ROWS]
            similar = rows[block] @ rows[members].T
            row, column = np.nonzero(similar >= minimum)
            upper = block[row] < members[column]
            lefts.append(block[row[upper]])
            rights.append(members[column[upper]])
            cosines.append(similar[row[upper], column[upper]])
    if not lefts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0, dtype=np.float32)
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(cosines)
