"""How much of what the semantic index compares falls at each epsilon: for a person to choose by.

No epsilon is chosen here: what lies at a distance differs with the embedding and the corpus. The
shares are those of the index itself (survival order, quarantined families), measured on whole
clusters: on all of them up to `MEASURED_DOCUMENTS` documents, else on a drawn sample.

| dedup/semantic_curve | meaning |
|---|---|
| epsilon | a cosine of 1 - epsilon or more |
| removed | documents that fall or are quarantined at it, among those measured |
| measured | documents of the clusters looked at |
| compared | documents that the index compares |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.clusters import quarantined
from tritter_assets.dedup.components import solve
from tritter_assets.dedup.kmeans import members_of, pairs_within

SEMANTIC_CURVE = "dedup/semantic_curve"
CURVE_SCHEMA = pa.schema(
    [
        pa.field("epsilon", pa.float64(), nullable=False),
        pa.field("removed", pa.int64(), nullable=False),
        pa.field("measured", pa.int64(), nullable=False),
        pa.field("compared", pa.int64(), nullable=False),
    ]
)

EPSILONS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
MEASURED_DOCUMENTS = 50_000
USUAL_SHARE = (0.2, 0.5)
"""What SemDeDup is expected to remove."""


def drawn_clusters(labels: np.ndarray, limit: int = MEASURED_DOCUMENTS) -> list[np.ndarray]:
    """Returns the rows of whole clusters: of all, or of drawn ones until `limit` is reached."""
    members = members_of(labels)
    if len(labels) <= limit:
        return members
    order = np.random.default_rng(0).permutation(len(members))
    reached = np.cumsum([len(members[number]) for number in order])
    return [members[number] for number in order[: int(np.searchsorted(reached, limit)) + 1]]


def measure_curve(
    rows: np.ndarray,
    clusters: Sequence[np.ndarray],
    rank: np.ndarray,
    bits: np.ndarray,
    epsilons: Sequence[float],
) -> pl.DataFrame:
    """Returns rows of `CURVE_SCHEMA`, ascending.

    Args:
        rows: The vectors.
        clusters: The rows of each cluster to measure, ascending.
        rank: Place of each row in the survival order; only of rows in `clusters`.
        bits: Licence family of each row, as `clusters.family_bits` has it.
        epsilons: Distances to measure.
    """
    wanted = sorted(set(epsilons))
    removed = np.zeros(len(wanted), dtype=np.int64)
    for members in clusters:
        left, right, cosine = pairs_within(rows, members, 1.0 - wanted[-1])
        walked = members[np.argsort(rank[members])]
        place = np.empty(len(members), dtype=np.int64)
        place[np.argsort(rank[members])] = np.arange(len(members))
        a = place[np.searchsorted(members, left)]
        b = place[np.searchsorted(members, right)]
        for number, epsilon in enumerate(wanted):
            close = cosine >= 1.0 - epsilon
            out = quarantined(bits[walked], a[close], b[close])
            solved = solve(len(members), a[close], b[close], cosine[close], out)
            removed[number] += int((out | (solved.kept_by >= 0)).sum())
    measured = sum(len(members) for members in clusters)
    return pl.DataFrame(
        {
            "epsilon": wanted,
            "removed": removed,
            "measured": [measured] * len(wanted),
            "compared": [len(rows)] * len(wanted),
        }
    )


def shares(curve: pl.DataFrame) -> list[tuple[float, float]]:
    """Returns (epsilon, share removed) of each row."""
    measured = pl.col("measured").clip(lower_bound=1)
    return curve.select("epsilon", pl.col("removed") / measured).rows()


def describe(curve: pl.DataFrame, epsilon: float) -> str:
    """Says how much falls at an epsilon, whether that is usual, and where it would be."""
    points = shares(curve)
    share = next(share for at, share in points if at == epsilon)
    low, high = USUAL_SHARE
    said = f"epsilon {epsilon:g} removes {share:.1%}"
    band = f"the {low:.0%} to {high:.0%} that SemDeDup is expected to remove"
    if low <= share <= high:
        return f"{said}, within {band}"
    inside = [at for at, found in points if low <= found <= high]
    if inside:
        way = f"of those measured, {', '.join(f'{at:g}' for at in inside)} would be within"
    else:
        reach = points[-1 if share < low else 0]
        way = f"none of those measured is within; {reach[0]:g} removes {reach[1]:.1%}"
    return f"{said}, {'below' if share < low else 'above'} {band}: {way}"
