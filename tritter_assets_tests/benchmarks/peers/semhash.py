"""semhash over given vectors: an approximate neighbour index (usearch), then the first one stays.

Called with a NumPy file of vectors and an epsilon; `removed` is the rows it would drop.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import answer, corpus_argument, cpu_seconds

np: Any = import_module("numpy")
library: Any = import_module("semhash")


def main() -> None:
    vectors, epsilon = np.load(corpus_argument()), float(sys.argv[2])
    names = [str(number) for number in range(len(vectors))]
    begin = cpu_seconds()
    built = library.SemHash.from_embeddings(vectors, names, model=None)
    found = built.self_deduplicate(threshold=1.0 - epsilon)
    spent = cpu_seconds() - begin
    answer(spent, removed=sorted(int(gone.record) for gone in found.filtered))


if __name__ == "__main__":
    main()
