"""The near index: documents whose exact Jaccard similarity over word 5-grams reaches a threshold.

Input: `signatures/*`, and `filtered/*` of the documents that become candidates.
Output: `dedup/near_index` (see `index.py`), the evidence `dedup/near_pairs`, and the helper
`dedup/near_bands`.

| dedup/near_pairs | meaning |
|---|---|
| id_a, id_b | smallest ids of the two contents, id_a < id_b |
| jaccard | exact similarity, at or above the threshold |
| content_a, content_b | 64-bit keys of the normalised contents; equal for copies of one content |
| layout | threshold and band layout the pair was found with |

Incremental: an update (1) takes the documents of changed shards into its cache, (2) looks the bands
of new contents up among those of all, and verifies the pairs found, (3) writes the pairs of changed
clusters, (4) writes changed clusters, (5) writes the bands of changed shards, (6) keeps its cache.
A run killed before (6) has kept nothing in its cache; the next finds out again what changed, and
passes over the tables that already carry the fingerprint it would write. With other inputs by
then, or a cache that fits no such state, everything is made anew, as a batch run. What is a
candidate depends on the contents that are there alone (`crowds.py`), so the index is that of a
batch run over the same documents.

Cost of an update: banding, look-up, texts and verification in proportion to new contents; solving
in proportion to changed clusters; writing in proportion to their rows, merges included
(`lake/keyed_files.py`); and a look at the logs of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.band_runs import NO_HASHES, BandRuns, distinct_pairs
from tritter_assets.dedup.bands import (
    BANDS_SCHEMA,
    BandLayout,
    band_hashes,
    band_keys,
    band_rows,
    layout_for,
    unpack_sketches,
)
from tritter_assets.dedup.cluster_update import (
    Shard,
    fitting,
    new_cache,
    open_cache,
    read_signatures,
    report_of_cache,
    solve_again,
    take_documents,
    write_clusters,
)
from tritter_assets.dedup.crowds import CROWD, NUM_HUBS, contents_of, pairs_of
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.index import (
    NEAR_INDEX,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    signature_states,
)
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.sorted_runs import without
from tritter_assets.dedup.text_intake import keep_texts, text_reader
from tritter_assets.dedup.verify import verify_pairs
from tritter_assets.lake import Lake, PartitionState, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "2"
"""2: pairs and clusters written by ranges of a key, bands looked up in sorted runs."""

NEAR_BANDS = "dedup/near_bands"
NEAR_PAIRS = "dedup/near_pairs"

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("id_a", pa.string(), nullable=False),
        pa.field("id_b", pa.string(), nullable=False),
        pa.field("jaccard", pa.float32(), nullable=False),
        pa.field("content_a", pa.int64(), nullable=False),
        pa.field("content_b", pa.int64(), nullable=False),
        pa.field("layout", pa.string(), nullable=False),
    ]
)

_BATCH_SHARE = 4
"""From a quarter of all entries on, one pass over the bands costs less than looking new ones up."""


def code_version(threshold: float) -> str:
    """Returns the version of everything that changes the near index."""
    layout = layout_for(threshold).name
    return f"{STAGE_VERSION}.{fingerprint_of(layout, SURVIVAL_ORDER, CROWD, NUM_HUBS)}"


def update_near_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    threshold: float = 0.7,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    families: LicenseFamilies | None = None,
    fingerprint: str,
) -> IndexReport:
    """Brings bands, pairs and `dedup/near_index` up to date with the signatures of `inputs`.

    Args:
        lake: The lake.
        inputs: Every shard that takes part; a shard left out is taken out of the index.
        threshold: Smallest Jaccard similarity of a duplicate.
        memory_limit_bytes: Look-ups and verification work in pieces beyond it.
        families: Of the policy; see `clusters.cluster_rows`.
        fingerprint: Hash of `code_version(threshold)` and `index.inputs_version(lake, inputs)`.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
        ContractViolation: the threshold is out of range.
    """
    layout = layout_for(threshold)
    states = signature_states(lake, inputs)
    version = code_version(threshold)
    expected = {NEAR_PAIRS: fingerprint_of(NEAR_PAIRS, fingerprint), NEAR_INDEX: fingerprint}
    bands = _Bands(lake, layout, states)
    cache, written = open_cache(lake, NEAR_INDEX, version, expected)
    if bands.are_ahead_of(cache):
        cache.close()
        cache, written = new_cache(lake, NEAR_INDEX), frozenset()
    with closing(cache):
        runs = cache.open_runs(BandRuns, "bands", memory_limit_bytes)
        stale = _stale_shards(cache, states)
        taken = take_documents(lake, cache, inputs, states, families)
        fresh = cache.present(taken.new)
        gone = taken.dirty.filter(~taken.dirty.is_in(cache.present(taken.dirty).implode()))
        known = taken.dirty.filter(~taken.dirty.is_in(fresh.implode()))
        touched = np.union1d(bands.of(known), _hashes(lake, layout, stale, known))
        found, crowded = _look_up(
            cache,
            runs,
            _entries(lake, layout, stale, fresh),
            fresh,
            # Other priorities can make another content the first of any band.
            None if taken.everything else touched,
        )
        crowd = contents_of(runs, cache, crowded)
        found = chain(found, _crowd_pairs(lake, cache, runs, layout, crowd))
        candidates = _among_living(cache, distinct_pairs(found))
        cache.bury(gone)
        cache.texts.drop(gone)
        keep_texts(lake, cache, stale, fresh)
        if runs.settle(without(cache.dead())) == runs.num_entries:
            cache.forget_dead()
        verified = verify_pairs(
            text_reader(lake, cache),
            candidates,
            _places(cache, candidates),
            threshold=threshold,
            memory_limit_bytes=memory_limit_bytes,
        )
        mates = cache.drop_pairs(pl.concat([gone, crowd]))
        cache.add_pairs(verified.pairs)
        ends = (verified.pairs["left"], verified.pairs["right"])
        changed = pl.concat([taken.dirty, crowd, mates, *ends])
        solved = solve_again(
            cache,
            None if taken.everything else changed,
            match="near",
            reason=Reason.NEAR_DUPLICATE,
        )
        if NEAR_PAIRS not in written:
            lake.replace_keys(
                NEAR_PAIRS,
                evidence_rows(solved.pairs, solved.documents, layout.name),
                PAIRS_SCHEMA,
                order=("id_a", "id_b"),
                dropped=None if solved.contents is None else cache.old_clusters(solved.contents)[1],
                fingerprint=expected[NEAR_PAIRS],
            )
        write_clusters(
            lake,
            cache,
            NEAR_INDEX,
            solved,
            fingerprint=fingerprint,
            is_written=NEAR_INDEX in written,
        )
        bands.put_in()
        details: dict[str, int | float | str] = {
            "shards": len(states),
            "shards_changed": len(bands.changed),
            "shards_removed": len(bands.removed),
            "new_contents": len(fresh),
            "candidates": candidates.height,
            "pairs_computed": verified.num_computed,
            "pairs": cache.num_pairs,
            "layout": layout.name,
        }
        num_documents = sum(state.num_rows for state in states.values())
        report = report_of_cache(NEAR_INDEX, cache, num_documents, details)
        cache.commit(fitting(lake, version, list(expected)))
    return report


class _Bands:
    """The table of band keys, one partition per shard, and which of them have to change."""

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
            shard: _bands_fingerprint(self._name, signed.data_version)
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
            fingerprint = _bands_fingerprint(self._name, signed)
            yield {"source": source, "shard": name}, rows.to_arrow(), fingerprint


@lru_cache(maxsize=1 << 16)
def _bands_fingerprint(layout: str, data_version: str) -> str:
    return fingerprint_of(NEAR_BANDS, layout, data_version)


def _stale_shards(cache: DocumentCache, states: Mapping[Shard, PartitionState]) -> list[Shard]:
    known = cache.shard_versions()
    return sorted(s for s, state in states.items() if known.get(s) != state.data_version)


def _look_up(
    cache: DocumentCache,
    runs: BandRuns,
    entries: Iterable[tuple[np.ndarray, np.ndarray]],
    fresh: pl.Series,
    touched: np.ndarray | None,
) -> tuple[Iterator[pl.DataFrame], np.ndarray]:
    """Puts the bands of new contents into the runs.

    Args:
        cache: Tells which contents have entries and are gone.
        runs: The band runs.
        entries: Hashes and contents of what is new.
        fresh: The contents that are new.
        touched: Hashes of further contents that lose or gain documents; None for all there are.

    Returns:
        The pairs that new contents make in bands that are not crowded, and the hashes of crowded
        bands with a content that is new, gains or loses a document.
    """
    held = list(runs.runs)
    num_held = runs.num_entries
    runs.add_all(entries)
    cache.revive(fresh)
    added = [run for run in runs.runs if run not in held]
    many = added and (runs.num_entries - num_held) * _BATCH_SHARE >= runs.num_entries
    if runs.runs and (many or touched is None):
        everything = runs.merge(runs.runs, without(cache.dead()))
        cache.forget_dead()
        crowded = runs.crowded(everything, CROWD)
        return runs.pairs_within(everything, fresh.sort().to_numpy(), crowded=crowded), crowded
    new = NO_HASHES
    one = None
    if added:
        one = added[0] if len(added) == 1 else runs.merge(added)
        new = runs.keys(one)
    if touched is None or not len(touched):
        touched = new
    elif len(new):
        touched = np.union1d(new, touched)
    # Counts entries, those of contents that vanish included: what was crowded still is.
    counts = runs.counts(touched)
    crowded, shared = touched[counts > CROWD], touched[counts > 1]
    if one is None:
        return iter(()), crowded
    within = runs.pairs_within(one, crowded=crowded)
    return chain(within, runs.pairs_between(one, held, shared=shared, crowded=crowded)), crowded


def _crowd_pairs(
    lake: Lake, cache: DocumentCache, runs: BandRuns, layout: BandLayout, crowd: pl.Series
) -> Iterator[pl.DataFrame]:
    """Yields all candidate pairs of the contents of crowded bands."""
    if len(crowd):
        shards = cache.documents(crowd).select("source", "shard").unique().sort("source", "shard")
        yield from pairs_of(runs, cache, _hashes(lake, layout, shards.rows(), crowd), crowd)


def _among_living(cache: DocumentCache, pairs: pl.DataFrame) -> pl.DataFrame:
    living = cache.present(pl.concat([pairs["left"], pairs["right"]])).implode()
    return pairs.filter(pl.col("left").is_in(living) & pl.col("right").is_in(living))


def _entries(
    lake: Lake,
    layout: BandLayout,
    shards: Sequence[Shard],
    wanted: pl.Series,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields hashes and contents of the bands of contents in shards, each once."""
    done = pl.Series(dtype=pl.Int64)
    for shard in shards:
        if done.len() == wanted.len():
            break
        signatures = read_signatures(lake, shard, ["content", "minhash"]).unique("content")
        signatures = signatures.filter(pl.col("content").is_in(wanted.implode()))
        signatures = signatures.filter(~pl.col("content").is_in(done.implode()))
        if signatures.height:
            done = pl.concat([done, signatures["content"]])
            keys = band_keys(unpack_sketches(signatures["minhash"]), layout)
            contents = np.repeat(signatures["content"].to_numpy(), layout.num_bands)
            band = np.tile(np.arange(layout.num_bands), signatures.height)
            yield band_hashes(keys.reshape(-1), band), contents


