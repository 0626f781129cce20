"""Personal data: our detection against presidio's own six pattern recognisers, finding by finding.

    python -m tritter_assets_tests.benchmarks.pii [CORPUS.parquet] [--peer-mb=12]

Ours reads the whole corpus. Presidio's recognisers (`analyze` of each, no NLP engine, no context
words) read a sample of it, chosen by the hash of the id, and ours reads that sample again: every
finding must have the same entity, span and score. `recall` and `precision` are ours against the
peer's, over all scores. Speeds are MB of text per CPU second (all threads counted), best of three
for ours. The pass itself asks only for scores from 0.5 on; that speed is `from_0.5`, and with the
policy's rules on top it is `stage`.

Both sides take public suffixes from the list of the installed tldextract: presidio alone would try
to fetch one.

Prints one JSON object last.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.filters import pii
from tritter_assets.filters.pii_detect import KINDS, detect_pii, recognizer_of
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.filters.documents import config_of, context_of

PEER_MB = 12.0
"""Presidio reads 3 MB a second."""


def main() -> None:
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    given = [a.partition("=")[2] for a in sys.argv[1:] if a.startswith("--peer-mb=")]
    path = Path(named[0]) if named else corpus_path()
    corpus = pl.read_parquet(path, columns=["id", "content"])
    content = corpus["content"]
    sample = sample_of(corpus, float(given[0]) if given else PEER_MB)
    detect_pii(content.head(20))  # compiles

    whole_s, found = best_of_three(lambda: detect_pii(content))
    strong_s, _ = best_of_three(lambda: detect_pii(content, min_score=0.5))
    config, context = config_of(pii.DEFINITION), context_of()
    stage_s, verdicts = best_of_three(lambda: pii.judge_pii(corpus, config, context))
    sample_s, ours = best_of_three(lambda: detect_pii(sample))
    begin = time.process_time()
    peer = {
        (row, entity, result.start, result.end, result.score)
        for row, text in enumerate(sample)
        for entity in KINDS
        for result in recognizer_of(entity).analyze(text, [entity])
    }
    peer_s = time.process_time() - begin
    same = peer & {tuple(finding) for finding in ours}
    for finding in sorted(peer ^ {tuple(finding) for finding in ours})[:20]:
        sys.stdout.write(f"differs: {finding}\n")
    peer_rate = megabytes(sample) / peer_s
    report(
        "pii",
        round(megabytes(content) / whole_s, 1),
        "MB per CPU second",
        {"presidio": round(peer_rate, 2)},
        round(megabytes(sample) / sample_s / peer_rate, 1),
        peer=round(peer_rate, 2),
        recall=len(same) / len(peer) if peer else None,
        precision=len(same) / len(ours) if ours else None,
        extra={
            "sample_mb": round(megabytes(sample), 1),
            "sample_findings": dict(Counter(entity for _, entity, *_ in peer)),
            "corpus_mb": round(megabytes(content), 1),
            "corpus_findings": dict(Counter(finding.entity for finding in found)),
            "ours_on_sample": round(megabytes(sample) / sample_s, 1),
            "from_0.5": round(megabytes(content) / strong_s, 1),
            "stage": round(megabytes(content) / stage_s, 1),
            "redacted": dict(Counter({v.reason.value: 0 for v in verdicts}) + redacted(verdicts)),
        },
    )


def redacted(verdicts: list[Any]) -> Counter[str]:
    """Counts the spans that the policy redacts, by reason."""
    counted: Counter[str] = Counter()
    for verdict in verdicts:
        counted[verdict.reason.value] += len(verdict.spans)
    return counted


def sample_of(corpus: pl.DataFrame, wanted_mb: float) -> pl.Series:
    """Returns whole documents in the order of a hash of their ids, up to about `wanted_mb`."""
    order = [hashlib.sha256(f"pii:{row_id}".encode()).hexdigest() for row_id in corpus["id"]]
    sorted_corpus = corpus.with_columns(order=pl.Series(order)).sort("order")
    size = sorted_corpus["content"].str.len_bytes().cum_sum()
    return sorted_corpus.filter(size <= wanted_mb * 1e6)["content"]


def megabytes(content: pl.Series) -> float:
    return float(content.str.len_bytes().sum()) / 1e6


def best_of_three(work: Any) -> tuple[float, Any]:
    best, value = float("inf"), None
    for _ in range(3):
        begin = time.process_time()
        value = work()
        best = min(best, time.process_time() - begin)
    return best, value


if __name__ == "__main__":
    main()
