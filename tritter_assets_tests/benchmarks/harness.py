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

from tritter_assets.contracts.source import SdistOrigin
from tritter_assets.record import document_id
from tritter_assets.settings import load_settings
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.sdist import SdistLoader

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


_FURTHER = (
    SdistOrigin(
        package="sympy",
        version="1.14.0",
        sha256="d3d3fe8df1e5a0b42f0e7bdf50541697dbe7d23746e894990c030e2b05e72517",
    ),
    SdistOrigin(
        package="uv",
        version="0.13.9",
        sha256="dd6f4f93ddf8a668c73f0945f3638444b2140a4e15a3912067493fc6335543e4",
    ),
    SdistOrigin(
        package="pandas",
        version="3.1.1",
        sha256="05fed3e3b7c99b226f160e29d7d6cb7ef39638c758cbfe42b3f24ba34f04b859",
    ),
    SdistOrigin(
        package="scipy",
        version="1.18.1",
        sha256="52c4b7422442aba924d03ad4019852b08a92e64ea187b933135687bfe2747307",
    ),
    SdistOrigin(
        package="django",
        version="6.1.3",
        sha256="b5d2d9e35295065d13b1927b3f19a59bd119f737aa6299def14ccca1ae3c8c0d",
    ),
    SdistOrigin(
        package="astropy",
        version="8.0.2",
        sha256="e6af35823099ad6a40b57dbe5ff845f577374ea131925c9fa4b49eeab06c5310",
    ),
    SdistOrigin(
        package="ansible",
        version="14.5.0",
        sha256="daeafe730cb2cf82ebe1a1a30960dcdfc0d624c497eb96d57d81713ec19ef19f",
    ),
)
"""Beside the starter contracts, so that the corpus is larger than any one of them."""


def _archives() -> Iterator[tuple[str, Path]]:
    """Yields (package, archive): every sdist of the starter contracts whole, then further ones."""
    catalog = load_settings(ROOT, {}).catalog()
    starter = [c.origin for c in catalog.active_sources() if isinstance(c.origin, SdistOrigin)]
    context = LoaderContext(cache=CACHE, project_root=ROOT)
    for origin in (*starter, *_FURTHER):
        yield origin.package, SdistLoader().fetch(origin, context)
