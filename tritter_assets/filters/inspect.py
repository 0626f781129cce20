"""Documents for `tritter inspect`: any folder of files, or a Parquet or JSON Lines file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.filters.contract import DOCUMENT_COLUMNS
from tritter_assets.record import HUMAN, NOASSERTION, LicenseMethod, Modality, content_sha256

_DEFAULTS: dict[str, object] = {
    "source": "inspect",
    "repo": "",
    "revision": "",
    "modality": Modality.CODE.value,
    "split": None,
    "license_concluded": NOASSERTION,
    "license_method": LicenseMethod.NONE.value,
    "license_confidence": 0.0,
    "license_wrapper": NOASSERTION,
    "access_terms": "none",
    "generator": HUMAN,
    "owner": None,
}
_MAX_FILE_BYTES = 128 << 20


def read_documents(path: Path) -> pl.DataFrame:
    """Reads documents in the columns that `judge_frame` needs, sorted by id.

    A folder gives one document per file, undecodable bytes as U+FFFD. A Parquet or JSON Lines file
    needs `content`; `id`, `path`, `language` and licence columns are taken where they are.

    Raises:
        UpstreamUnavailable: there is nothing to read, or no column `content`.
    """
    if path.is_dir():
        frame = _folder(path)
    elif path.suffix == ".parquet":
        frame = pl.read_parquet(path)
    elif path.suffix in {".jsonl", ".ndjson"}:
        frame = pl.read_ndjson(path)
    elif path.is_file():
        frame = pl.DataFrame({"path": [path.name], "content": [_text(path)]})
    else:
        raise UpstreamUnavailable(f"{path}: no such folder or file")
    if "content" not in frame.columns:
        raise UpstreamUnavailable(
            f"{path}: has columns {frame.columns}, and none is called 'content'"
        )
    return complete_documents(frame)


def complete_documents(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds what is missing of `contract.DOCUMENT_COLUMNS`; licences default to NOASSERTION."""
    from tritter_assets.sources.language import guess_language

    frame = frame.with_columns(pl.col("content").cast(pl.String).fill_null(""))
    if "path" not in frame.columns:
        frame = frame.with_columns(path=pl.lit(""))
    if "language" not in frame.columns:
        languages = [guess_language(path) for path in frame["path"]]
        frame = frame.with_columns(language=pl.Series(languages, dtype=pl.String))
    if "id" not in frame.columns:
        ids = [
            hashlib.sha256(f"{number}\0{path}".encode()).hexdigest()[:32]
            for number, path in enumerate(frame["path"])
        ]
        frame = frame.with_columns(id=pl.Series(ids, dtype=pl.String))
    if "content_sha256" not in frame.columns:
        hashes = [content_sha256(content) for content in frame["content"]]
        frame = frame.with_columns(content_sha256=pl.Series(hashes, dtype=pl.String))
    absent = {
        name: pl.lit(value, pl.Float32 if name == "license_confidence" else pl.String)
        for name, value in _DEFAULTS.items()
        if name not in frame.columns
    }
    absent |= {
        name: pl.lit(None, pl.List(pl.String))
        for name in ("author_emails", "derived_from")
        if name not in frame.columns
    }
    return frame.with_columns(**absent).select(DOCUMENT_COLUMNS).sort("id")


def _folder(path: Path) -> pl.DataFrame:
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and not file.is_symlink()
        and not any(part.startswith(".git") for part in file.relative_to(path).parts)
        and file.stat().st_size <= _MAX_FILE_BYTES
    )
    return pl.DataFrame(
        {
            "path": [file.relative_to(path).as_posix() for file in files],
            "content": [_text(file) for file in files],
        },
        schema={"path": pl.String, "content": pl.String},
    )


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")
