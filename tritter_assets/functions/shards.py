"""The shards of a table of derived rows that are to be made again, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake, PartitionState

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
