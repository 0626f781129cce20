"""`dedup/near_bands` kept up by tasks, one per changed shard: the rows of the local engine.

A task of an update that goes on from the last one also leaves what its shard's bands were, and
what they are, beside the table: by these the update finds what else has to be looked at.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from deltalake.exceptions import CommitFailedError

from tritter_assets.cluster.index_update import RunAll
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.cluster.tasks import CommitLost
from tritter_assets.dedup.bands import BANDS_SCHEMA, BandLayout, band_rows
from tritter_assets.dedup.cluster_update import Shard, read_signatures
from tritter_assets.dedup.near import NEAR_BANDS
from tritter_assets.lake import Lake, PartitionState, fingerprint_of
from tritter_assets.lake.location import LakeLocation

if TYPE_CHECKING:
    from daft import DataFrame

_COLUMNS = ["id", "content", "band", "key"]
_PARTITION_BY = ("source", "shard")
_ROWS = pa.schema([BANDS_SCHEMA.field(name) for name in _COLUMNS])


@dataclass(frozen=True, slots=True)
class BandChanges:
    """Which partitions of the table are not those of the signatures."""

    changed: Mapping[Shard, str]
    """Shard -> the fingerprint that its bands are to have."""
    removed: tuple[Shard, ...]

    @classmethod
    def of(
        cls, lake: Lake, layout: BandLayout, states: Mapping[Shard, PartitionState]
    ) -> BandChanges:
        """Compares the table with the signatures."""
        stored = lake.fingerprints(NEAR_BANDS)
        wanted = {
            shard: fingerprint_of(NEAR_BANDS, layout.name, signed.data_version)
            for shard, signed in sorted(states.items())
            if signed.num_rows or shard in stored
        }
        return cls(
            changed={s: mark for s, mark in wanted.items() if stored.get(s) != mark},
            removed=tuple((s, shard) for s, shard in sorted(stored) if (s, shard) not in states),
        )

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
        lake.write_partitions(NEAR_BANDS, self._emptied(), BANDS_SCHEMA, partition_by=_PARTITION_BY)
        for _ in run_all(write_bands, calls):
            pass

    def _emptied(self) -> Iterator[tuple[Mapping[str, str], pa.Table, str]]:
        for shard in self.removed:
            nothing = BANDS_SCHEMA.empty_table()
            yield _partition(shard), nothing, fingerprint_of(NEAR_BANDS, "removed")

    def shards(self) -> DataFrame:
        """Returns source and shard of what is changed."""
        import daft

        places = pa.table(
            [
                pa.array([shard[number] for shard in self.changed], pa.string())
                for number in range(2)
            ],
            names=list(_PARTITION_BY),
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
    place = _partition(shard)
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
    place = _partition(shard)
    is_committed = lake.is_fresh(NEAR_BANDS, fingerprint, place)
    if scratch and not is_committed:  # a task that runs again would find its own rows
        keep_old_bands(location, scratch, shard)
    signatures = read_signatures(lake, shard, ["id", "content", "minhash"])
    rows = band_rows(signatures, layout)
    if scratch:
        scratch.write_file(f"bands-new/{'/'.join(shard)}.parquet", rows.to_arrow().cast(_ROWS))
    if is_committed:
        return
    named = rows.with_columns(
        source=pl.lit(shard[0]), shard=pl.lit(shard[1]), layout=pl.lit(layout.name)
    )
    try:
        lake.write(
            NEAR_BANDS, named.to_arrow(), BANDS_SCHEMA, fingerprint=fingerprint, partition=place
        )
    except CommitFailedError as error:
        raise CommitLost(f"{NEAR_BANDS}/{shard[0]}[{shard[1]}]: {error}") from None


def _partition(shard: Shard) -> dict[str, str]:
    return dict(zip(_PARTITION_BY, shard, strict=True))
