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

from collections.abc import Mapping, Sequence
from contextlib import closing

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.band_runs import BandRuns
from tritter_assets.dedup.band_table import BandTable
from tritter_assets.dedup.bands import layout_for
from tritter_assets.dedup.candidates import find_candidates, hashes_of
from tritter_assets.dedup.cluster_update import (
    Shard,
    fitting,
    new_cache,
    open_cache,
    report_of_cache,
    solve_again,
    take_documents,
    write_clusters,
)
from tritter_assets.dedup.crowds import CROWD, NUM_HUBS
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
    bands = BandTable(lake, layout, states)
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
        touched = np.union1d(bands.of(known), hashes_of(lake, layout, stale, known))
        candidates, crowd = find_candidates(
            lake,
            cache,
            runs,
            layout,
            stale=stale,
            fresh=fresh,
            # Other priorities can make another content the first of any band.
            touched=None if taken.everything else touched,
        )
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


def _stale_shards(cache: DocumentCache, states: Mapping[Shard, PartitionState]) -> list[Shard]:
    known = cache.shard_versions()
    return sorted(s for s, state in states.items() if known.get(s) != state.data_version)


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
