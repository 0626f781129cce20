"""Rows of a Parquet or JSON Lines file as documents, for `tritter inspect`."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.errors import ContractViolation, UpstreamUnavailable
from tritter_assets.filters.contract import DOCUMENT_COLUMNS
from tritter_assets.filters.pieces import cut
from tritter_assets.record import (
    DOCUMENT_SCHEMA,
    HUMAN,
    NOASSERTION,
    LicenseMethod,
    Modality,
    content_sha256,
)
from tritter_assets.sources.language import guess_language, modality_of_file

NEEDED_COLUMNS = ("id", "path", "content")
TABLE_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_BATCH_ROWS = 256
"""Rows read at once; `cut` then gathers them into pieces of bounded size."""

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


def is_table(path: Path) -> bool:
    """Whether a file is read row by row instead of as one text."""
    return path.is_file() and path.name.lower().endswith(TABLE_SUFFIXES)


def table_columns(path: Path) -> set[str]:
    """Returns the columns of a Parquet file, or the keys of a JSON Lines file's first row.

    Raises:
        UpstreamUnavailable: the file cannot be read.
        ContractViolation: the first line is no JSON object.
    """
    if path.suffix.lower() == ".parquet":
        return set(_parquet(path).schema_arrow.names)
    _, first = next(_json_rows(path), (0, {}))
    return set(first)


def table_documents(path: Path, *, source: str) -> Iterator[pl.DataFrame]:
    """Streams the rows of a Parquet or JSON Lines file in pieces of bounded size.

    `id`, `path` and `content` are needed; any other column of a document is used where it is there
    and has a neutral value where it is not.

    Args:
        path: One of `TABLE_SUFFIXES`.
        source: What the documents' column `source` says where the file has none.

    Raises:
        ContractViolation: a column is missing or of another type, or a line is no JSON object.
        UpstreamUnavailable: the file cannot be read.
    """
    frames = _parquet_frames(path) if path.suffix.lower() == ".parquet" else _json_frames(path)
    told = {"source": source, "repo": path.name.partition(".")[0], "revision": source,
            "license_wrapper": "NONE"}  # fmt: skip
    for piece in cut(frames):
        languages = [guess_language(name) for name in piece["path"]]
        known: dict[str, pl.Expr | pl.Series] = {
            **{name: pl.lit(value) for name, value in told.items()},
            "language": pl.Series(languages, dtype=pl.String),
            "modality": pl.Series([str(modality_of_file(x, Modality.CODE)) for x in languages]),
        }
        absent = {name: value for name, value in known.items() if name not in piece.columns}
        yield complete_documents(piece.with_columns(**absent))


def complete_documents(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds what is missing of `contract.DOCUMENT_COLUMNS`; licences default to NOASSERTION."""
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


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UpstreamUnavailable(
            f"{path} cannot be read as Parquet ({_first_line(error)}): give another file, or write "
            "this one anew"
        ) from None


def _parquet_frames(path: Path) -> Iterator[pl.DataFrame]:
    import pyarrow as pa

    file = _parquet(path)
    names = list(file.schema_arrow.names)
    _need(str(path), names)
    kept = [name for name in DOCUMENT_COLUMNS if name in names]
    try:
        for batch in file.iter_batches(_BATCH_ROWS, columns=kept):
            yield _typed(pl.DataFrame(batch), str(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise UpstreamUnavailable(
            f"{path} breaks off ({_first_line(error)}): give a whole file"
        ) from None


def _json_frames(path: Path) -> Iterator[pl.DataFrame]:
    schema = pl.Schema(DOCUMENT_SCHEMA)
    lines = _json_rows(path)
    while rows := list(islice(lines, _BATCH_ROWS)):
        names = {name for _, row in rows for name in row}
        kept = [name for name in DOCUMENT_COLUMNS if name in names]
        where = f"{path}, lines {rows[0][0]} to {rows[-1][0]}"
        try:
            frame = pl.DataFrame(
                [{name: row.get(name) for name in kept} for _, row in rows],
                schema={name: schema[name] for name in kept},
            )
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise ContractViolation(f"{where}: {_first_line(error)}") from None
        yield _typed(frame, where)


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yields the number of each line that is not blank, and its object."""
    number = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _json_row(line, f"{path}, line {number}")
    except (OSError, EOFError) as error:
        raise UpstreamUnavailable(
            f"{path} cannot be read after line {number} ({_first_line(error)}): give a whole file"
        ) from None


def _json_row(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ContractViolation(
            f"{where}: no JSON ({_first_line(error)}); each line is one object with "
            f"{', '.join(NEEDED_COLUMNS)}"
        ) from None
    if not isinstance(row, dict):
        raise ContractViolation(
            f"{where}: a {type(row).__name__}; each line is one object with "
            f"{', '.join(NEEDED_COLUMNS)}"
        )
    _need(where, list(row))
    for name in NEEDED_COLUMNS:
        if not isinstance(row[name], str | None) and (name != "id" or type(row[name]) is not int):
            raise ContractViolation(
                f"{where}: {name!r} is a {type(row[name]).__name__}; text is wanted"
            )
        if isinstance(row[name], str):
            # Half a surrogate pair, which JSON can write, is no text.
            row[name] = row[name].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    row["id"] = None if row["id"] is None else str(row["id"])
    return row


def _need(where: str, names: list[str]) -> None:
    missing = [name for name in NEEDED_COLUMNS if name not in names]
    if missing:
        raise ContractViolation(
            f"{where} lacks {', '.join(missing)} and has {', '.join(sorted(names)) or 'nothing'}: "
            f"{', '.join(NEEDED_COLUMNS)} are needed; rename or add them"
        )


def _typed(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Gives the needed columns their type; a row without an id cannot be told from others."""
    content = frame.schema["content"]
    if content not in {pl.String, pl.Categorical, pl.Null}:
        raise ContractViolation(f"{where}: 'content' is of type {content}; text is wanted")
    frame = frame.with_columns(
        pl.col("id").cast(pl.String),
        pl.col("path").cast(pl.String).fill_null(""),
        pl.col("content").cast(pl.String).fill_null(""),
    )
    if frame["id"].null_count():
        raise ContractViolation(f"{where}: a row has no id; give each row its own")
    return frame


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
