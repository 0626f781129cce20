"""The shards of a table of derived rows that are to be made again, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake, PartitionState, fingerprint_of

FingerprintOfShard = Callable[[ShardInput], str]
"""What the derived rows of a shard are made from."""


@dataclass(frozen=True, slots=True)
class StaleShard:
    """A shard of `filtered/<source>` whose derived rows are missing or out of date."""

    lake: Lake
    table: str
    item: ShardInput
    fingerprint: str

    @property
    def partition(self) -> Mapping[str, str]:
        """Of the derived table."""
        return {"source": self.item.source, "shard": self.item.shard}

    def write(self, rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> PartitionState:
        """Replaces the shard's derived rows; from now on it is fresh."""
        return self.lake.write(
            self.table, rows, schema, fingerprint=self.fingerprint, partition=self.partition
        )


def stale_shards(
    lake: Lake,
    table: str,
    inputs: Sequence[ShardInput],
    fingerprint_of_shard: FingerprintOfShard,
    counts: Counter[str],
) -> Iterator[StaleShard]:
    """Yields the shards that are not fresh in `table`; the others are counted as `fresh`.

    Raises:
        MissingProvenance: an input shard was never filtered.
    """
    for item in inputs:
        shard = StaleShard(lake, table, item, fingerprint_of_shard(item))
        if lake.is_fresh(table, shard.fingerprint, shard.partition):
            counts["fresh"] += 1
            continue
        if lake.state(f"filtered/{item.source}", {"shard": item.shard}) is None:
            raise MissingProvenance(
                f"filtered/{item.source} has no shard {item.shard!r}: materialise it first"
            )
        yield shard


def empty_left_sources(
    lake: Lake, table: str, schema: pa.Schema, sources: Collection[str]
) -> tuple[str, ...]:
    """Empties the shards of sources that left the catalogue or are refused now.

    Args:
        lake: Holds the derived table, or not yet.
        table: Partitioned by source and shard.
        schema: Of the table.
        sources: The sources that rows may come from.

    Returns:
        The sources whose rows are gone.
    """
    left = left_shards(lake, table, sources)
    for partition in left:
        lake.write(table, [], schema, fingerprint=fingerprint_of("left"), partition=partition)
    return tuple(sorted({partition["source"] for partition in left}))


def left_shards(lake: Lake, table: str, sources: Collection[str]) -> list[Mapping[str, str]]:
    """Returns the partitions of a derived table whose rows are of none of these sources."""
    if not lake.exists(table):
        return []
    return [
        state.partition
        for state in lake.states(table)
        if state.num_rows and state.partition["source"] not in sources
    ]
