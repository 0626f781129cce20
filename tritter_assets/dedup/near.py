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

Incremental: what holds at every moment is that `near_pairs` has every verified pair among the
contents in `near_bands`. An update (1) takes vanished documents out of the bands, (2) looks the
bands of new contents up among those of all, and verifies the pairs found, (3) writes the pairs of
changed clusters, (4) writes the bands of changed shards, (5) writes changed clusters, (6) keeps its
cache. Killed between any two steps, the next update completes it: a cache that does not fit the
tables is made again. A pair depends on two contents alone, so the pairs, and with them the index,
are those of a batch run over the same documents.

Cost of an update: banding, look-up and verification in proportion to new contents; solving in
proportion to changed clusters; writing in proportion to the files that hold them; and one read of
the tables' logs. Verification reads row groups of `filtered/*`, so a candidate costs more than its
own text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.band_runs import BandRuns, distinct_pairs
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
    Taken,
    fitting,
    open_cache,
    read_signatures,
    report_of_cache,
    solve_again,
    take_documents,
    write_clusters,
)
from tritter_assets.dedup.document_cache import DocumentCache, cache_folder
from tritter_assets.dedup.index import (
    NEAR_INDEX,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    signature_states,
)
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.verify import lake_reader, verify_pairs
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
    return f"{STAGE_VERSION}.{fingerprint_of(layout_for(threshold).name, SURVIVAL_ORDER)}"


def update_near_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    threshold: float = 0.7,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    fingerprint: str,
) -> IndexReport:
    """Brings bands, pairs and `dedup/near_index` up to date with the signatures of `inputs`.

    Args:
        lake: The lake.
        inputs: Every shard that takes part; a shard left out is taken out of the index.
        threshold: Smallest Jaccard similarity of a duplicate.
        memory_limit_bytes: Look-ups and verification work in pieces beyond it.
        fingerprint: Hash of `code_version(threshold)` and `index.inputs_version(lake, inputs)`.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
        ContractViolation: the threshold is out of range.
    """
    layout = layout_for(threshold)
    states = signature_states(lake, inputs)
    version, tables = code_version(threshold), (NEAR_PAIRS, NEAR_INDEX)
    bands = _Bands(lake, layout, states)
    bands.take_out()
    cache = open_cache(lake, NEAR_INDEX, version, tables)
    with closing(cache):
        runs = BandRuns(cache_folder(lake, NEAR_INDEX) / "runs", cache.runs(), memory_limit_bytes)
        stale = _stale_shards(cache, states)
        taken = take_documents(lake, cache, inputs, states)
        fresh = _fresh_contents(cache, taken, bands)
        wanted = None if cache.is_new else fresh
        entries = _entries(lake, layout, stale, wanted)
        candidates = _look_up(cache, runs, entries, fresh)
        verified = verify_pairs(
            lake_reader(lake),
            candidates,
            _places(cache, candidates),
            threshold=threshold,
            memory_limit_bytes=memory_limit_bytes,
        )
        changed = _join(lake, cache, taken, layout, verified.pairs)
        solved = solve_again(
            cache,
            None if taken.everything else changed,
            match="near",
            reason=Reason.NEAR_DUPLICATE,
        )
        lake.replace_keys(
            NEAR_PAIRS,
            evidence_rows(solved.pairs, solved.documents, layout.name),
            PAIRS_SCHEMA,
            order=("id_a", "id_b"),
            dropped=None if solved.contents is None else cache.old_clusters(solved.contents)[1],
            fingerprint=fingerprint_of(NEAR_PAIRS, fingerprint),
        )
        bands.put_in()
        write_clusters(lake, cache, NEAR_INDEX, solved, fingerprint=fingerprint)
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
        cache.set_runs(runs.runs)
        cache.commit(fitting(lake, version, tables))
        runs.sweep()
    return report


class _Bands:
    """The table of band keys, one partition per shard, and which of them have to change."""

    def __init__(
        self, lake: Lake, layout: BandLayout, states: Mapping[Shard, PartitionState]
    ) -> None:
        self._lake = lake
        self._layout = layout
        self._states = states
        stored = {
            (state.partition["source"], state.partition["shard"]): state
            for state in lake.states(NEAR_BANDS)
            if state.num_rows
        }
        self._held = frozenset(stored)
        self.removed = tuple(sorted(self._held - set(states)))
        self.changed = tuple(
            shard
            for shard, signed in sorted(states.items())
            if (signed.num_rows or shard in stored)
            and (shard not in stored or stored[shard].fingerprint != self._fingerprint(signed))
        )

    def take_out(self) -> None:
        """Removes every document that is gone, before any pair is touched."""
        for shard in self.removed:
            self._write(shard, BANDS_SCHEMA.empty_table(), fingerprint_of(NEAR_BANDS, "removed"))
        for source, shard in self.changed:
            if (source, shard) not in self._held:
                continue
            stored = self._lake.scan(NEAR_BANDS).filter(
                (pl.col("source") == source) & (pl.col("shard") == shard)
            )
            current = read_signatures(self._lake, (source, shard), ["id", "content"])
            staying = stored.filter(pl.col("layout") == self._layout.name).join(
                current.lazy(), on=["id", "content"], how="semi"
            )
            before = stored.select(pl.len()).collect().item()
            rows = staying.sort("id", "band").collect()
            if rows.height < before:
                partial = fingerprint_of(NEAR_BANDS, "partial")
                self._write((source, shard), rows.to_arrow(), partial)

    def held_contents(self) -> pl.Series:
        """Returns the contents whose pairs are known to be written."""
        if not self._lake.exists(NEAR_BANDS):
            return pl.Series(dtype=pl.Int64)
        here = (pl.col("band") == 0) & (pl.col("layout") == self._layout.name)
        stored = self._lake.scan(NEAR_BANDS).filter(here).select("content").unique()
        return stored.collect(engine="streaming")["content"]

    def put_in(self) -> None:
        """Writes the bands of changed shards; the pairs already cover them."""
        for source, shard in self.changed:
            signatures = read_signatures(self._lake, (source, shard), ["id", "content", "minhash"])
            rows = band_rows(signatures, self._layout).with_columns(
                source=pl.lit(source), shard=pl.lit(shard), layout=pl.lit(self._layout.name)
            )
            fingerprint = self._fingerprint(self._states[source, shard])
            self._write((source, shard), rows.to_arrow(), fingerprint)

    def _fingerprint(self, signed: PartitionState) -> str:
        return fingerprint_of(NEAR_BANDS, self._layout.name, signed.data_version)

    def _write(self, shard: Shard, rows: pa.Table, fingerprint: str) -> None:
        source, name = shard
        self._lake.write(
            NEAR_BANDS,
            rows,
            BANDS_SCHEMA,
            fingerprint=fingerprint,
            partition={"source": source, "shard": name},
        )


