"""The semantic index: SemDeDup over what the exact and near indexes keep.

Abbas et al. 2023: embed, cluster with k-means, and within each cluster prune documents whose
cosine to one that stays is at least 1 - epsilon. Who stays is decided by the survival order of all
indexes and not by the distance to the centre, so licences and provenance decide, and a document
tied only to a pruned one stays.

Input: `signatures/*`, `filtered/*`, `dedup/{exact,near}_index`. Output: `dedup/semantic_index`,
the embeddings (`vectors.py`) and what each epsilon would remove (`removal_curve.py`). Only new and
changed shards are embedded; clustering is made anew at each update, and so the result depends on
the documents alone. Vectors beyond half the memory setting lie in a file; what is held besides is
an id for each document, and 20 bytes for each close pair. When it is off the index is written
empty, no vector is kept, and its commit says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from tritter_assets.dedup.bands import content_key
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS, cluster_rows, family_bits, report_of
from tritter_assets.dedup.embeddings import (
    LEXICAL,
    PACKAGED,
    Embed,
    embedder,
    embedding_version,
)
from tritter_assets.dedup.index import (
    EXACT_INDEX,
    INDEX_SCHEMA,
    NEAR_INDEX,
    SEMANTIC_INDEX,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    scan_signatures,
    signature_states,
)
from tritter_assets.dedup.kernel import KERNEL_VERSION
from tritter_assets.dedup.kmeans import close_pairs, cluster
from tritter_assets.dedup.license_family import LicenseFamilies, index_families
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.removal_curve import (
    CURVE_SCHEMA,
    EPSILONS,
    SEMANTIC_CURVE,
    describe,
    drawn_clusters,
    measure_curve,
    shares,
)
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.dedup.vectors import embed_shards, gathered
from tritter_assets.lake import Lake, PartitionState, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "2"
"""2: a cluster's rows are added up in blocks."""

OFF = "semantic deduplication is off in the profile"


@dataclass(frozen=True, kw_only=True, slots=True)
class SemanticSettings:
    """Literals of the semantic index; all are part of its code version."""

    embedding: str = LEXICAL
    """`lexical`, `minilm`, or the folder of a sentence-transformer."""
    epsilon: float = 0.05
    """A document falls at a cosine of 1 - epsilon or more to one that stays."""
    documents_per_cluster: int = 1000
    """Mean size of a k-means cluster; pruning costs its square."""
    rounds: int = 10


DEFAULT_SETTINGS = SemanticSettings()


def code_version(enabled: bool, settings: SemanticSettings = DEFAULT_SETTINGS) -> str:
    """Returns the version of everything that changes the semantic index."""
    if not enabled:
        return f"{STAGE_VERSION}.off"
    values = asdict(settings)
    if settings.embedding not in PACKAGED:
        values["embedding"] = "folder"  # a path is no identity; its digest is an input of the index
    return f"{STAGE_VERSION}.{fingerprint_of(values, KERNEL_VERSION, SURVIVAL_ORDER)}"


def update_semantic_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    enabled: bool = True,
    settings: SemanticSettings = DEFAULT_SETTINGS,
    embed: Embed | None = None,
    families: LicenseFamilies | None = None,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    fingerprint: str,
) -> IndexReport:
    """Writes `dedup/semantic_index` over the documents that exact and near deduplication keep.

    Args:
        lake: The lake.
        inputs: Every shard that takes part.
        enabled: False writes an empty index.
        settings: See `SemanticSettings`.
        embed: Replaces the embedding that `settings` names; the caller versions it.
        families: Of the policy; see `clusters.cluster_rows`.
        memory_limit_bytes: Vectors beyond half of it lie in a file.
        fingerprint: Hash of `code_version(...)`, of `index.inputs_version(...)` and of the data
            versions of the exact and near index.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
    """
    states = signature_states(lake, inputs)
    num_documents = sum(state.num_rows for state in states.values())
    rows = pl.DataFrame(INDEX_SCHEMA.empty_table())
    curve = pl.DataFrame(CURVE_SCHEMA.empty_table())
    details: dict[str, int | float | str] = {"skipped": OFF}
    note: dict[str, bool | str] = {"enabled": False, "reason": OFF}
    if enabled:
        embedded = _embed(lake, states, settings, embed)
        rows, curve = _solve(lake, inputs, settings, families, memory_limit_bytes)
        compared = int(curve["compared"][0])
        details = {
            "embedding": settings.embedding,
            "shards_embedded": embedded,
            "documents_compared": compared,
            "share_removed": describe(curve, settings.epsilon),
            **{f"removed_at_{at:g}": round(share, 4) for at, share in shares(curve)},
        }
        note = {"enabled": True}
    else:
        embed_shards(lake, {}, (), lambda: embedder(settings.embedding))
    made_from = fingerprint_of(SEMANTIC_CURVE, fingerprint)
    lake.write(SEMANTIC_CURVE, curve.to_arrow(), CURVE_SCHEMA, fingerprint=made_from)
    lake.write(
        SEMANTIC_INDEX,
        rows.to_arrow(),
        INDEX_SCHEMA,
        fingerprint=fingerprint,
        commit_metadata=note,
    )
    return report_of(SEMANTIC_INDEX, rows, num_documents, details)


