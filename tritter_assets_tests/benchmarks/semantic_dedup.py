"""SemDeDup, ours and a plain numpy one over the same vectors, in one run.

    python -m tritter_assets_tests.benchmarks.semantic_dedup [CORPUS.parquet] [--embedding=NAME]

Documents are the first of the corpus up to `MEGABYTES` (2 with a model: MiniLM embeds 0.06 MB/s).
Ours: embedding, centring, k-means of ten rounds, pairs within clusters, survival order. The peer is
the paper's algorithm (Abbas et al. 2023) written simply: scipy's k-means, the whole similarity
matrix of a cluster, and a document falls when any document before it in its cluster is close,
whether that one stays or not. No package on the index installs SemDeDup for code on a CPU alone.

`pairs_precision` and `pairs_recall`: our pairs against all pairs within our clusters in float64.
`removed_*`: our removals against the paper's rule over our clusters and our order; ours keeps a
document whose only close ones fell, so precision is what must be 1. `incremental_equals_batch`
compares the index after two updates with that of one, as rows. Rates are MB per CPU second.

Prints one JSON object last.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.components import solve
from tritter_assets.dedup.embeddings import LEXICAL, embedder, normalized
from tritter_assets.dedup.kmeans import close_pairs, cluster
from tritter_assets.dedup.semantic import DEFAULT_SETTINGS, SemanticSettings, update_semantic_index
from tritter_assets.lake import Lake
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign

EPSILONS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
MEGABYTES = 100.0
MODEL_MEGABYTES = 2.0
LAKE_DOCUMENTS = 600

T = TypeVar("T")


def main() -> None:
    options = [a.partition("=")[2] for a in sys.argv[1:] if a.startswith("--embedding=")]
    embedding = options[0] if options else LEXICAL
    files = [Path(argument) for argument in sys.argv[1:] if argument.endswith(".parquet")]
    limit = MEGABYTES if embedding == LEXICAL else MODEL_MEGABYTES
    content, megabytes = documents(files[0] if files else corpus_path(), limit)
    embed = embedder(embedding)
    embed(content.slice(0, 5))  # compiles
    embed_s, vectors = timed(lambda: embed(content))
    settings = DEFAULT_SETTINGS
    cluster_s, (rows, labels) = timed(lambda: clustered(vectors, settings))
    prune_s, _ = timed(lambda: pruned(rows, labels, settings.epsilon))
    peer_s, _ = timed(lambda: plain_semdedup(vectors, settings))
    found = {epsilon: pruned(rows, labels, epsilon) for epsilon in EPSILONS}
    report(
        "semantic_dedup",
        round(megabytes / (embed_s + cluster_s + prune_s), 2),
        "MB per CPU second, text to removals",
        {"plain_numpy": round(megabytes / (embed_s + peer_s), 2)},
        round((embed_s + peer_s) / (embed_s + cluster_s + prune_s), 2),
        embedding=embedding,
        documents=len(content),
        megabytes=round(megabytes, 1),
        stages_mb_per_s={
            "embedding": round(megabytes / embed_s, 3),
            "clustering": round(megabytes / cluster_s, 1),
            "pruning": round(megabytes / prune_s, 1),
            "peer_after_embedding": round(megabytes / peer_s, 1),
        },
        removed_share={str(e): round(float(gone.mean()), 4) for e, (gone, _) in found.items()},
        against_oracle={str(e): agreement(rows, labels, e, *found[e]) for e in EPSILONS},
        incremental_equals_batch=incremental_equals_batch(
            content, SemanticSettings(embedding=embedding, epsilon=0.2)
        ),
    )


def documents(path: Path, limit: float) -> tuple[pa.Array, float]:
    """Texts without exact copies, up to `limit` MB."""
    frame = pl.DataFrame(pq.read_table(path, columns=["content"])).unique(maintain_order=True)
    ends = frame["content"].str.len_bytes().cum_sum() / 1e6
    rows = max(int((ends <= limit).sum()), 1)
    return frame["content"].head(rows).to_arrow(), float(ends[rows - 1])


def clustered(vectors: np.ndarray, settings: SemanticSettings) -> tuple[np.ndarray, np.ndarray]:
    stored = vectors.astype("<f2").astype(np.float32)
    rows = normalized(stored - stored.mean(axis=0, dtype=np.float64).astype(np.float32))
    number = max(1, round(len(rows) / settings.documents_per_cluster))
    return rows, cluster(rows, number, settings.rounds)


def pruned(rows: np.ndarray, labels: np.ndarray, epsilon: float) -> tuple[np.ndarray, set[int]]:
    """Which rows fall, and the close pairs (as left * rows + right)."""
    left, right, cosine = close_pairs(rows, labels, 1.0 - epsilon)
    nobody = np.zeros(len(rows), dtype=bool)
    solved = solve(len(rows), left, right, cosine, nobody)
    return solved.kept_by >= 0, set((left * len(rows) + right).tolist())


def agreement(
    rows: np.ndarray, labels: np.ndarray, epsilon: float, gone: np.ndarray, pairs: set[int]
) -> dict[str, float]:
    truth: set[int] = set()
    fallen = np.zeros(len(rows), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        exact = rows[members].astype(np.float64)
        close = np.triu(exact @ exact.T, 1) >= 1.0 - epsilon
        fallen[members] = close.any(axis=0)
        one, two = np.nonzero(close)
        truth.update((members[one] * len(rows) + members[two]).tolist())
    return {
        "pairs": len(truth),
        "pairs_precision": share(len(pairs & truth), len(pairs)),
        "pairs_recall": share(len(pairs & truth), len(truth)),
        "removed_precision": share(int((gone & fallen).sum()), int(gone.sum())),
        "removed_recall": share(int((gone & fallen).sum()), int(fallen.sum())),
    }


def plain_semdedup(vectors: np.ndarray, settings: SemanticSettings) -> np.ndarray:
    from scipy.cluster.vq import kmeans2

    number = max(1, round(len(vectors) / settings.documents_per_cluster))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster
        _, labels = kmeans2(vectors, number, iter=settings.rounds, minit="points", rng=0)
    fallen = np.zeros(len(vectors), dtype=bool)
    for label in range(number):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            similar = np.triu(vectors[members] @ vectors[members].T, 1)
            fallen[members] = similar.max(axis=0) >= 1.0 - settings.epsilon
    return fallen


def incremental_equals_batch(content: pa.Array, settings: SemanticSettings) -> bool:
    """Two updates, the second with a further shard, against one of both; epsilon 0.2 has pairs."""
    texts = content.slice(0, LAKE_DOCUMENTS).to_pylist()
    docs = [Doc(f"{number:032x}", text) for number, text in enumerate(texts)]
    shards = [("s", "000"), ("s", "001")]
    tables = []
    for steps in ((1, 2), (2,)):
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake.at(Path(folder))
            for place, (source, shard) in enumerate(shards):
                sign(lake, source, shard, docs[place::2])
            for upto in steps:
                update_semantic_index(
                    lake, inputs_of(shards[:upto]), settings=settings, fingerprint=f"{upto:015x}"
                )
            tables.append(lake.scan("dedup/semantic_index").sort("cluster_id", "id").collect())
    return bool(tables[0].equals(tables[1]) and tables[0].height > 0)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.process_time()
    result: Any = work()
    return time.process_time() - begin, result


def share(part: int, whole: int) -> float:
    return round(part / whole, 5) if whole else 1.0


if __name__ == "__main__":
    main()