def _stale_shards(cache: DocumentCache, states: Mapping[Shard, PartitionState]) -> list[Shard]:
    known = cache.shard_versions()
    return sorted(s for s, state in states.items() if known.get(s) != state.data_version)


def _fresh_contents(cache: DocumentCache, taken: Taken, bands: _Bands) -> pl.Series:
    """Returns the contents whose pairs are not known yet."""
    present = cache.present(taken.new)
    if not cache.is_new:
        return present
    return present.filter(~present.is_in(bands.held_contents().implode()))


def _look_up(
    cache: DocumentCache,
    runs: BandRuns,
    entries: Iterable[tuple[np.ndarray, np.ndarray]],
    fresh: pl.Series,
) -> pl.DataFrame:
    """Puts the bands of new contents into the runs; returns the pairs (left, right) they make."""
    held = list(runs.runs)
    num_held = runs.num_entries
    runs.add_all(entries)
    added = [run for run in runs.runs if run not in held]
    if not added:
        return pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64})
    cache.revive(fresh)
    dead = cache.dead()
    ordered = fresh.sort().to_numpy()
    if (runs.num_entries - num_held) * _BATCH_SHARE >= runs.num_entries:
        everything = runs.merge(runs.runs, dead)
        cache.forget_dead()
        found = runs.pairs_within(everything, ordered)
    else:
        one = added[0] if len(added) == 1 else runs.merge(added, dead)
        found = chain(runs.pairs_within(one), runs.pairs_between(one, held))
    pairs = distinct_pairs(found)
    runs.settle(dead)
    living = cache.present(pl.concat([pairs["left"], pairs["right"]])).implode()
    return pairs.filter(pl.col("left").is_in(living) & pl.col("right").is_in(living))


def _entries(
    lake: Lake,
    layout: BandLayout,
    shards: Sequence[Shard],
    wanted: pl.Series | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields hashes and contents of the bands of contents (None: of all) in shards, each once."""
    done = pl.Series(dtype=pl.Int64)
    for shard in shards:
        if wanted is not None and done.len() == wanted.len():
            break
        signatures = read_signatures(lake, shard, ["content", "minhash"]).unique("content")
        if wanted is not None:
            signatures = signatures.filter(pl.col("content").is_in(wanted.implode()))
        signatures = signatures.filter(~pl.col("content").is_in(done.implode()))
        if signatures.height:
            done = pl.concat([done, signatures["content"]])
            keys = band_keys(unpack_sketches(signatures["minhash"]), layout)
            contents = np.repeat(signatures["content"].to_numpy(), layout.num_bands)
            yield band_hashes(keys), contents


def _places(cache: DocumentCache, candidates: pl.DataFrame) -> pl.DataFrame:
    """Returns where to read each candidate content: its first document by source and shard."""
    wanted = pl.concat([candidates["left"], candidates["right"]])
    return (
        cache.documents(wanted)
        .sort("source", "shard", "id")
        .unique("content", keep="first", maintain_order=True)
    )


def _join(
    lake: Lake, cache: DocumentCache, taken: Taken, layout: BandLayout, verified: pl.DataFrame
) -> pl.Series:
    """Brings the pairs of the cache up to date; returns the contents to be solved again."""
    if cache.is_new:
        cache.add_pairs(_known_pairs(lake, cache, layout))
    gone = taken.dirty.filter(~taken.dirty.is_in(cache.present(taken.dirty).implode()))
    mates = cache.bury(gone)
    cache.add_pairs(verified)
    return pl.concat([taken.dirty, mates, verified["left"], verified["right"]])


def _known_pairs(lake: Lake, cache: DocumentCache, layout: BandLayout) -> pl.DataFrame:
    """Returns stored pairs of this layout whose two contents are still there."""
    if not lake.exists(NEAR_PAIRS):
        schema = {"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32}
        return pl.DataFrame(schema=schema)
    stored = (
        lake.scan(NEAR_PAIRS)
        .filter((pl.col("layout") == layout.name) & (pl.col("content_a") != pl.col("content_b")))
        .select(
            left=pl.min_horizontal("content_a", "content_b"),
            right=pl.max_horizontal("content_a", "content_b"),
            jaccard="jaccard",
        )
        .collect()
    )
    living = cache.present(pl.concat([stored["left"], stored["right"]])).implode()
    return stored.filter(pl.col("left").is_in(living) & pl.col("right").is_in(living))


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