def _embed(
    lake: Lake,
    states: Mapping[tuple[str, str], PartitionState],
    settings: SemanticSettings,
    embed: Embed | None,
) -> int:
    named = embed is not None or settings.embedding in PACKAGED
    name = settings.embedding if named else "folder"
    version = KERNEL_VERSION if embed else embedding_version(settings.embedding)
    return embed_shards(
        lake, states, (name, version), lambda: embed or embedder(settings.embedding)
    )


def _solve(
    lake: Lake,
    inputs: Sequence[ShardInput],
    settings: SemanticSettings,
    families: LicenseFamilies | None,
    memory_limit_bytes: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns the rows of the index and of the curve."""
    # In the order of ids: k-means must not depend on priorities, paths or arrival.
    compared = (
        scan_signatures(lake, inputs, ["normalized_sha256"])
        .select("id", content_key())
        .collect(engine="streaming")
        .join(dropped_ids(lake, (EXACT_INDEX, NEAR_INDEX)), on="id", how="anti")
        .group_by("content")
        .agg(pl.col("id").min())
        .sort("id")
    )
    ids, contents = compared["id"], compared["content"].to_numpy()
    epsilons = (*EPSILONS, settings.epsilon)
    if ids.is_empty():
        nothing = measure_curve(np.zeros((0, 1)), [], contents, contents, epsilons)
        return pl.DataFrame(INDEX_SCHEMA.empty_table()), nothing
    with gathered(lake, ids, memory_limit_bytes) as vectors:
        num_clusters = max(1, round(len(vectors) / settings.documents_per_cluster))
        labels = cluster(vectors, num_clusters, settings.rounds)
        left, right, cosine = close_pairs(vectors, labels, 1.0 - settings.epsilon)
        drawn = drawn_clusters(labels)
        rank, bits = _walk(
            _documents(lake, inputs, ids.gather(np.concatenate(drawn))), ids, families
        )
        curve = measure_curve(vectors, drawn, rank, bits, epsilons)
    pairs = pl.DataFrame({"left": contents[left], "right": contents[right], "score": cosine})
    rows = cluster_rows(
        _documents(lake, inputs, ids.gather(np.union1d(left, right))),
        pairs,
        match="semantic",
        reason=Reason.SEMANTIC_DUPLICATE,
        families=families,
    )
    return rows, curve


def _documents(lake: Lake, inputs: Sequence[ShardInput], ids: pl.Series) -> pl.DataFrame:
    wanted = ids.to_frame().lazy()
    return (
        scan_signatures(lake, inputs, DOCUMENT_COLUMNS)
        .join(wanted, on="id", how="semi")
        .with_columns(content_key())
        .collect(engine="streaming")
        .sort(*SURVIVAL_ORDER, "shard")
        .unique("id", keep="first", maintain_order=True)
    )


def _walk(
    documents: pl.DataFrame, ids: pl.Series, families: LicenseFamilies | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place in the survival order and the licence family of each row of `ids`."""
    rank, bits = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
    places = ids.search_sorted(documents["id"]).to_numpy()
    rank[places] = np.arange(documents.height)
    judged = family_bits(documents["license_concluded"], families or index_families())
    bits[places] = judged.to_numpy()
    return rank, bits
