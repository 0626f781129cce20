"""rensa's flat matrix over xxh3 of shingles cut in Python; its index only flags documents."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import (
    NUM_HASHES,
    SEED,
    THRESHOLD,
    answer,
    cpu_seconds,
    shingles,
    texts,
)

library: Any = import_module("rensa")
xxhash: Any = import_module("xxhash")
_NUM_BANDS = 32


def main() -> None:
    contents = texts()
    begin = cpu_seconds()
    hashes: list[int] = []
    offsets = [0]
    for text in contents:
        hashes.extend(xxhash.xxh3_64_intdigest(s.encode()) for s in shingles(text))
        offsets.append(len(hashes))
    matrix = library.RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, offsets, NUM_HASHES, SEED
    )
    index = library.RMinHashLSH(THRESHOLD, NUM_HASHES, _NUM_BANDS)
    flags = index.query_duplicate_flags_matrix_one_shot(matrix)
    answer(cpu_seconds() - begin, flagged=sum(flags))


if __name__ == "__main__":
    main()
