"""datatrove's four MinHash stages (25 x 10), one task, one worker."""

from __future__ import annotations

import tempfile
from importlib import import_module
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import NGRAM, answer, cpu_seconds, texts

_BANDS, _ROWS = 25, 10


def main() -> None:
    data: Any = import_module("datatrove.data")
    dedup: Any = import_module("datatrove.pipeline.dedup")
    minhash: Any = import_module("datatrove.pipeline.dedup.minhash")
    documents = [data.Document(text=text, id=str(n)) for n, text in enumerate(texts())]
    config = minhash.MinhashConfig(n_grams=NGRAM, num_buckets=_BANDS, hashes_per_bucket=_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        begin = cpu_seconds()
        _run(dedup.MinhashDedupSignature(f"{folder}/signatures", config=config), documents)
        for bucket in range(_BANDS):
            buckets = dedup.MinhashDedupBuckets(
                f"{folder}/signatures", f"{folder}/buckets", config=config
            )
            _run(buckets, None, bucket, _BANDS)
        _run(dedup.MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config))
        kept = list(dedup.MinhashDedupFilter(f"{folder}/remove").run(iter(documents), 0, 1))
        spent = cpu_seconds() - begin
    answer(spent, removed=len(documents) - len(kept))


def _run(step: Any, documents: Any = None, rank: int = 0, world: int = 1) -> None:
    for _ in step.run(iter(documents) if documents else None, rank, world) or ():
        pass


if __name__ == "__main__":
    main()
