"""Clusters and survivors of a graph of similar contents.

Nodes are numbered in survival order, so the smallest node of a component is its first member, and
a walk in ascending order is the walk of the design: drop a node only when it has a verified pair
with a node that stays. A node tied to a dropped node alone (transitive) stays. Both steps are
linear in the number of pairs and depend on nothing but the graph and the order of its nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tritter_assets.dedup.kernel import kernels


@dataclass(frozen=True, slots=True)
class Solution:
    """For every node: its component (smallest node), who it fell for (-1: stays), how similar."""

    component: np.ndarray
    kept_by: np.ndarray
    score: np.ndarray


def solve(
    num_nodes: int,
    left: np.ndarray,
    right: np.ndarray,
    score: np.ndarray,
    excluded: np.ndarray,
) -> Solution:
    """Solves a graph of verified pairs.

    Args:
        num_nodes: Nodes are 0 .. num_nodes - 1, in survival order.
        left: One end of each pair.
        right: The other end.
        score: Similarity of each pair.
        excluded: True for nodes that are quarantined: they neither stay for others nor fall.
    """
    first = np.minimum(left, right).astype(np.int64)
    second = np.maximum(left, right).astype(np.int64)
    order = np.lexsort((first, second))
    first, second, ordered = first[order], second[order], score[order].astype(np.float64)
    labels = np.empty(num_nodes, dtype=np.int64)
    kept_by = np.full(num_nodes, -1, dtype=np.int64)
    kept_score = np.zeros(num_nodes, dtype=np.float64)
    starts = np.searchsorted(second, np.arange(num_nodes + 1)).astype(np.int64)
    kernels().components(num_nodes, first, second, labels)
    kernels().survivors(starts, first, ordered, excluded.astype(np.bool_), kept_by, kept_score)
    return Solution(labels, kept_by, kept_score)
