"""What a peer's script reads and prints; runs in any of their environments, so stdlib and pyarrow.

A script is called with a Parquet file (number, content) and prints one JSON object last:
`cpu_s` (CPU seconds from text in memory to the result, threads and children counted) and, where it
has no pairs, perhaps `removed` (documents that the tool would drop). Pairs (an array of two
columns) go into a file beside the corpus.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

THRESHOLD = 0.7
NUM_HASHES = 256
NGRAM = 5
SEED = 1
PAIRS_NAME = "pairs.npy"
WORD = re.compile(r"[a-z0-9_]+")


def corpus_argument() -> Path:
    return Path(sys.argv[1])


def texts() -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(corpus_argument(), columns=["content"]).column("content").to_pylist()


def shingles(text: str) -> set[str]:
    tokens = WORD.findall(text.lower())
    return {" ".join(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)} or {text}


def cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def answer(cpu_s: float, pairs: Any = None, **found: Any) -> None:
    if pairs is not None:
        import numpy as np

        two_columns = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
        np.save(corpus_argument().with_name(PAIRS_NAME), two_columns)
    print(json.dumps({"cpu_s": cpu_s, **found}))
