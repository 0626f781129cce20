"""Decontamination: recall of reworded benchmark items in real files, false drops, speed, a peer.

    python -m tritter_assets_tests.benchmarks.decontamination [UNRELATED.parquet]

Each solution of HumanEval and MBPP is reworded (`rewordings.FIVE_WAYS`, and further ways), put
into the middle of a real Python file, and judged with the policy's own thresholds. The real files,
and the unrelated code that must not be dropped, are source distributions none of which stands in
the reference corpus of `common_grams.npz`; or the columns repo, path, language, content of a
Parquet file. Every drop of unrelated code is printed.

The peer is the word 13-gram overlap of GPT-3's appendix C, as evaluation harnesses do it: lower
case, punctuation to spaces, any 13 words in a row shared with an item's prompt, solution or tests
make the document contaminated. Speeds are MB of text per CPU second on the unrelated code.

Prints one JSON object last. `recall` is the mean over HumanEval in the five ways.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.filters import decontamination
from tritter_assets.filters.benchmark_index import BenchmarkIndex
from tritter_assets.filters.benchmarks import BenchmarkItem, load_items
from tritter_assets_tests.benchmarks.harness import CACHE, ROOT, report
from tritter_assets_tests.filters.common_grams import sdist_documents
from tritter_assets_tests.filters.documents import config_of, context_of, document, frame_of
from tritter_assets_tests.filters.rewordings import FIVE_WAYS, FURTHER_WAYS

UNRELATED = (
    ("django", "6.1.3", "b5d2d9e35295065d13b1927b3f19a59bd119f737aa6299def14ccca1ae3c8c0d"),
    ("matplotlib", "3.11.2", "cec596316640f2b394b8f0daa0ea61a8eae82d017b620b9f202befb972a59ea4"),
    ("biopython", "1.88", "9aaa31c0bda4d059f7b2ee00bfdb5cbb73ade3057aa4b737a7cc0187091d071a"),
    ("statsmodels", "0.15.0", "5d257fe58d0772bc46a557880ca78e2a8e07fec7bfd9d11074aef8e33e1aecbc"),
    ("nltk", "3.10.4", "44679f4e9220abfd496d2c8cdb22f8425ccbe557604f9aa5cacb1c44003dabc1"),
    ("faker", "40.54.0", "38fba73e32699a9f1071724d67e5a66a84bf057987cffb27c9d0c979fda3f135"),
    ("mypy", "2.4.1", "63b590965691e540a335fa74dadf31a7069142f6b72e234689bbd244edf55623"),
    ("pygments", "2.21.0", "610ca751c9bc2492b38eb9a38a7fbc93edbbb2d7182edaf34e66ae493dee5c8c"),
    ("boltons", "26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"),
    ("toolz", "1.2.0", "9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490"),
)
"""Package, version, SHA-256. None of them is named in `common_grams.txt`."""

Judge = Callable[[pl.DataFrame], dict[str, str]]
"""Documents in; id -> evidence of those that are dropped out."""


def main() -> None:
    unrelated = unrelated_code()
    config = config_of(decontamination.DEFINITION)
    items, _ = load_items(config.benchmarks, CACHE, ROOT)
    index = decontamination.load_benchmarks(CACHE, ROOT, config)
    context = context_of(benchmarks=index)

    def ours(frame: pl.DataFrame) -> dict[str, str]:
        found = decontamination.judge_decontamination(frame, config, context)
        return {verdict.id: verdict.evidence for verdict in found}

    ours(unrelated.head(5))  # compiles
    grams = word_grams(items)

    def peer(frame: pl.DataFrame) -> dict[str, str]:
        return dict.fromkeys(
            (
                row_id
                for row_id, content in zip(frame["id"], frame["content"], strict=True)
                if not grams.isdisjoint(thirteen(content))
            ),
            "13 words",
        )

    hosts = host_files(unrelated)
    recall: dict[str, dict[str, dict[str, float]]] = {}
    for name, judge in (("ours", ours), ("peer", peer)):
        recall[name] = {
            benchmark: recall_by_way(rows, hosts, judge) for benchmark, rows in items.items()
        }
    ours_s, ours_drops = timed(ours, unrelated)
    megabytes = float(unrelated["content"].str.len_bytes().sum()) / 1e6
    peer_s, peer_drops = timed(peer, unrelated)
    for row_id, evidence in sorted(ours_drops.items()):
        path = unrelated.filter(pl.col("id") == row_id).select("repo", "path").row(0)
        sys.stdout.write(f"dropped: {path[0]} {path[1]}: {evidence}\n")
    five = [recall["ours"]["humaneval"][way] for way in FIVE_WAYS]
    peer_five = [recall["peer"]["humaneval"][way] for way in FIVE_WAYS]
    report(
        "decontamination",
        round(megabytes / ours_s, 1),
        "MB per CPU second",
        {"word_13_grams": round(megabytes / peer_s, 1)},
        round(peer_s / ours_s, 2),
        recall=round(sum(five) / len(five), 4),
        false_drops=len(ours_drops),
        false_drops_of={
            name: sum(f"{name}/" in evidence for evidence in ours_drops.values()) for name in items
        },
        peer_recall=round(sum(peer_five) / len(peer_five), 4),
        peer_false_drops=len(peer_drops),
        recall_by_way=recall["ours"],
        peer_recall_by_way=recall["peer"],
        known_by_words_or_tests_only=by_words_only(items, index),
        megabytes=round(megabytes, 1),
        documents=unrelated.height,
    )


def unrelated_code() -> pl.DataFrame:
    """Returns unrelated documents with every column a stage may read."""
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if named:
        corpus = pl.read_parquet(Path(named[0]), columns=["repo", "path", "language", "content"])
    else:
        corpus = pl.concat([sdist_documents(*origin) for origin in UNRELATED])
    unique = corpus.unique("content", keep="first", maintain_order=True)
    numbered = pl.Series([f"{number:07d}" for number in range(unique.height)])
    return unique.with_columns(id=numbered)


def host_files(unrelated: pl.DataFrame) -> list[str]:
    """Returns real Python modules of 4 to 40 kB that hold a top-level function."""
    size = pl.col("content").str.len_bytes()
    python = unrelated.filter(pl.col("language") == "python", size.is_between(4_000, 40_000))
    return python.filter(pl.col("content").str.contains("\n\n\ndef "))["content"].to_list()


def recall_by_way(items: list[BenchmarkItem], hosts: list[str], judge: Judge) -> dict[str, float]:
    """Returns way -> share of the items that are found inside a host."""
    texts: dict[str, list[str]] = {
        way: [reword(item.code) for item in items]
        for way, reword in (FIVE_WAYS | FURTHER_WAYS).items()
    }
    texts["prompt_only"] = [f'"""{item.text}"""\n' for item in items]
    texts["tests_only"] = [item.test + "\n" for item in items]
    found: dict[str, float] = {}
    for way, written in texts.items():
        rows = [
            document(_inserted(text, hosts[number % len(hosts)]), path=f"{number}.py")
            for number, text in enumerate(written)
        ]
        found[way] = round(len(judge(frame_of(*rows))) / len(items), 4)
    return found


def _inserted(text: str, host: str) -> str:
    """Puts a text before the top-level function that is nearest the middle of a module."""
    places = [at for at in range(len(host)) if host.startswith("\n\n\ndef ", at)]
    middle = min(places, key=lambda at: abs(at - len(host) // 2))
    return f"{host[:middle]}\n\n\n{text}\n{host[middle:]}"


def by_words_only(
    items: Mapping[str, list[BenchmarkItem]], index: BenchmarkIndex
) -> dict[str, list[str]]:
    """Names the items whose renamed solution cannot be told from ordinary code."""
    known = index.recognisable("function", "body", "solution")
    return {
        benchmark: [item.name for item in rows if item.name not in known]
        for benchmark, rows in items.items()
    }


def word_grams(items: Mapping[str, list[BenchmarkItem]]) -> set[tuple[str, ...]]:
    everything = [item for rows in items.values() for item in rows]
    return {
        gram for item in everything for text in (item.text, item.code, item.test)
        for gram in thirteen(text)
    }  # fmt: skip


def thirteen(text: str) -> set[tuple[str, ...]]:
    words = "".join(char if char.isalnum() else " " for char in text.lower()).split()
    return {tuple(words[i : i + 13]) for i in range(len(words) - 12)}


def timed(judge: Judge, frame: pl.DataFrame) -> tuple[float, dict[str, Any]]:
    begin = time.process_time()
    found = judge(frame)
    return time.process_time() - begin, found


if __name__ == "__main__":
    main()
