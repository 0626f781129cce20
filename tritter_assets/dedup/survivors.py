"""What the indexes say must be left out, and the proof that they speak of the current data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tritter_assets.dedup.index import INDEXES
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.verdict import Action


def dropped_ids(lake: Lake, indexes: Sequence[str] = INDEXES) -> pl.DataFrame:
    """Returns the documents that any of the indexes drops or quarantines: columns id, reason.

    One row per document, ordered by id. A quarantine outweighs a drop; otherwise the first of the
    exact, near and semantic index gives the reason, as in a funnel.
    """
    frames = [pl.LazyFrame(schema={"id": pl.String, "reason": pl.String, "order": pl.Int32})]
    for number, index in enumerate(indexes):
        if not lake.exists(index):
            continue
        order = pl.when(pl.col("action") == Action.QUARANTINE).then(0).otherwise(1 + number)
        frames.append(
            lake.scan(index)
            .filter(pl.col("action").is_in([Action.DROP.value, Action.QUARANTINE.value]))
            .select("id", "reason", order=order.cast(pl.Int32))
        )
    found = pl.concat(frames).collect(engine="streaming")
    return (
        found.sort("id", "order", "reason")
        .unique("id", keep="first", maintain_order=True)
        .select("id", "reason")
    )


def require_current(lake: Lake, expected: Mapping[str, str]) -> None:
    """Refuses indexes that were made from something else than the current signatures.

    Args:
        lake: The lake.
        expected: Index name (`dedup/near_index`, ...) to the fingerprint it must carry.

    Raises:
        MissingProvenance: an index is missing, or is not built over the current signatures.
    """
    for index, fingerprint in sorted(expected.items()):
        state = lake.state(index)
        if state is None:
            raise MissingProvenance(
                f"{index} was never built, so no row can be shown to be the only copy: "
                f"materialise {index!r} first"
            )
        if state.fingerprint != fingerprint:
            raise MissingProvenance(
                f"{index} was built from {state.fingerprint}, and the current signatures ask for "
                f"{fingerprint}: materialise {index!r} again"
            )
