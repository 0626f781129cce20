"""daft's own minhash expression; bands (25 x 10, as datasketch chooses) and pairs in numpy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from tritter_assets_tests.benchmarks.peers.measure import (
    NGRAM,
    NUM_HASHES,
    SEED,
    THRESHOLD,
    answer,
    cpu_seconds,
    texts,
)

library: Any = import_module("daft")
pa: Any = import_module("pyarrow")
_BANDS, _ROWS = 25, 10


def main() -> None:
    contents = texts()
    column = library.col("content")
    warm = library.from_pydict({"content": ["a b c d e f"]})
    _sketches(warm, column)
    frame = library.from_arrow(pa.table({"content": pa.array(contents, pa.large_string())}))
    begin = cpu_seconds()
    rows = _sketches(frame, column)
    pairs = _pairs(rows)
    answer(cpu_seconds() - begin, pairs=pairs)


def _sketches(frame: Any, column: Any) -> np.ndarray:
    words = column.lower().regexp_replace("[^a-z0-9_]+", " ")
    minima = words.minhash(
        num_hashes=NUM_HASHES, ngram_size=NGRAM, seed=SEED, hash_function="xxhash3_64"
    )
    found = frame.select(minima.alias("minhash")).to_arrow()["minhash"].combine_chunks()
    return np.asarray(found.flatten()).reshape(-1, NUM_HASHES)


def _pairs(rows: np.ndarray) -> np.ndarray:
    """All pairs of a bucket whose estimate reaches the threshold."""
    found = [np.zeros(0, dtype=np.int64)]
    for band in range(_BANDS):
        part = np.ascontiguousarray(rows[:, band * _ROWS : (band + 1) * _ROWS])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * _ROWS))).ravel()
        order = np.argsort(keys, kind="stable")
        bounds = np.flatnonzero(np.append(True, keys[order][1:] != keys[order][:-1]))
        for begin, end in zip(bounds, [*bounds[1:], len(order)], strict=True):
            if end - begin > 1:
                members = np.sort(order[begin:end])
                one, two = np.triu_indices(len(members), 1)
                found.append(members[one] * len(rows) + members[two])
    packed = np.unique(np.concatenate(found))
    left, right = packed // len(rows), packed % len(rows)
    kept = [
        (rows[left[at : at + 8192]] == rows[right[at : at + 8192]]).mean(axis=1) >= THRESHOLD
        for at in range(0, len(left), 8192)
    ]
    chosen = np.concatenate(kept) if kept else np.zeros(0, dtype=bool)
    return np.stack([left[chosen], right[chosen]], axis=1)


if __name__ == "__main__":
    main()
