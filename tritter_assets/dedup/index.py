"""The rows of every duplicate index, and which documents an index is made over.

An index has one row per member of a cluster of two or more documents; a document without a row is
unique. Members of a cluster are ordered by (source priority, provenance, id), where provenance is
(source, repo, path): an order that no run, shard count or arrival order can change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake, LakeSnapshot, PartitionState

EXACT_INDEX = "dedup/exact_index"
NEAR_INDEX = "dedup/near_index"
SEMANTIC_INDEX = "dedup/semantic_index"
INDEXES = (EXACT_INDEX, NEAR_INDEX, SEMANTIC_INDEX)

INDEX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
        pa.field("survivor", pa.bool_(), nullable=False),
        pa.field("kept_id", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("match", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("licenses", pa.list_(pa.string()), nullable=False),
    ]
)
"""Rows of `dedup/{exact,near,semantic}_index`, ordered by (cluster_id, id).

| column | meaning |
|---|---|
| cluster_id | smallest id among the members |
| kept_id | who stays in its place; its own id when it stays; null when quarantined |
| score | similarity to `kept_id` (Jaccard or cosine); null unless dropped |
| match | how it is joined: `content`, `normalized`, `near`, `transitive`, `semantic` |
| action, reason | values of `verdict.Action` and `verdict.Reason`; kept rows have `passed` |
| licenses | concluded licences of all members, pooled and sorted |
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardInput:
    """One shard that takes part in an index, and the priority of its source (smaller is kept)."""

    source: str
    shard: str
    priority: int


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexReport:
    """What an index update did. Counts are documents unless named otherwise."""

    index: str
    num_documents: int
    num_clusters: int
    num_members: int
    num_dropped: int
    num_quarantined: int
    dropped_by_source: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, int | float | str] = field(default_factory=dict)
    """What only this index has: shards read, candidates, verified pairs, ..."""


def signature_states(
    lake: Lake, inputs: Sequence[ShardInput]
) -> dict[tuple[str, str], PartitionState]:
    """Returns the state of the signatures of every input, keyed by (source, shard).

    Raises:
        MissingProvenance: an input has no signatures, or is listed twice.
    """
    snapshot = LakeSnapshot(lake.location)  # opens each table once
    sources = {item.source for item in inputs}
    filled = {source: snapshot.states_by_values(f"signatures/{source}") for source in sources}
    states: dict[tuple[str, str], PartitionState] = {}
    for item in inputs:
        key = (item.source, item.shard)
        if key in states:
            raise MissingProvenance(f"shard {key} is listed twice among the inputs of an index")
        state = filled[item.source].get((item.shard,)) or snapshot.state(
            f"signatures/{item.source}", {"shard": item.shard}
        )
        if state is None:
            raise MissingProvenance(
                f"signatures/{item.source} has no shard {item.shard!r}: materialise "
                f"'signatures/{item.source}' for that partition first"
            )
        states[key] = state
    return states


def inputs_version(lake: Lake, inputs: Sequence[ShardInput]) -> list[list[str | int]]:
    """Returns what an index over `inputs` is made from, ready for `fingerprint_of`."""
    states = signature_states(lake, inputs)
    return sorted(
        [item.source, item.shard, item.priority, states[item.source, item.shard].data_version]
        for item in inputs
    )


def scan_signatures(
    lake: Lake, inputs: Sequence[ShardInput], columns: Sequence[str]
) -> pl.LazyFrame:
    """Opens the signatures of all inputs as one lazy frame with a `priority` column."""
    wanted = ["id", "source", "shard", *columns]
    frames = []
    for source in sorted({item.source for item in inputs}):
        shards = pl.LazyFrame(
            [
                {"shard": item.shard, "priority": item.priority}
                for item in inputs
                if item.source == source
            ],
            schema={"shard": pl.String, "priority": pl.Int64},
        )
        names = sorted(item.shard for item in inputs if item.source == source)
        scanned = lake.scan(f"signatures/{source}").filter(pl.col("shard").is_in(names))
        frames.append(scanned.select(wanted).join(shards, on="shard"))
    if not frames:
        empty = pl.DataFrame(schema={**dict.fromkeys(wanted, pl.String), "priority": pl.Int64})
        return empty.lazy()
    return pl.concat(frames)


SURVIVAL_ORDER = ("priority", "source", "repo", "path", "id")
"""Members of a cluster are walked in this order; the first of them is always kept."""
