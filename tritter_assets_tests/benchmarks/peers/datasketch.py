"""datasketch 2.x with its fastest options: xxh32, update_batch, affine32, MinHashLSH."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import (
    NUM_HASHES,
    THRESHOLD,
    answer,
    cpu_seconds,
    shingles,
    texts,
)

library: Any = import_module("datasketch")
xxhash: Any = import_module("xxhash")


def main() -> None:
    contents = texts()
    begin = cpu_seconds()
    index = library.MinHashLSH(threshold=THRESHOLD, num_perm=NUM_HASHES)
    held: list[Any] = []
    pairs: list[tuple[int, int]] = []
    for number, text in enumerate(contents):
        sketch = library.MinHash(
            num_perm=NUM_HASHES, hashfunc=xxhash.xxh32_intdigest, scheme="affine32"
        )
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        near = (n for n in index.query(sketch) if held[n].jaccard(sketch) >= THRESHOLD)
        pairs.extend((other, number) for other in near)
        index.insert(number, sketch)
        held.append(sketch)
    answer(cpu_seconds() - begin, pairs=pairs)


if __name__ == "__main__":
    main()
