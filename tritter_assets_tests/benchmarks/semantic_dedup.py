"""SemDeDup, ours and others' over the same vectors of the same documents, in one run.

    python -m tritter_assets_tests.benchmarks.semantic_dedup [CORPUS.parquet] [--embedding=NAME]

Documents are the first of the corpus, without exact copies, up to `MEGABYTES` (2 with a model:
MiniLM embeds 0.06 MB/s). Timed, in MB of their text per CPU second, is what follows the embedding,
since all share it: k-means of ten rounds, close pairs within clusters, who stays, at the default
epsilon; ours and the reference are the best of three. `with_embedding`: from text to removals.

| peer | what it is |
|---|---|
| reference | Abbas et al. 2023 as written: scipy's k-means, the whole cosine matrix of a cluster; |
| | a document falls when any before it is close, whether that one stays or not |
| semhash | ready-made, in an environment of its own: an approximate neighbour index, no clusters |

The order of documents is the same for all, so removals can be compared: `removed_share` at each
epsilon; `against_reference`: over our clusters in float64, `pairs_*` for our close pairs and
`removed_*` for our removals (ours keeps a document whose only close ones fell, so precision is what
must be 1); `agreement`: Jaccard of our removals with a peer's, which has clusters of its own or
none. NeMo Curator's stage needs a GPU. `incremental_equals_batch` compares the index after two
updates with that of one, as rows.

Prints one JSON object last.
"""

from __future__ import annotations

import subprocess
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
from tritter_assets.dedup.removal_curve import EPSILONS, describe
from tritter_assets.dedup.semantic import DEFAULT_SETTINGS, SemanticSettings, update_semantic_index
from tritter_assets.lake import Lake
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.benchmarks.peers.environments import environment, last_line, run_script
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign

MEGABYTES = 100.0
MODEL_MEGABYTES = 2.0
LAKE_DOCUMENTS = 600
COMPARED = (DEFAULT_SETTINGS.epsilon, 0.3)
"""Epsilons at which peers' removals are compared."""

T = TypeVar("T")


def main() -> None:
    options = [a.partition("=")[2] for a in sys.argv[1:] if a.startswith("--embedding=")]
    embedding = options[0] if options else LEXICAL
    files = [Path(argument) for argument in sys.argv[1:] if argument.endswith(".parquet")]
    limit = MEGABYTES if embedding == LEXICAL else MODEL_MEGABYTES
    content, megabytes = documents(files[0] if files else corpus_path(), limit)
    settings = DEFAULT_SETTINGS
    embed = embedder(embedding)
    few = embed(content.slice(0, 5))
    pruned(few, np.zeros(len(few), dtype=np.int64), 0.5)  # compiles
    embed_s, rows = timed(lambda: centred(embed(content)))
    cluster_s, labels = fastest(lambda: clustered(rows, settings))
    prune_s, _ = fastest(lambda: pruned(rows, labels, settings.epsilon))
    found = {epsilon: pruned(rows, labels, epsilon) for epsilon in EPSILONS}
    seconds, removed, skipped = run_peers(rows, settings)
    ours_s = cluster_s + prune_s
    peers = {name: round(megabytes / spent, 1) for name, spent in seconds.items()}
    share = {e: round(float(gone.mean()), 4) for e, (gone, _) in found.items()}
    report(
        "semantic_dedup",
        round(megabytes / ours_s, 1),
        "MB of text per CPU second, vectors to removals",
        peers,
        round(megabytes / ours_s / max(peers.values()), 2),
        embedding=embedding,
        epsilon=settings.epsilon,
        documents=len(rows),
        megabytes=round(megabytes, 1),
        documents_per_cpu_s=round(len(rows) / ours_s),
        stages_mb_per_s={
            "embedding": round(megabytes / embed_s, 3),
            "clustering": round(megabytes / cluster_s, 1),
            "pruning": round(megabytes / prune_s, 1),
        },
        with_embedding={
            "ours": round(megabytes / (embed_s + ours_s), 2),
            **{name: round(megabytes / (embed_s + s), 2) for name, s in seconds.items()},
        },
        removed_share={str(epsilon): value for epsilon, value in share.items()},
        said=describe(curve_of(found), settings.epsilon),
        against_reference={str(e): agreement(rows, labels, e, *found[e]) for e in EPSILONS},
        agreement={
            name: {
                str(epsilon): {
                    "removed_share": share_of(gone),
                    "jaccard": jaccard(gone, found[epsilon][0]),
                }
                for epsilon, gone in by_epsilon.items()
            }
            for name, by_epsilon in removed.items()
        },
        skipped=skipped,
        incremental_equals_batch=incremental_equals_batch(
            content, SemanticSettings(embedding=embedding, epsilon=0.2)
        ),
    )


