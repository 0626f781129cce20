"""The table `dedup/near_bands`: the band keys of signed documents, one partition per shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import BANDS_SCHEMA, BandLayout, band_hashes, band_rows
from tritter_assets.dedup.cluster_update import Shard, read_signatures
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.lake import Lake, PartitionState, fingerprint_of

NEAR_BANDS = "dedup/near_bands"


PARTITION_BY = ("source", "shard")
_NO_KEYS = pa.schema([BANDS_SCHEMA.field(n) for n in ("content", "band", "key")]).empty_table()


@dataclass(frozen=True, slots=True)
class BandChanges:
    """Which partitions of the table are not those of the signatures."""

    changed: Mapping[Shard, str]
    """Shard -> the fingerprint that its bands are to have."""
    removed: tuple[Shard, ...]

    @classmethod
    def of(cls, lake: Lake, layout: BandLayout, states: Mapping[Shard, PartitionState]) -> Self:
        """Compares the table with the signatures."""
        stored = lake.fingerprints(NEAR_BANDS)
        name = layout.name
        wanted = {
            shard: _fingerprint(name, signed.data_version)
            for shard, signed in sorted(states.items())
            if signed.num_rows or shard in stored
        }
        return cls(
            changed={s: mark for s, mark in wanted.items() if stored.get(s) != mark},
            removed=tuple((s, shard) for s, shard in sorted(stored) if (s, shard) not in states),
        )

    def emptied(self) -> Iterator[tuple[Mapping[str, str], pa.Table, str]]:
        """Yields what `Lake.write_partitions` needs to take removed shards out."""
        gone = fingerprint_of(NEAR_BANDS, "removed")
        for shard in self.removed:
            yield partition_of(shard), BANDS_SCHEMA.empty_table(), gone


class BandTable:
    """The table as the engine of one machine keeps it up."""

    def __init__(
        self, lake: Lake, layout: BandLayout, states: Mapping[Shard, PartitionState]
    ) -> None:
        self._lake = lake
        self._layout = layout
        self._states = states
        self._changes = BandChanges.of(lake, layout, states)
        self.changed, self.removed = tuple(self._changes.changed), self._changes.removed

    def are_ahead_of(self, cache: DocumentCache) -> bool:
        """True when the bands that the cache's documents had are not stored any more.

        They say which crowds a content left. It takes a run that is killed in the milliseconds
        between its last commit and keeping its cache.
        """
        changing = {*self.removed, *self.changed}
        return any(
            shard not in changing
            and (shard not in self._states or self._states[shard].data_version != version)
            for shard, version in cache.shard_versions().items()
            if cache.num_documents_of(shard)
        )

    def of(self, contents: pl.Series) -> np.ndarray:
        """Returns the stored band hashes of contents that were in changed shards, sorted."""
        found = [np.zeros(0, dtype=np.uint64)]
        for shard in (*self.removed, *self.changed) if len(contents) else ():
            rows = (
                pl.DataFrame(pa.concat_tables([_NO_KEYS, *self._stored(shard)]))
                .filter(pl.col("content").is_in(contents.implode()))
                .select("band", "key")
            )
            found.append(band_hashes(rows["key"].to_numpy(), rows["band"].to_numpy()))
        return np.unique(np.concatenate(found))

    def _stored(self, shard: Shard) -> Iterator[pa.Table]:
        if not self._lake.exists(NEAR_BANDS):
            return
        filesystem = self._lake.location.filesystem(NEAR_BANDS)
        for _, path in self._lake.files(NEAR_BANDS, "shard", [shard[1]]):
            if path.startswith(f"source={shard[0]}/"):
                with filesystem.open_input_file(path) as file:
                    yield pq.ParquetFile(file).read(columns=_NO_KEYS.column_names)

    def put_in(self) -> None:
        """Writes the bands of changed shards in one commit, after what was found by them."""
        parts = chain(self._changes.emptied(), self._parts())
        self._lake.write_partitions(NEAR_BANDS, parts, BANDS_SCHEMA, partition_by=PARTITION_BY)

    def _parts(self) -> Iterator[tuple[Mapping[str, str], pa.Table, str]]:
        for shard, fingerprint in self._changes.changed.items():
            rows = bands_of_shard(self._lake, shard, self._layout)
            yield partition_of(shard), in_table(rows, shard, self._layout), fingerprint


def partition_of(shard: Shard) -> dict[str, str]:
    """Returns the partition of a shard."""
    return dict(zip(PARTITION_BY, shard, strict=True))


def bands_of_shard(lake: Lake, shard: Shard, layout: BandLayout) -> pl.DataFrame:
    """Returns the bands (id, content, band, key) of the signatures of a shard."""
    return band_rows(read_signatures(lake, shard, ["id", "content", "minhash"]), layout)


def in_table(rows: pl.DataFrame, shard: Shard, layout: BandLayout) -> pa.Table:
    """Returns the bands of a shard as rows of the table."""
    source, name = shard
    named = {"source": pl.lit(source), "shard": pl.lit(name), "layout": pl.lit(layout.name)}
    return rows.with_columns(**named).to_arrow()


@lru_cache(maxsize=1 << 16)
def _fingerprint(layout: str, data_version: str) -> str:
    return fingerprint_of(NEAR_BANDS, layout, data_version)
