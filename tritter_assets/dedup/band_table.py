"""The table `dedup/near_bands`: the band keys of signed documents, one partition per shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import BANDS_SCHEMA, BandLayout, band_hashes, band_rows
from tritter_assets.dedup.cluster_update import Shard, read_signatures
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.lake import Lake, PartitionState, fingerprint_of

NEAR_BANDS = "dedup/near_bands"


class BandTable:
    """The table, and which of its partitions are not those of the signatures."""

    def __init__(
        self, lake: Lake, layout: BandLayout, states: Mapping[Shard, PartitionState]
    ) -> None:
        self._lake = lake
        self._layout = layout
        self._name = layout.name
        self._states = states
        stored = lake.fingerprints(NEAR_BANDS)
        self._held = frozenset(stored)
        self.removed = tuple(
            (source, name) for source, name in sorted(stored) if (source, name) not in states
        )
        wanted = {
            shard: bands_fingerprint(self._name, signed.data_version)
            for shard, signed in sorted(states.items())
            if signed.num_rows or shard in stored
        }
        self.changed = tuple(
            shard
            for shard, fingerprint in wanted.items()
            if shard not in stored or stored[shard] != fingerprint
        )

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
        for source, shard in (*self.removed, *self.changed):
            if len(contents) and (source, shard) in self._held:
                rows = (
                    pl.DataFrame(pa.concat_tables(self._stored(source, shard)))
                    .filter(pl.col("content").is_in(contents.implode()))
                    .select("band", "key")
                )
                found.append(band_hashes(rows["key"].to_numpy(), rows["band"].to_numpy()))
        return np.unique(np.concatenate(found))

    def _stored(self, source: str, shard: str) -> Iterator[pa.Table]:
        filesystem = self._lake.location.filesystem(NEAR_BANDS)
        for _, path in self._lake.files(NEAR_BANDS, "shard", [shard]):
            if path.startswith(f"source={source}/"):
                with filesystem.open_input_file(path) as file:
                    yield pq.ParquetFile(file).read(columns=["content", "band", "key"])

    def put_in(self) -> None:
        """Writes the bands of changed shards in one commit, after what was found by them."""
        self._lake.write_partitions(
            NEAR_BANDS, self._parts(), BANDS_SCHEMA, partition_by=("source", "shard")
        )

    def _parts(self) -> Iterator[tuple[Mapping[str, str], pa.Table, str]]:
        for source, name in self.removed:
            empty = BANDS_SCHEMA.empty_table()
            yield {"source": source, "shard": name}, empty, fingerprint_of(NEAR_BANDS, "removed")
        for source, name in self.changed:
            signatures = read_signatures(self._lake, (source, name), ["id", "content", "minhash"])
            rows = band_rows(signatures, self._layout).with_columns(
                source=pl.lit(source), shard=pl.lit(name), layout=pl.lit(self._name)
            )
            signed = self._states[source, name].data_version
            fingerprint = bands_fingerprint(self._name, signed)
            yield {"source": source, "shard": name}, rows.to_arrow(), fingerprint


@lru_cache(maxsize=1 << 16)
def bands_fingerprint(layout: str, data_version: str) -> str:
    """Returns the fingerprint of a shard's bands, by the data version of its signatures."""
    return fingerprint_of(NEAR_BANDS, layout, data_version)
