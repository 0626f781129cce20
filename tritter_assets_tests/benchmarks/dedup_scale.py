"""The near index at millions of documents: time, bytes and memory as it grows.

    python -m tritter_assets_tests.benchmarks.dedup_scale [MILLIONS_OF_DOCUMENTS ...]

Simulated: sketches are not computed from text; each document has 42 band hashes that are uniform,
as real ones are, and one document in ten shares half of them with an earlier one. Real: the code
that sorts, merges and looks up the runs (`dedup/band_runs.py`), under a memory setting of 2 GB, and
the cache of documents (`dedup/document_cache.py`), both on disk. For each size it measures

- building: sorted runs of all documents, merged to one, and all pairs in it (a batch run);
- adding: a shard of 25,000 documents looked up and put in, beside all the others (bands alone);
- bytes a document on disk, and the most memory held that is not a mapped file.

`cache` is the same for the documents' cache, at a quarter of those sizes. `index` is a table of
clusters over as many documents (a fifth of them members), to which shards are added one after the
other, each with 2,500 new clusters and 1,000 that changed; merges are in the mean.
The last figures are an extrapolation to a billion documents by the power law through the smallest
and the largest size.

Prints one JSON object last.
"""

from __future__ import annotations

import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tritter_assets.dedup.band_runs import BandRuns, distinct_pairs
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.index import INDEX_SCHEMA, NEAR_INDEX
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets_tests.benchmarks.harness import report

MEMORY_BYTES = 2 << 30
NUM_BANDS = 42
SHARD_DOCUMENTS = 25_000
DEFAULT_MILLIONS = (0.25, 1.0, 4.0)
BILLION = 1e9
NUM_ADDED = 16


