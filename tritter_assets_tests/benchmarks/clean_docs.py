"""Documentation cleaning: megabytes of pages per CPU second, by kind of page.

    make bench NAME=clean_docs

Markdown, reStructuredText and Rust files of the corpus go through the cleaners, one thread. The
peer is markdown-it-py, which only parses and renders the same Markdown: it resolves no directive,
role or include. `kept` is the share of characters that a cleaner hands on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import polars as pl

from tritter_assets.sources.prose.clean import clean_document
from tritter_assets_tests.benchmarks.harness import corpus_path, report

MAX_CHARS = 8_000_000
"""Of each kind, so that the bench ends within a minute."""


def main() -> None:
    from markdown_it import MarkdownIt

    corpus = pl.scan_parquet(corpus_path()).select("path", "language", "content").collect()
    ours: dict[str, float] = {}
    kept: dict[str, float] = {}
    pages: dict[str, list[tuple[str, str]]] = {}
    for language in ("markdown", "restructuredtext", "rust"):
        pages[language] = taken(corpus.filter(language=language))
        speed, made = measured(pages[language], clean)
        ours[language] = round(speed, 1)
        kept[language] = round(made / max(1, sum(len(t) for _, t in pages[language])), 3)
    render = MarkdownIt().render
    peer, _ = measured(pages["markdown"], lambda path, text: render(text))
    report(
        "clean_docs",
        ours["markdown"],
        unit="MB/s of Markdown, one core",
        peers={"markdown-it-py 4 (parse and render only)": round(peer, 1)},
        ratio=round(ours["markdown"] / peer, 2),
        by_kind=ours,
        kept=kept,
        num_pages={language: len(found) for language, found in pages.items()},
    )


def taken(rows: pl.DataFrame) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    chars = 0
    for path, text in rows.select("path", "content").iter_rows():
        if chars + len(text) > MAX_CHARS:
            break
        chars += len(text)
        found.append((path, text))
    return found


def clean(path: str, text: str) -> str:
    return clean_document(text, path) or ""


def measured(pages: list[tuple[str, str]], work: Callable[[str, str], str]) -> tuple[float, int]:
    begin = time.process_time()
    made = sum(len(work(path, text)) for path, text in pages)
    spent = max(time.process_time() - begin, 1e-9)
    return sum(len(text.encode()) for _, text in pages) / 1e6 / spent, made


if __name__ == "__main__":
    main()
