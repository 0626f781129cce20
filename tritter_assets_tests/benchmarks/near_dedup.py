"""Near-dedup, ours and five ready-made tools in one run over the same corpus and parameters.

    python -m tritter_assets_tests.benchmarks.near_dedup [CORPUS.parquet] [PEER ...]

The corpus (columns id, repo, path, language, content) comes from the argument, or else from the
harness; peers named limit the run to those. 256 hashes, word 5-grams, Jaccard 0.7 everywhere.
Ours: shingles, sketches, 42 x 6 bands, all pairs of a band (the index and `tritter dedup` compare
a band of more than 128 with 32 of them), exact verification, best of three. Each peer runs in
a virtual environment and a process of its own (`peers/`), on one core, with what its authors call
fastest, on the first documents up to the size in `PEERS`: the slow ones are slow to wait for.
Figures are MB of text per CPU second from text in memory to the result, all threads counted.
`ratio` is the smallest of our rate over a peer's on the documents which that peer was given.

Precision and recall are over pairs, against exact Jaccard; the truth (`near_truth.py`) uses no
shingles, sketches, bands or similarities of ours. Of peers that answer with documents instead,
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
from tritter_assets.dedup.text_arrays import ShingleSets, shingle_sets, sketches
from tritter_assets.dedup.verify import exact_jaccard
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.benchmarks.near_truth import packed, spread, true_pairs
from tritter_assets_tests.benchmarks.peers.environments import Measured, Peer, measure_peer

THRESHOLD = 0.7
PEERS = (
    Peer(name="datasketch", megabytes=80.0),
    Peer(name="rensa", megabytes=120.0),
    Peer(name="daft", megabytes=300.0),
    Peer(name="text_dedup", megabytes=25.0),
    Peer(name="datatrove", megabytes=10.0),
)
"""With the MB of the corpus (its first documents) that each is given."""


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

    stages = stage_seconds(content, layout)
    whole_s, ours = best_of_three(lambda: run_ours(content, layout))
    speedups = {
        "threads_wall_speedup": speedup(lambda threads: sign(content, threads)),
        "threads_wall_speedup_whole": speedup(lambda threads: run_ours(content, layout, threads)),
    }
    truth = true_pairs(content, THRESHOLD)

    found = [measure_peer(peer, content) for peer in PEERS if not named or peer.name in named]
    measured = [peer for peer in found if not peer.skipped]
    same = {peer.name: our_rate(content.slice(0, peer.documents), layout) for peer in measured}
    ratios = [same[peer.name] / peer.rate for peer in measured]
    report(
        "near_dedup",
        round(megabytes / whole_s, 1),
        "MB per CPU second, text to verified pairs",
        {peer.name: round(peer.rate, 2) for peer in measured},
        round(min(ratios), 2) if ratios else None,
        precision=ratio(common(ours, truth), len(ours)),
        recall=ratio(common(ours, truth), len(truth)),
        signatures_mb_per_s=round(megabytes / (stages["shingles"] + stages["sketches"]), 1),
        stages_mb_per_s={stage: round(megabytes / s, 1) for stage, s in stages.items()},
        **speedups,
        documents=len(content),
        megabytes=round(megabytes, 1),
        languages=languages(path),
        pairs=len(ours),
        true_pairs=len(truth),
        peer_details={peer.name: details(peer, truth, same.get(peer.name)) for peer in found},
    )


def stage_seconds(content: pa.Array, layout: BandLayout) -> dict[str, float]:
    sets_s, sets = best_of_three(lambda: shingle_sets(content))
    sketches_s, minhash = best_of_three(lambda: sketches(sets))
    bands_s, _ = best_of_three(lambda: band_keys(minhash, layout))
    return {"shingles": sets_s, "sketches": sketches_s, "bands": bands_s}


def details(peer: Measured, truth: np.ndarray, ours: float | None) -> dict[str, Any]:
    """What a peer was given and found, beside what is true of the same documents."""
    if peer.skipped or ours is None:
        return {"skipped": peer.skipped}
    true_here = truth[(truth & 0xFFFFFFFF) < peer.documents]
    shown: dict[str, Any] = {
        "version": peer.version,
        "documents": peer.documents,
        "megabytes": round(peer.megabytes, 1),
        "ours_mb_per_s": round(ours, 1),
        **(peer.counts or {}),
    }
    if peer.pairs is None:
        shown["true_removed"] = removed(true_here)
    else:
        pairs = packed(peer.pairs[:, 0], peer.pairs[:, 1])
        shown["precision"] = ratio(common(pairs, true_here), len(pairs))
        shown["recall"] = ratio(common(pairs, true_here), len(true_here))
    return shown


def common(one: np.ndarray, two: np.ndarray) -> int:
    return len(np.intersect1d(one, two, assume_unique=True))


def removed(pairs: np.ndarray) -> int:
    """How many documents fall when the first of each pair that still stands is kept."""
    gone: set[int] = set()
    left, right = pairs >> 32, pairs & 0xFFFFFFFF
    order = np.lexsort((left, right))
    for first, second in zip(left[order].tolist(), right[order].tolist(), strict=True):
        if first not in gone:
            gone.add(second)
    return len(gone)


def speedup(work: Callable[[int], Any]) -> float:
    """Wall seconds with one thread over those with two; best of six each, taken in turns."""
    spent: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(6):
        for threads, seconds in spent.items():
            begin = time.perf_counter()
            work(threads)
            seconds.append(time.perf_counter() - begin)
    return round(min(spent[1]) / min(spent[2]), 2)


def our_rate(content: pa.Array, layout: BandLayout) -> float:
    seconds, _ = best_of_three(lambda: run_ours(content, layout))
    return text_mb(content) / seconds


def languages(path: Path) -> dict[str, float]:
    """MB of each language of the corpus."""
    frame = pl.read_parquet(path, columns=["language", "content"])
    size = (pl.col("content").str.len_bytes().sum() / 1e6).round(1)
    return dict(frame.group_by("language").agg(size).sort("content", descending=True).iter_rows())


def run_ours(content: pa.Array, layout: BandLayout, threads: int = 1) -> np.ndarray:
    """Text to packed pairs, as the index does it, without the lake.

    As there, a node is a content and not a document. What has the same set is one content, by the
    sum of its shingles' 64-bit hashes, and each copy is verified with the first like any pair.
    """
    sets, minhash = joined(sign(content, threads), threads)
    sizes = sets.counts()
    sums = np.add.reduceat(sets.hashes, sets.starts[:-1])
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    copies = np.setdiff1d(np.arange(len(sizes)), first)
    keys = band_keys(minhash[first], layout)
    left, right = candidate_pairs(keys, sizes[first], layout, crowd=None, workers=threads)
    one = np.concatenate([first[left], first[group[copies]]])
    two = np.concatenate([first[right], copies])
    jaccard = exact_jaccard(sets, two, one, workers=threads)
    if (jaccard[len(left) :] < 1.0).any():
        raise AssertionError("two sets have one sum of hashes")
    kept = jaccard[: len(left)] >= layout.threshold
    return packed(*spread(left[kept], right[kept], group))


def sign(content: pa.Array, threads: int) -> list[tuple[ShingleSets, np.ndarray]]:
    """Shingles and sketches; with threads, of the corpus in eight parts for each."""
    rows = len(content) if threads == 1 else -(-len(content) // (8 * threads))
    slices = [content.slice(at, rows) for at in range(0, len(content), rows)]

    def one_part(texts: pa.Array) -> tuple[ShingleSets, np.ndarray]:
        sets = shingle_sets(texts)
        return sets, sketches(sets)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one_part, slices))


def joined(
    parts: list[tuple[ShingleSets, np.ndarray]], threads: int
) -> tuple[ShingleSets, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum(np.concatenate([[0], *(sets.counts() for sets, _ in parts)]))
    ends = np.cumsum([len(sets.hashes) for sets, _ in parts])
    hashes = np.empty(ends[-1], dtype=np.uint64)

    def copy(number: int) -> None:
        sets, _ = parts[number]
        hashes[ends[number] - len(sets.hashes) : ends[number]] = sets.hashes

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(copy, range(len(parts))):
            pass
    return ShingleSets(starts, hashes), np.concatenate([minhash for _, minhash in parts])


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