def run_peers(
    rows: np.ndarray, settings: SemanticSettings
) -> tuple[dict[str, float], dict[str, dict[float, np.ndarray]], dict[str, str]]:
    """CPU seconds at the default epsilon, removals by epsilon, and why a peer did not run."""
    seconds: dict[str, float] = {}
    removed: dict[str, dict[float, np.ndarray]] = {"reference": {}}
    skipped: dict[str, str] = {}
    for epsilon in COMPARED:
        spent, gone = fastest(lambda e=epsilon: reference(rows, settings, e))
        seconds.setdefault("reference", spent)
        removed["reference"][epsilon] = gone
    try:
        python = environment("semhash")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "vectors.npy"
            np.save(file, rows)
            for epsilon in COMPARED:
                answer = run_script(python, "semhash", file, epsilon)
                seconds.setdefault("semhash", answer["cpu_s"])
                gone = np.zeros(len(rows), dtype=bool)
                gone[answer["removed"]] = True
                removed.setdefault("semhash", {})[epsilon] = gone
    except (subprocess.SubprocessError, OSError) as error:
        skipped["semhash"] = last_line(error)
    return seconds, removed, skipped


def curve_of(found: dict[float, tuple[np.ndarray, set[int]]]) -> pl.DataFrame:
    """As `removal_curve` has it, for its sentence."""
    columns = {"epsilon": list(found), "removed": [int(gone.sum()) for gone, _ in found.values()]}
    number = len(next(iter(found.values()))[0])
    return pl.DataFrame(columns).with_columns(measured=pl.lit(number), compared=pl.lit(number))


def documents(path: Path, limit: float) -> tuple[pa.Array, float]:
    """Texts without exact copies, up to `limit` MB."""
    frame = pl.DataFrame(pq.read_table(path, columns=["content"])).unique(maintain_order=True)
    ends = frame["content"].str.len_bytes().cum_sum() / 1e6
    rows = max(int((ends <= limit).sum()), 1)
    return frame["content"].head(rows).to_arrow(), float(ends[rows - 1])


def centred(vectors: np.ndarray) -> np.ndarray:
    """As `vectors.gathered` has them: stored as 16-bit floats, the mean taken out."""
    stored = vectors.astype("<f2").astype(np.float32)
    return normalized(stored - stored.mean(axis=0, dtype=np.float64).astype(np.float32))


def clustered(rows: np.ndarray, settings: SemanticSettings) -> np.ndarray:
    number = max(1, round(len(rows) / settings.documents_per_cluster))
    return cluster(rows, number, settings.rounds)


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


def reference(rows: np.ndarray, settings: SemanticSettings, epsilon: float) -> np.ndarray:
    from scipy.cluster.vq import kmeans2

    number = max(1, round(len(rows) / settings.documents_per_cluster))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster
        _, labels = kmeans2(rows, number, iter=settings.rounds, minit="points", rng=0)
    fallen = np.zeros(len(rows), dtype=bool)
    for label in range(number):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            similar = np.triu(rows[members] @ rows[members].T, 1)
            fallen[members] = similar.max(axis=0) >= 1.0 - epsilon
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


def fastest(work: Callable[[], T]) -> tuple[float, T]:
    return min((timed(work) for _ in range(3)), key=lambda timing: timing[0])


def share_of(gone: np.ndarray) -> float:
    return round(float(gone.mean()), 4)


def jaccard(one: np.ndarray, two: np.ndarray) -> float:
    return share(int((one & two).sum()), int((one | two).sum()))


def share(part: int, whole: int) -> float:
    return round(part / whole, 5) if whole else 1.0


if __name__ == "__main__":
    main()
