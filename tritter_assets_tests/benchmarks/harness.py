"""What every bench shares: the corpus, the clock and the last line.

A bench prints one JSON object on its last line: `bench`, `ours`, `unit`, `peers` (name -> figure),
`ratio` (ours to the best peer; larger is better) and whatever else matters.

The corpus is a Parquet file with the columns id, repo, path, language, content. By default it is
built once from source distributions of the starter contracts and kept in `.bench/`; `BENCH_CORPUS`
names another file of that shape.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.record import document_id

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".bench"
CORPUS_BYTES = 260_000_000
"""Text gathered for the default corpus."""
_MAX_FILE_BYTES = 1 << 20

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("repo", pa.string()),
        ("path", pa.string()),
        ("language", pa.string()),
        ("content", pa.large_string()),
    ]
)
_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".rs": "rust",
    ".md": "markdown",
    ".rst": "restructuredtext",
    ".js": "javascript",
    ".ts": "typescript",
    ".c": "c",
    ".h": "c",
    ".cpp": "cpp",
    ".hpp": "cpp",
    ".go": "go",
}


def corpus_path() -> Path:
    """Returns the corpus: `BENCH_CORPUS`, or the default one, built if it is not there yet."""
    named = os.environ.get("BENCH_CORPUS")
    if named:
        return Path(named)
    path = CACHE / "corpus.parquet"
    if not path.exists():
        _build(path)
    return path


def report(
    bench: str, ours: float, unit: str, peers: Mapping[str, float], ratio: float | None, **rest: Any
) -> None:
    """Prints the bench's last line."""
    found = {"bench": bench, "ours": ours, "unit": unit, "peers": dict(peers), "ratio": ratio}
    print(json.dumps(found | rest, default=str))


def _build(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    gathered = 0
    rows: list[dict[str, str]] = []
    with pq.ParquetWriter(partial, _SCHEMA, compression="zstd") as writer:
        for row in _rows():
            rows.append(row)
            gathered += len(row["content"].encode("utf-8", "surrogatepass"))
            if len(rows) >= 2_000:
                writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
                rows.clear()
            if gathered >= CORPUS_BYTES:
                break
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
    partial.rename(path)
    print(f"corpus of {gathered / 1e6:.0f} MB written to {path.relative_to(ROOT)}")


def _rows() -> Iterator[dict[str, str]]:
    """Yields the text files of whole source distributions, largest packages first."""
    for package, archive in _archives():
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                language = _LANGUAGES.get(Path(member.name).suffix)
                if not member.isfile() or language is None or member.size > _MAX_FILE_BYTES:
                    continue
                source = opened.extractfile(member)
                assert source is not None
                try:
                    content = source.read().decode("utf-8")
                except UnicodeDecodeError:
                    continue
                name = member.name.partition("/")[2]
                yield {
                    "id": document_id("bench", package, name, content),
                    "repo": package,
                    "path": name,
                    "language": language,
                    "content": content,
                }


_EXTRA_PACKAGES = ("ansible", "django", "astropy", "uv", "matplotlib", "sympy", "scipy", "pandas")


def _archives() -> Iterator[tuple[str, Path]]:
    from tritter_assets.contracts.source import SdistOrigin
    from tritter_assets.settings import load_settings
    from tritter_assets_tests.benchmarks.sdists import fetch_newest, fetch_pinned

    catalog = load_settings(ROOT, {}).catalog()
    for contract in catalog.active_sources():
        if isinstance(contract.origin, SdistOrigin):
            yield contract.origin.package, fetch_pinned(contract.origin, CACHE)
    for package in _EXTRA_PACKAGES:
        yield package, fetch_newest(package, CACHE)
