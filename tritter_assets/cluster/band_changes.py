"""`dedup/near_bands` kept up by tasks, one per changed shard: the rows of the local engine.

A task of an update that goes on from the last one also leaves what its shard's bands were, and
what they are, beside the table: by these the update finds what else has to be looked at.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from tritter_assets.cluster.index_update import RunAll
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.cluster.tasks import CommitLost
from tritter_assets.dedup.band_table import (
    NEAR_BANDS,
    PARTITION_BY,
    BandChanges,
    bands_of_shard,
    in_table,
    partition_of,
)
from tritter_assets.dedup.bands import BANDS_SCHEMA, BandLayout
from tritter_assets.dedup.cluster_update import Shard
from tritter_assets.lake import Lake
from tritter_assets.lake.location import LakeLocation

if TYPE_CHECKING:
    from daft import DataFrame

_COLUMNS = ["id", "content", "band", "key"]
_ROWS = pa.schema([BANDS_SCHEMA.field(name) for name in _COLUMNS])


class SpreadBandChanges(BandChanges):
    """The changes, made by tasks."""

    def write(
        self, lake: Lake, layout: BandLayout, scratch: Scratch | None, run_all: RunAll
    ) -> None:
        """Brings the table up to date; with `scratch`, `frames` has the old and the new rows."""
        removals = [(lake.location, scratch, shard) for shard in self.removed if scratch]
        for _ in run_all(keep_old_bands, removals):
            pass
        calls = [
            (lake.location, scratch, layout, shard, mark) for shard, mark in self.changed.items()
        ]
        # Makes the table as well, when there is none.
        lake.write_partitions(NEAR_BANDS, self.emptied(), BANDS_SCHEMA, partition_by=PARTITION_BY)
        for _ in run_all(write_bands, calls):
            pass

    def shards(self) -> DataFrame:
        """Returns source and shard of what is changed."""
        import daft

        places = pa.table(
            [
                pa.array([shard[number] for shard in self.changed], pa.string())
                for number in range(2)
            ],
            names=list(PARTITION_BY),
        )
        return daft.from_arrow(places)

    def frames(self, scratch: Scratch) -> tuple[DataFrame, DataFrame]:
        """Returns the bands of changed and removed shards as they were, and as they are."""
        return (
            scratch.load_or_empty("bands-old", _ROWS),
            scratch.load_or_empty("bands-new", _ROWS),
        )


def keep_old_bands(location: LakeLocation, scratch: Scratch, shard: Shard) -> None:
    """Copies the stored bands of a shard to `bands-old`."""
    lake = Lake(location)
    place = partition_of(shard)
    if lake.state(NEAR_BANDS, place) is not None:
        batches = lake.batches(NEAR_BANDS, partition=place, columns=_COLUMNS, batch_rows=1 << 16)
        parts = [pa.Table.from_batches([batch]).cast(_ROWS) for batch in batches]
        rows = pa.concat_tables([_ROWS.empty_table(), *parts])
        scratch.write_file(f"bands-old/{'/'.join(shard)}.parquet", rows)


def write_bands(
    location: LakeLocation,
    scratch: Scratch | None,
    layout: BandLayout,
    shard: Shard,
    fingerprint: str,
) -> None:
    """Commits the bands of one shard; with `scratch`, keeps the old ones and the new ones there."""
    lake = Lake(location)
    place = partition_of(shard)
    is_committed = lake.is_fresh(NEAR_BANDS, fingerprint, place)
    if scratch and not is_committed:  # a task that runs again would find its own rows
        keep_old_bands(location, scratch, shard)
    rows = bands_of_shard(lake, shard, layout)
    if scratch:
        scratch.write_file(f"bands-new/{'/'.join(shard)}.parquet", rows.to_arrow().cast(_ROWS))
    if is_committed:
        return
    try:
        lake.write(
            NEAR_BANDS,
            in_table(rows, shard, layout),
            BANDS_SCHEMA,
            fingerprint=fingerprint,
            partition=place,
        )
    except CommitFailedError as error:
        raise CommitLost(f"{NEAR_BANDS}/{shard[0]}[{shard[1]}]: {error}") from None
