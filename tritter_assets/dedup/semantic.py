"""The semantic index: SemDeDup over what the exact and near indexes keep.

Abbas et al. 2023: embed, cluster with k-means, and within each cluster prune documents whose
cosine to one that stays is at least 1 - epsilon. Who stays is decided by the survival order of all
indexes and not by the distance to the centre, so licences and provenance decide, and a document
tied only to a pruned one stays.

Input: `signatures/*`, `filtered/*`, `dedup/{exact,near}_index`. Output: `dedup/semantic_index` and
the helper `dedup/semantic_embeddings` (id, vector), partitioned by (source, shard): only new and
changed shards are embedded again. Clustering is made anew at each update: it is a small part of
the cost, and so the result depends on the documents alone. When it is off the index is written
empty, and its commit says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.bands import content_key
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS, cluster_rows, report_of
from tritter_assets.dedup.embeddings import (
    LEXICAL,
    PACKAGED,
    Embed,
    embedder,
    embedding_version,
    normalized,
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
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "1"

SEMANTIC_EMBEDDINGS = "dedup/semantic_embeddings"

EMBEDDINGS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("vector", pa.binary(), nullable=False),
    ]
)
"""`vector` is little-endian float16, length 1 within its rounding."""


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
        fingerprint: Hash of `code_version(...)`, of `index.inputs_version(...)` and of the data
            versions of the exact and near index.

    Raises:
        MissingProvenance: an input has no signatures.
    """
    states = signature_states(lake, inputs)
    num_documents = sum(state.num_rows for state in states.values())
    if not enabled:
        reason = "semantic deduplication is off in the profile"
        lake.write(
            SEMANTIC_INDEX,
            INDEX_SCHEMA.empty_table(),
            INDEX_SCHEMA,
            fingerprint=fingerprint,
            commit_metadata={"enabled": False, "reason": reason},
        )
        empty = pl.DataFrame(INDEX_SCHEMA.empty_table())
        return report_of(SEMANTIC_INDEX, empty, num_documents, {"skipped": reason})
    embedded = _embed_shards(lake, inputs, settings, embed)
    documents = (
        scan_signatures(lake, inputs, DOCUMENT_COLUMNS)
        .with_columns(content_key())
        .collect(engine="streaming")
        .join(dropped_ids(lake, (EXACT_INDEX, NEAR_INDEX)), on="id", how="anti")
        .sort(*SURVIVAL_ORDER, "shard")
        .unique("content", keep="first", maintain_order=True)
    )
    pairs = _pairs(lake, inputs, documents, settings)
    rows = cluster_rows(
        documents,
        pairs,
        match="semantic",
        reason=Reason.SEMANTIC_DUPLICATE,
        families=families,
    )
    lake.write(SEMANTIC_INDEX, rows.to_arrow(), INDEX_SCHEMA, fingerprint=fingerprint)
    details = {
        "embedding": settings.embedding,
        "shards_embedded": embedded,
        "documents_compared": documents.height,
        "pairs": pairs.height,
    }
    return report_of(SEMANTIC_INDEX, rows, num_documents, details)


def _pairs(
    lake: Lake,
    inputs: Sequence[ShardInput],
    documents: pl.DataFrame,
    settings: SemanticSettings,
) -> pl.DataFrame:
    empty = pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64, "score": pl.Float32})
    if documents.is_empty():
        return empty
    keys = [f"{item.source}/{item.shard}" for item in inputs]
    vectors = (
        lake.scan(SEMANTIC_EMBEDDINGS)
        .filter(pl.concat_str("source", pl.lit("/"), "shard").is_in(keys))
        .select("id", "vector")
        .unique("id", keep="first")
        .collect()
    )
    # In the order of ids: k-means must not depend on priorities, paths or arrival.
    joined = documents.select("id", "content").join(vectors, on="id").sort("id")
    packed = b"".join(joined["vector"].to_list())
    rows = np.frombuffer(packed, dtype="<f2").reshape(joined.height, -1).astype(np.float32)
    # What all documents share (keywords, licence headers) would make every pair look close.
    rows = normalized(rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32))
    num_clusters = max(1, round(joined.height / settings.documents_per_cluster))
    labels = cluster(rows, num_clusters, settings.rounds)
    left, right, cosine = close_pairs(rows, labels, 1.0 - settings.epsilon)
    contents = joined["content"].to_numpy()
    return pl.DataFrame(
        {"left": contents[left], "right": contents[right], "score": cosine}, schema=empty.schema
    )


def _embed_shards(
    lake: Lake, inputs: Sequence[ShardInput], settings: SemanticSettings, embed: Embed | None
) -> int:
    """Embeds the shards whose content changed; returns how many."""
    held = {
        (state.partition["source"], state.partition["shard"]): state.fingerprint
        for state in lake.states(SEMANTIC_EMBEDDINGS)
    }
    named = embed is not None or settings.embedding in PACKAGED
    name = settings.embedding if named else "folder"
    version = KERNEL_VERSION if embed else embedding_version(settings.embedding)
    function = embed
    count = 0
    for (source, shard), signed in sorted(signature_states(lake, inputs).items()):
        wanted = fingerprint_of(SEMANTIC_EMBEDDINGS, name, version, signed.data_version)
        if held.get((source, shard)) == wanted or signed.num_rows == 0:
            continue
        function = function or embedder(settings.embedding)
        current = function
        batches = (
            _embedded(batch, current)
            for batch in lake.batches(
                f"filtered/{source}",
                partition={"shard": shard},
                columns=["id", "source", "shard", "content"],
            )
        )
        lake.write(
            SEMANTIC_EMBEDDINGS,
            batches,
            EMBEDDINGS_SCHEMA,
            fingerprint=wanted,
            partition={"source": source, "shard": shard},
        )
        count += 1
    return count


def _embedded(batch: pa.RecordBatch, embed: Embed) -> pa.RecordBatch:
    rows = embed(batch.column("content")).astype("<f2")
    vectors = [row.tobytes() for row in rows]
    columns = [batch.column(name) for name in ("id", "source", "shard")]
    return pa.RecordBatch.from_arrays(
        [*columns, pa.array(vectors, pa.binary())], names=["id", "source", "shard", "vector"]
    )