def _hashes(
    lake: Lake, layout: BandLayout, shards: Sequence[Shard], wanted: pl.Series
) -> np.ndarray:
    """Returns the distinct band hashes of contents in shards, sorted."""
    parts = [hashes for hashes, _ in _entries(lake, layout, shards, wanted)]
    return np.unique(np.concatenate(parts)) if parts else NO_HASHES


def _places(cache: DocumentCache, candidates: pl.DataFrame) -> pl.DataFrame:
    """Returns where to read each candidate content: its first document by source and shard."""
    wanted = pl.concat([candidates["left"], candidates["right"]])
    return (
        cache.documents(wanted)
        .sort("source", "shard", "id")
        .unique("content", keep="first", maintain_order=True)
    )


def evidence_rows(pairs: pl.DataFrame, documents: pl.DataFrame, layout: str) -> pl.DataFrame:
    """Returns the rows of `near_pairs`: verified pairs, and each copy with its first document."""
    firsts = documents.group_by("content").agg(first=pl.col("id").min())
    between = (
        pairs.join(firsts.rename({"content": "left", "first": "id_left"}), on="left")
        .join(firsts.rename({"content": "right", "first": "id_right"}), on="right")
        .with_columns(swapped=pl.col("id_left") > pl.col("id_right"))
        .select(
            id_a=pl.min_horizontal("id_left", "id_right"),
            id_b=pl.max_horizontal("id_left", "id_right"),
            jaccard="jaccard",
            content_a=pl.when("swapped").then("right").otherwise("left"),
            content_b=pl.when("swapped").then("left").otherwise("right"),
        )
    )
    copies = (
        documents.select("id", "content")
        .unique()
        .join(firsts, on="content")
        .filter(pl.col("id") != pl.col("first"))
        .select(
            id_a="first",
            id_b="id",
            jaccard=pl.lit(1.0, dtype=pl.Float32),
            content_a="content",
            content_b="content",
        )
    )
    return pl.concat([between, copies]).with_columns(layout=pl.lit(layout)).sort("id_a", "id_b")
