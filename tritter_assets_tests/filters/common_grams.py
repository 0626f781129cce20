"""Makes `tritter_assets/filters/common_grams.npz`: grams that stand in unrelated code.

    python -m tritter_assets_tests.filters.common_grams

The reference corpus is the default corpus of the benches and the source distributions named in
`common_grams.txt`. Of the pinned benchmarks' grams every one that it holds is listed; of all
others, for benchmarks that a user brings, those of code that stand in `MIN_PACKAGES` packages.
A document that quotes a benchmark's description or tests is left out, so that a copy of an item
does not make an idiom of it.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from tritter_assets.contracts.source import SdistOrigin
from tritter_assets.filters import benchmark_index, window_kernels
from tritter_assets.filters.benchmark_index import BenchmarkIndex, CommonGrams
from tritter_assets.filters.benchmarks import load_items
from tritter_assets.filters.decontamination import CODE_LANGUAGES
from tritter_assets.filters.gram_search import WindowRules, code_rows, word_rows
from tritter_assets.filters.kernels import ByteColumn
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.sdist import SdistLoader
from tritter_assets_tests.benchmarks.harness import CACHE, ROOT, corpus_path

MIN_PACKAGES = 8
LANGUAGES = {
    ".py": "python",
    ".pyx": "cython",
    ".ipynb": "jupyter notebook",
    ".md": "markdown",
    ".rst": "restructuredtext",
}
_MAX_FILE_BYTES = 1 << 20
_ROWS = 1000

Grams = np.ndarray[tuple[int], np.dtype[np.uint32]]


def main() -> None:
    index = plain_index()
    per_package: list[Grams] = []
    code: list[Grams] = [_low(np.zeros(0, np.uint64))]
    text: list[Grams] = [_low(np.zeros(0, np.uint64))]
    num_bytes = 0
    for package, documents in reference():
        num_bytes += int(documents["content"].str.len_bytes().sum())
        every, held_code, held_text = _package(package, documents, index)
        per_package.append(every)
        code.append(held_code)
        text.append(held_text)
    widespread, counts = np.unique(np.concatenate(per_package), return_counts=True)
    widespread = widespread[counts >= MIN_PACKAGES]
    code_list = np.unique(np.concatenate([*code, widespread]))
    text_list = np.unique(np.concatenate(text))
    target = Path(benchmark_index.__file__).parent / "common_grams.npz"
    np.savez_compressed(
        target,
        code=np.diff(code_list, prepend=np.uint32(0)),
        text=np.diff(text_list, prepend=np.uint32(0)),
    )
    sys.stdout.write(
        f"{num_bytes / 1e6:.0f} MB of {len(per_package)} packages: {len(code_list)} grams of code "
        f"({len(widespread)} in {MIN_PACKAGES} packages or more), {len(text_list)} of words; "
        f"{target.stat().st_size} bytes\n"
    )


def plain_index() -> BenchmarkIndex:
    """Returns the index of the policy's benchmarks with no gram left out as an idiom."""
    path = ROOT / "data_contracts" / "policy" / "filters.yaml"
    policy = yaml.safe_load(path.read_text("utf-8"))
    stage = policy["stages"]["decontamination"]
    items, _ = load_items(stage["benchmarks"], CACHE, ROOT)
    names = sorted(set(WindowRules.__dataclass_fields__) - {"edits"})
    rules = WindowRules(**{name: stage[name] for name in names})
    return benchmark_index.build_index(items, {}, rules, CommonGrams.none())


def reference() -> Iterator[tuple[str, pl.DataFrame]]:
    """Yields (package, documents with language and content)."""
    corpus = pl.read_parquet(corpus_path(), columns=["repo", "language", "content"])
    for (package,), documents in corpus.group_by("repo", maintain_order=True):
        yield str(package), documents
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, sha256 = line.split()
        package, _, version = name.partition("==")
        yield package, sdist_documents(package, version, sha256)


def sdist_documents(package: str, version: str, sha256: str) -> pl.DataFrame:
    """Returns the Python and text files of a source distribution: repo, path, language, content."""
    origin = SdistOrigin(package=package, version=version, sha256=sha256)
    archive = SdistLoader().fetch(origin, LoaderContext(cache=CACHE, project_root=ROOT))
    rows: list[tuple[str, str, str, str]] = []
    with tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            language = LANGUAGES.get(Path(member.name).suffix)
            if not member.isfile() or language is None or member.size > _MAX_FILE_BYTES:
                continue
            source = opened.extractfile(member)
            assert source is not None
            try:
                content = source.read().decode("utf-8")
            except UnicodeDecodeError:
                continue
            rows.append((package, member.name.partition("/")[2], language, content))
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("repo", "path", "language", "content"), pl.String), orient="row"
    )


def _package(
    package: str, documents: pl.DataFrame, index: BenchmarkIndex
) -> tuple[Grams, Grams, Grams]:
    """Returns all grams of code, and those of code and of words that the benchmarks have too."""
    every: list[np.ndarray] = [np.zeros(0, np.uint64)]
    code: list[np.ndarray] = [np.zeros(0, np.uint64)]
    text: list[np.ndarray] = [np.zeros(0, np.uint64)]
    windows_only = replace(index.rules, edits=index.rules.max_function_tokens)
    for part in documents.iter_slices(_ROWS):
        is_code = part["language"].is_in(sorted(CODE_LANGUAGES))
        copies = _copies(package, part, index)
        words = ByteColumn.of(part["content"].filter(~copies))
        program = ByteColumn.of(part["content"].filter(is_code & ~copies))
        rows = code_rows(program, windows_only, None)
        windows = rows[:, 4] == window_kernels.WINDOW
        every.append(np.unique(rows[windows, 1].view(np.uint64)))
        rows = code_rows(program, index.rules, index.code)
        code.append(index.code.grams[np.unique(rows[:, 1])])
        rows = word_rows(words, index.rules, index.text)
        text.append(index.text.grams[np.unique(rows[:, 1])])
    return _low(np.concatenate(every)), _low(np.concatenate(code)), _low(np.concatenate(text))


def _copies(package: str, documents: pl.DataFrame, index: BenchmarkIndex) -> pl.Series:
    """Marks documents that quote nearly all of an item's words or tests."""
    column = ByteColumn.of(documents["content"])
    hits = pl.concat(
        [
            benchmark_index.find_words(column, index),
            benchmark_index.find_code(column, index).filter(pl.col("kind") == "test"),
        ]
    )
    hits = hits.filter(pl.col("held") >= 0.8 * pl.col("total"))
    for row in hits.head(5).iter_rows(named=True):
        sys.stdout.write(f"left out, a copy: {package} {row['item']} {row['kind']}\n")
    found = hits["document"].unique()
    return pl.Series(np.isin(np.arange(documents.height), found.to_numpy()))


def _low(hashes: np.ndarray) -> Grams:
    return np.unique((hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32))


if __name__ == "__main__":
    main()
