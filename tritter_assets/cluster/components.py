"""Connected components as iterated joins, so that no machine holds all pairs.

Alternating large-star and small-star (Kiveris et al. 2014): in a large-star every node gives its
larger neighbours the least node it sees; in a small-star it gives the smaller ones to their
least. Each is one group-by and one join, no step needs more of a node than its edges, and what
remains is a star around the least node of each component. Rounds grow with the logarithm of the
longest path, squared at worst.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from typing import TYPE_CHECKING

from tritter_assets.cluster.frames import lesser_and_greater
from tritter_assets.cluster.scratch import Scratch

if TYPE_CHECKING:
    from daft import DataFrame

_MAX_ROUNDS = 64


def label_components(pairs: DataFrame, scratch: Scratch) -> tuple[DataFrame, int]:
    """Returns (content, component) of every content in a pair, and how many rounds it took.

    Args:
        pairs: Columns left, right (int64), different from each other.
        scratch: Keeps the edges of each round, so that what was done is not computed again.
    """
    from daft import col

    named = pairs.select(col("left").alias("u"), col("right").alias("v"))
    edges = scratch.store("edges-0", _downward(named))
    rounds = 0
    for rounds in range(1, _MAX_ROUNDS + 1):
        starred = scratch.store(f"edges-{rounds}", _small_star(_large_star(edges)))
        before, edges = edges, starred
        if scratch.num_rows(f"edges-{rounds}") != scratch.num_rows(f"edges-{rounds - 1}"):
            continue
        if edges.join(before, on=["u", "v"], how="anti").count_rows() == 0:
            break
    else:
        raise RuntimeError(f"components did not settle in {_MAX_ROUNDS} rounds")
    leaves = edges.select(col("u").alias("content"), col("v").alias("component"))
    centres = edges.select(col("v").alias("content"), col("v").alias("component")).distinct()
    return leaves.concat(centres), rounds


def _downward(edges: DataFrame) -> DataFrame:
    """Every edge once, from its larger node `u` to its smaller node `v`."""
    smaller, larger = lesser_and_greater("u", "v")
    return edges.select(larger.alias("u"), smaller.alias("v")).distinct()


def _large_star(edges: DataFrame) -> DataFrame:
    from daft import col

    both = edges.concat(edges.select(col("v").alias("u"), col("u").alias("v")))
    least = both.groupby("u").agg(col("v").min().alias("least"))
    centre, _ = lesser_and_greater("least", "u")
    joined = both.join(least, on="u").where(col("v") > col("u"))
    return joined.select(col("v").alias("u"), centre.alias("v")).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    from daft import col

    least = edges.groupby("u").agg(col("v").min().alias("least"))
    joined = edges.join(least, on="u").where(col("v") != col("least"))
    moved = joined.select(col("v").alias("u"), col("least").alias("v"))
    kept = least.select(col("u"), col("least").alias("v"))
    return moved.concat(kept).distinct()
