"""Near-dedup, ours and five ready-made tools in one run over the same corpus and parameters.

    python -m tritter_assets_tests.benchmarks.near_dedup [CORPUS.parquet] [PEER ...]

The corpus (columns id, repo, path, language, content) comes from the argument, or else from the
harness; peers named limit the run to those. 256 hashes, word 5-grams, Jaccard 0.7 everywhere.
Ours: shingles, sketches, 42 x 6 bands, join, exact verification, best of three. Each peer runs in
a virtual environment and a process of its own (`peers/`), on one core, with what its authors call
fastest, on the first documents up to the size in `PEERS`: the slow ones are slow to wait for.
Figures are MB of text per CPU second from text in memory to the result, all threads counted.

Precision and recall are over pairs, against exact Jaccard; the truth is an exact set join (prefix
filter), which knows nothing of sketches or bands. Of peers that answer with documents instead,
the number removed stands beside that which a correct run removes.

Prints one JSON object last.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import BandLayout, band_keys, candidate_pairs, layout_for
from tritter_assets.dedup.kernel import kernels
from tritter_assets.dedup.memory import open_duckdb
from tritter_assets.dedup.text_arrays import ShingleSets, shingle_sets, sketches
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.benchmarks.peers.environments import Measured, Peer, measure_peer

THRESHOLD = 0.7
MEMORY_BYTES = 2 << 30
PEERS = (
    Peer(name="datasketch", megabytes=80.0),
    Peer(name="rensa", megabytes=120.0),
    Peer(name="daft", megabytes=300.0),
    Peer(name="text_dedup", megabytes=25.0),
    Peer(name="datatrove", megabytes=10.0),
)
"""With the MB of the corpus (its first documents) that each is given."""

Pairs = set[tuple[int, int]]


def main() -> None:
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    files = [Path(argument) for argument in arguments if argument.endswith(".parquet")]
    named = {argument for argument in arguments if not argument.endswith(".parquet")}
    path = files[0] if files else corpus_path()
    content = pq.read_table(path, columns=["content"]).column("content")
    content = content.cast(pa.large_string()).combine_chunks()
    if isinstance(content, pa.ChunkedArray):
        content = content.chunk(0)
    megabytes = text_mb(content)
    layout = layout_for(THRESHOLD)
    run_ours(content.slice(0, 50), layout)  # compiles

    sets_s, sets = best_of_three(lambda: shingle_sets(content))
    sketch_s, minhash = best_of_three(lambda: sketches(sets))
    bands_s, _ = best_of_three(lambda: band_keys(minhash, layout))
    whole_s, ours = best_of_three(lambda: run_ours(content, layout))
    truth = true_pairs(sets)

    one, two = (threaded_s(content, threads) for threads in (1, 2))
    found = [measure_peer(peer, content) for peer in PEERS if not named or peer.name in named]
    rates = {peer.name: round(peer.rate, 2) for peer in found if not peer.skipped}
    ours_rate = megabytes / whole_s
    report(
        "near_dedup",
        round(ours_rate, 1),
        "MB per CPU second, text to verified pairs",
        rates,
        round(ours_rate / max(rates.values()), 2) if rates else None,
        precision=ratio(len(ours & truth), len(ours)),
        recall=ratio(len(ours & truth), len(truth)),
        signatures_mb_per_s=round(megabytes / (sets_s + sketch_s), 1),
        stages_mb_per_s={
            "shingles": round(megabytes / sets_s, 1),
            "sketches": round(megabytes / sketch_s, 1),
            "bands": round(megabytes / bands_s, 1),
        },
        threads_wall_speedup=round(one / two, 2),
        documents=len(content),
        megabytes=round(megabytes, 1),
        languages=languages(path),
        pairs=len(ours),
        true_pairs=len(truth),
        peer_details={peer.name: details(peer, truth) for peer in found},
    )


def details(peer: Measured, truth: Pairs) -> dict[str, Any]:
    """What a peer was given and found, beside what is true of the same documents."""
    if peer.skipped:
        return {"skipped": peer.skipped}
    true_here = {pair for pair in truth if pair[1] < peer.documents}
    shown: dict[str, Any] = {
        "version": peer.version,
        "documents": peer.documents,
        "megabytes": round(peer.megabytes, 1),
        **(peer.counts or {}),
    }
    if peer.pairs is None:
        shown["true_removed"] = removed(true_here)
    else:
        pairs = peer.pairs
        shown["precision"] = ratio(len(pairs & true_here), len(pairs))
        shown["recall"] = ratio(len(pairs & true_here), len(true_here))
    return shown


def removed(pairs: Pairs) -> int:
    """How many documents fall when the first of each pair that still stands is kept."""
    gone: set[int] = set()
    for left, right in sorted(pairs, key=lambda pair: (pair[1], pair[0])):
        if left not in gone:
            gone.add(right)
    return len(gone)


def threaded_s(content: pa.Array, threads: int) -> float:
    """Wall seconds of the signatures when the corpus is cut among threads; best of three."""
    rows = -(-len(content) // (8 * threads))
    slices = [content.slice(at, rows) for at in range(0, len(content), rows)]
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(3):
            begin = time.perf_counter()
            for _ in pool.map(lambda part: sketches(shingle_sets(part)), slices):
                pass
            best = min(best, time.perf_counter() - begin)
    return best


def languages(path: Path) -> dict[str, float]:
    """MB of each language of the corpus."""
    frame = pl.read_parquet(path, columns=["language", "content"])
    size = (pl.col("content").str.len_bytes().sum() / 1e6).round(1)
    return dict(frame.group_by("language").agg(size).sort("content", descending=True).iter_rows())


def run_ours(content: pa.Array, layout: BandLayout) -> Pairs:
    """Text to verified pairs, as the index does it, without the lake."""
    sets = shingle_sets(content)
    keys = band_keys(sketches(sets), layout)
    bands = pa.table(
        {
            "content": np.repeat(np.arange(len(content)), layout.num_bands),
            "band": np.tile(np.arange(layout.num_bands, dtype=np.int16), len(content)),
            "key": keys.reshape(-1),
        }
    )
    candidates = candidate_pairs(bands, [], memory_limit_bytes=MEMORY_BYTES)
    return verified(sets, candidates)


def verified(sets: ShingleSets, candidates: pl.DataFrame) -> Pairs:
    left = candidates["left"].to_numpy().astype(np.int64)
    right = candidates["right"].to_numpy().astype(np.int64)
    sizes = sets.counts()
    small, large = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    left, right = left[small >= THRESHOLD * large], right[small >= THRESHOLD * large]
    jaccard = np.empty(len(left))
    kernels().jaccard(left, right, sets.starts, sets.hashes, jaccard)
    kept = jaccard >= THRESHOLD
    return set(zip(left[kept].tolist(), right[kept].tolist(), strict=True))


def true_pairs(sets: ShingleSets) -> Pairs:
    """All pairs at or above the threshold, by an exact join on rare shingles.

    With shingles ordered by rising frequency, two sets of Jaccard t or more share one among the
    first |x| - ceil(t |x|) + 1 of each (Chaudhuri, Ganti, Kaushik 2006).
    """
    sizes = sets.counts()
    frame = pl.DataFrame(
        {"document": np.repeat(np.arange(sets.num_documents), sizes), "shingle": sets.hashes}
    )
    prefixes = (
        frame.with_columns(spread=pl.len().over("shingle"), size=pl.len().over("document"))
        .sort("document", "spread", "shingle")
        .with_columns(place=pl.int_range(pl.len()).over("document"))
        .filter(pl.col("place") <= pl.col("size") - (pl.col("size") * THRESHOLD).ceil())
        .filter(pl.col("spread") > 1)
        .select("document", "size", shingle=pl.col("shingle").reinterpret(signed=True))
    )
    with open_duckdb(MEMORY_BYTES) as connection:
        connection.register("prefixes", prefixes.to_arrow())
        found = connection.sql(
            f"""
            SELECT DISTINCT a.document AS "left", b.document AS "right"
            FROM prefixes AS a JOIN prefixes AS b USING (shingle)
            WHERE a.document < b.document
              AND least(a.size, b.size) >= {THRESHOLD} * greatest(a.size, b.size)
            ORDER BY ALL
            """
        )
        candidates = pl.DataFrame(found.to_arrow_table())
    return verified(sets, candidates)


def best_of_three(work: Callable[[], Any]) -> tuple[float, Any]:
    best, result = float("inf"), None
    for _ in range(3):
        begin = time.process_time()
        result = work()
        best = min(best, time.process_time() - begin)
    return best, result


def text_ends(content: pa.Array) -> np.ndarray:
    return np.cumsum(pl.Series(content).str.len_bytes().to_numpy())


def text_mb(content: pa.Array) -> float:
    return float(text_ends(content)[-1]) / 1e6


def ratio(part: int, whole: int) -> float:
    return round(part / whole, 5) if whole else 1.0


if __name__ == "__main__":
    main()
