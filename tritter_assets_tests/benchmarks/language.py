"""Language detection: ours against go-enry asked plainly, once for each file.

    LINGUIST_SAMPLES=FOLDER make bench NAME=language

Both see every file of the corpus and must name the same language for each. Figures are MB of text
per CPU second. Accuracy needs linguist's own samples: `LINGUIST_SAMPLES` names the folder
`samples` of a checkout of github-linguist/linguist, with one folder a language. Top-1 is over the
languages that the project's brief names, by path and content, and by content alone for comparison.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import enry
import polars as pl

from tritter_assets.filters.kernels import with_statistics
from tritter_assets.filters.language import detect_languages
from tritter_assets_tests.benchmarks.harness import corpus_path, report

HEAD = 65_536
BRIEF = (
    "Python", "Rust", "JavaScript", "TypeScript", "C++", "Go", "Java", "PHP", "Ruby", "C", "C#",
    "HTML", "JSON", "YAML", "Markdown", "reStructuredText", "Jupyter Notebook", "Shell", "Cuda",
    "Cython",
)  # fmt: skip
_REPEATS = 3


def main() -> None:
    frame = pl.read_parquet(corpus_path(), columns=["path", "content"])
    megabytes = float(frame["content"].str.len_bytes().sum()) / 1e6
    detect_languages(frame.head(100), HEAD)
    with_statistics(frame.head(100))
    ours, found = _fastest(lambda: detect_languages(frame, HEAD))
    # The stage also looks for binary and badly decoded content.
    statistics, _ = _fastest(lambda: with_statistics(frame))
    plain, expected = _fastest(lambda: _plain(frame))
    differing = sum(a != b for a, b in zip(found, expected, strict=True))
    assert differing == 0, f"{differing} of {len(found)} files are named differently"
    report(
        "language",
        round(megabytes / ours, 1),
        "MB per CPU second",
        {"enry, once a file": round(megabytes / plain, 1)},
        round(plain / ours, 2),
        stage=round(megabytes / (ours + statistics), 1),
        files=frame.height,
        megabytes=round(megabytes),
        files_named_differently=differing,
        **_accuracy(),
    )


def _plain(frame: pl.DataFrame) -> list[str]:
    return [
        enry.get_language(path, content[:HEAD].encode())
        for path, content in frame.select("path", "content").iter_rows()
    ]


def _fastest(work: Any) -> tuple[float, Any]:
    best, answer = float("inf"), None
    for _ in range(_REPEATS):
        begin = time.process_time()
        answer = work()
        best = min(best, time.process_time() - begin)
    return best, answer


def _accuracy() -> dict[str, Any]:
    """Top-1 over linguist's samples, where they are at hand."""
    named = os.environ.get("LINGUIST_SAMPLES")
    if not named:
        return {"accuracy": "not measured: set LINGUIST_SAMPLES to linguist's folder `samples`"}
    rows = [
        (language, file.name, file.read_bytes().decode("utf-8", "replace"))
        for language in BRIEF
        for file in sorted((Path(named) / language).rglob("*"))
        if file.is_file()
    ]
    frame = pl.DataFrame(rows, schema=["language", "path", "content"], orient="row")
    by_path = detect_languages(frame, HEAD)
    by_content = detect_languages(frame.with_columns(path=pl.lit("")), HEAD)
    truth = frame["language"].to_list()
    count = Counter(truth)
    right = Counter(a for a, b in zip(truth, by_path, strict=True) if a == b)
    wrong = [
        f"{path}: {a} taken for {b or 'nothing'}"
        for a, b, path in zip(truth, by_path, frame["path"], strict=True)
        if a != b
    ]
    return {
        "accuracy": round(sum(right.values()) / len(truth), 4),
        "accuracy_by_content": round(
            sum(a == b for a, b in zip(truth, by_content, strict=True)) / len(truth), 4
        ),
        "right_of_samples": {name: f"{right[name]}/{count[name]}" for name in BRIEF},
        "wrong": wrong,
    }


if __name__ == "__main__":
    main()