def mixed(values: np.ndarray) -> np.ndarray:
    """Returns a uniform uint64 for each uint64."""
    out = values + np.uint64(0x9E3779B97F4A7C15)
    out = (out ^ (out >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return out ^ (out >> np.uint64(31))


def entries(start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns band hashes and contents of `count` documents from number `start` on."""
    numbers = np.arange(start, start + count, dtype=np.uint64)
    owner = np.repeat(numbers, NUM_BANDS).reshape(count, NUM_BANDS)
    slot = np.arange(NUM_BANDS, dtype=np.uint64)
    copies = np.flatnonzero((numbers % np.uint64(10) == 0) & (numbers > 0))
    original = mixed(numbers[copies]) % numbers[copies]
    shared = (mixed(owner[copies] * np.uint64(64) + slot) & np.uint64(1)).astype(np.bool_)
    owner[copies] = np.where(shared, original[:, None], owner[copies])
    contents = mixed(numbers ^ np.uint64(0xABCDEF)).view(np.int64)
    return mixed(owner * np.uint64(64) + slot).reshape(-1), np.repeat(contents, NUM_BANDS)


def blocks(num_documents: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the entries of all documents, a shard at a time."""
    for start in range(0, num_documents, SHARD_DOCUMENTS):
        yield entries(start, min(SHARD_DOCUMENTS, num_documents - start))


class MemoryWatch:
    """Notes the most anonymous memory this process holds while it is open."""

    def __enter__(self) -> MemoryWatch:
        self.before_bytes = self.most_bytes = _anonymous_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most_bytes = max(self.most_bytes, _anonymous_bytes())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _anonymous_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    return 0


def measure_bands(num_documents: int, folder: Path) -> dict[str, Any]:
    """Builds and extends the runs of `num_documents` documents."""
    runs = BandRuns(folder, [], MEMORY_BYTES)
    generating = time.process_time()
    for _ in blocks(min(num_documents, 10 * SHARD_DOCUMENTS)):
        pass
    generating = time.process_time() - generating
    generating *= num_documents / min(num_documents, 10 * SHARD_DOCUMENTS)
    with MemoryWatch() as memory:
        cpu, wall = time.process_time(), time.perf_counter()
        runs.add_all(blocks(num_documents))
        everything = runs.merge(runs.runs)
        runs.sweep()
        pairs = distinct_pairs(runs.pairs_within(everything))
        build_cpu = time.process_time() - cpu - generating
        build_wall = time.perf_counter() - wall
    num_pairs = pairs.height
    del pairs
    size = sum(file.stat().st_size for file in folder.iterdir())
    shard = entries(num_documents, SHARD_DOCUMENTS)
    cpu, wall = time.process_time(), time.perf_counter()
    held = list(runs.runs)
    added = runs.add(*shard)
    hashes = runs.keys(added)
    shared = hashes[runs.counts(hashes) > 1]
    between = runs.pairs_between(added, held, shared=shared)
    found = distinct_pairs(chain(runs.pairs_within(added), between))
    runs.settle()
    return {
        "documents": num_documents,
        "build_cpu_s_per_million": round(build_cpu / num_documents * 1e6, 2),
        "build_wall_s_per_million": round(build_wall / num_documents * 1e6, 2),
        "add_cpu_s": round(time.process_time() - cpu, 3),
        "add_wall_s": round(time.perf_counter() - wall, 3),
        "bytes_per_document": round(size / num_documents, 1),
        "peak_gb": round((memory.most_bytes - memory.before_bytes) / 1e9, 2),
        "pairs": num_pairs,
        "pairs_of_the_added": found.height,
    }


def measure_cache(num_documents: int, folder: Path) -> dict[str, Any]:
    """Fills the cache of documents, then puts one more shard in and looks its contents up."""
    cache = DocumentCache(folder, lambda _: True)
    cache.set_priorities({"s": 1})
    cpu = time.process_time()
    for number in range(num_documents // SHARD_DOCUMENTS):
        shard = rows(number)
        cache.present(shard["content"])
        cache.replace_shard(("s", str(number)), "1", shard)
    build_cpu = time.process_time() - cpu
    cache.commit({})
    cache.close()
    size = sum(file.stat().st_size for file in folder.rglob("*"))
    cache = DocumentCache(folder, lambda _: True)
    cpu = time.process_time()
    cache.set_priorities({"s": 1})
    shard = rows(num_documents // SHARD_DOCUMENTS)
    cache.present(shard["content"])
    dirty = cache.replace_shard(("s", "new"), "1", shard)
    cache.clustered(cache.closure(dirty))
    cache.commit({})
    add_cpu = time.process_time() - cpu
    cache.close()
    return {
        "documents": num_documents,
        "build_cpu_s_per_million": round(build_cpu / num_documents * 1e6, 2),
        "add_cpu_s": round(add_cpu, 3),
        "bytes_per_document": round(size / num_documents, 1),
    }


def clusters(numbers: np.ndarray, mark: int) -> pl.DataFrame:
    """Returns the index rows of clusters of two, by their numbers."""
    first = [f"{value:016x}" * 2 for value in mixed(numbers.astype(np.uint64)).tolist()]
    both = pl.DataFrame({"cluster_id": first}).with_row_index("n")
    both = pl.concat([both.with_columns(member=pl.lit(member)) for member in ("0", "1")])
    return both.sort("n", "member").select(
        id=pl.col("cluster_id").str.slice(1) + pl.col("member"),
        source=pl.lit("s"),
        shard=pl.lit(f"{mark:06d}"),
        cluster_id="cluster_id",
        cluster_size=pl.lit(2, dtype=pl.Int32),
        survivor=pl.col("member") == "0",
        kept_id=pl.col("cluster_id").str.slice(1) + "0",
        score=pl.lit(0.8, dtype=pl.Float32),
        match=pl.lit("near"),
        action=pl.lit("keep"),
        reason=pl.lit("passed"),
        licenses=pl.lit(["MIT"]),
    )


def measure_index(num_documents: int, folder: Path) -> dict[str, Any]:
    """Fills the table of an index, then adds shards to it."""
    lake = Lake.at(folder)
    num_clusters = num_documents // 10
    options = {"order": ("cluster_id", "id"), "fingerprint": fingerprint_of("scale")}
    everything = clusters(np.arange(num_clusters), 0)
    lake.replace_keys(NEAR_INDEX, everything, INDEX_SCHEMA, dropped=None, **options)
    generator = np.random.default_rng(5)
    costs, written = [], 0
    for mark in range(1, NUM_ADDED + 1):
        new = np.arange(2_500) + num_clusters + 2_500 * mark
        old = generator.choice(num_clusters, size=min(1_000, num_clusters), replace=False)
        coming = clusters(np.concatenate([new, old]), mark)
        cpu = time.process_time()
        change = lake.replace_keys(
            NEAR_INDEX, coming, INDEX_SCHEMA, dropped=coming["cluster_id"][:0], **options
        )
        costs.append(time.process_time() - cpu)
        written += sum(added.size for added in change.added)
    return {
        "documents": num_documents,
        "rows": everything.height,
        "add_cpu_s": round(sum(costs) / len(costs), 3),
        "most_cpu_s": round(max(costs), 3),
        "written_mb": round(written / NUM_ADDED / 1e6, 2),
    }


def rows(shard: int) -> pl.DataFrame:
    """Returns the documents of a shard as signatures have them."""
    start = shard * SHARD_DOCUMENTS
    numbers = np.arange(start, start + SHARD_DOCUMENTS, dtype=np.uint64)
    digests = [f"{value:016x}" * 4 for value in mixed(numbers).tolist()]
    return pl.DataFrame(
        {
            "id": [digest[:32] for digest in digests],
            "content": mixed(numbers).view(np.int64),
            "repo": [f"owner{n % 977}/repository{n // 31}" for n in numbers.tolist()],
            "path": [f"src/package/module_{n}.py" for n in numbers.tolist()],
            "license_concluded": ["Apache-2.0"] * SHARD_DOCUMENTS,
            "content_sha256": digests,
            "normalized_sha256": digests,
            "num_shingles": np.full(SHARD_DOCUMENTS, 500, dtype=np.int32),
        }
    )


def extrapolated(results: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Returns the power of growth between the first and last size, and the value at a billion."""
    first, last = results[0], results[-1]
    if first["documents"] == last["documents"]:
        return 0.0, last[name]
    power = math.log(last[name] / first[name]) / math.log(last["documents"] / first["documents"])
    return round(power, 3), round(last[name] * (BILLION / last["documents"]) ** power, 2)


def main() -> None:
    """Runs the bench."""
    millions = [float(value) for value in sys.argv[1:]] or list(DEFAULT_MILLIONS)
    bands, caches, indexes = [], [], []
    for size in sorted(millions):
        with tempfile.TemporaryDirectory(prefix="dedup-scale-") as folder:
            bands.append(measure_bands(int(size * 1e6), Path(folder)))
        with tempfile.TemporaryDirectory(prefix="dedup-scale-") as folder:
            num_shards = max(int(size * 2.5e5) // SHARD_DOCUMENTS, 1)
            caches.append(measure_cache(num_shards * SHARD_DOCUMENTS, Path(folder)))
        with tempfile.TemporaryDirectory(prefix="dedup-scale-") as folder:
            indexes.append(measure_index(int(size * 1e6), Path(folder)))
    add_power, add_billion = extrapolated(bands, "add_cpu_s")
    build_power, build_billion = extrapolated(bands, "build_cpu_s_per_million")
    cache_power, cache_billion = extrapolated(caches, "add_cpu_s")
    index_power, index_billion = extrapolated(indexes, "add_cpu_s")
    report(
        "dedup_scale",
        bands[-1]["build_cpu_s_per_million"],
        f"CPU s per million documents, bands to pairs, at {bands[-1]['documents']:,} documents",
        {},
        None,
        memory_setting_gb=round(MEMORY_BYTES / 1e9, 2),
        bands=bands,
        cache=caches,
        index=indexes,
        add_slope=round(bands[-1]["add_cpu_s"] / bands[0]["add_cpu_s"], 3),
        power={
            "add": add_power,
            "build_per_million": build_power,
            "cache_add": cache_power,
            "index_add": index_power,
        },
        extrapolated_to_a_billion={
            "add_cpu_s": add_billion,
            "build_cpu_s_per_million": build_billion,
            "cache_add_cpu_s": cache_billion,
            "index_add_cpu_s": index_billion,
        },
    )


if __name__ == "__main__":
    main()
