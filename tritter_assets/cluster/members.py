"""Clusters solved side by side: whole components go to buckets, each bucket to one task.

A cluster lies within one component of what may tie contents together: pairs, and ids that stand
for two contents. So a bucket of whole components is solved alone, by the functions of the local
engine. What must fit on one machine is the documents and pairs of the largest component.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from tritter_assets.cluster.frames import shared_by
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.index import IndexReport
from tritter_assets.lake import Lake
from tritter_assets.verdict import Action

if TYPE_CHECKING:
    from daft import DataFrame

DOCUMENTS = {
    "id": pl.String,
    "source": pl.String,
    "shard": pl.String,
    "repo": pl.String,
    "path": pl.String,
    "license_concluded": pl.String,
    "content_sha256": pl.String,
    "normalized_sha256": pl.String,
    "priority": pl.Int64,
    "content": pl.Int64,
}
"""Columns of the documents in a bucket."""

BUCKET_CONTENTS = 500_000
"""Contents in a bucket, on average: at 6 KB of text each, a task of the near index reads 3 GB."""


def ties(documents: DataFrame, scratch: Scratch) -> DataFrame:
    """Returns pairs of contents (left, right) that one id stands for: a document counts once."""
    from daft import col

    shared = scratch.store("shared-ids", shared_by(documents, ["id"]))
    first = shared.groupby("id").agg(col("content").min().alias("left"))
    pairs = shared.join(first, on="id").select("left", col("content").alias("right"))
    return scratch.store("ties", pairs.where(col("left") < col("right")).distinct())


def put_in_buckets(
    scratch: Scratch, components: DataFrame, num_buckets: int | None
) -> tuple[DataFrame, int]:
    """Returns (content, bucket) of (content, component), and how many buckets there are."""
    from daft import col, lit

    components = scratch.store("components", components)
    count = num_buckets or max(1, -(-scratch.num_rows("components") // BUCKET_CONTENTS))
    # Keys are hashes, so their low bits spread evenly; `%` alone keeps the sign.
    number = (col("component") % lit(count) + lit(count)) % lit(count)
    buckets = components.select("content", number.alias("bucket"))
    return scratch.store("buckets", buckets), count


@dataclass(slots=True)
class Tally:
    """Counts the rows of an index, or of its evidence, while they are written."""

    num_pairs: int = 0
    num_clusters: int = 0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """(source, action) -> documents."""

    def add(self, rows: pl.DataFrame) -> None:
        """Counts rows."""
        if "content_a" in rows.columns:
            self.num_pairs += rows.filter(pl.col("content_a") != pl.col("content_b")).height
            return
        # A cluster is named by one of its members.
        self.num_clusters += rows.filter(pl.col("id") == pl.col("cluster_id")).height
        for source, action, count in rows.group_by("source", "action").len().iter_rows():
            key = (source, action)
            self.counts[key] = self.counts.get(key, 0) + count

    def report(
        self, index: str, num_documents: int, details: Mapping[str, int | float | str]
    ) -> IndexReport:
        """Returns the report of the rows counted."""
        by_action = {action.value: 0 for action in Action}
        for (_, action), count in self.counts.items():
            by_action[action] += count
        dropped = {s: n for (s, action), n in sorted(self.counts.items()) if action == Action.DROP}
        return IndexReport(
            index=index,
            num_documents=num_documents,
            num_clusters=self.num_clusters,
            num_members=sum(self.counts.values()),
            num_dropped=by_action[Action.DROP.value],
            num_quarantined=by_action[Action.QUARANTINE.value],
            dropped_by_source=dropped,
            details=details,
        )


def commit_sorted(
    lake: Lake,
    scratch: Scratch,
    table: str,
    rows: DataFrame,
    schema: pa.Schema,
    *,
    order: list[str],
    fingerprint: str,
    record: Mapping[str, object] | None = None,
) -> Tally:
    """Writes rows in their order as one table, and counts them."""
    ordered = rows.select(*schema.names).sort(order)

    def write() -> Tally:
        tally = Tally()
        lake.write(
            table,
            _counted(ordered, tally),
            schema,
            fingerprint=fingerprint,
            commit_metadata=record,
        )
        return tally

    return scratch.attempt(table, write)


def _counted(frame: DataFrame, tally: Tally) -> Iterator[pa.RecordBatch]:
    for batch in frame.to_arrow_iter():
        table = pa.Table.from_batches([batch])
        tally.add(pl.DataFrame(table))
        yield from table.to_batches()
