"""Streams rows of Parquet, JSONL, CSV and Arrow files, local or remote.

Only these formats: none of them can run code. Parquet reads the wanted columns' byte ranges alone.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa

from tritter_assets.errors import UpstreamChanged
from tritter_assets.sources.loader import Limits, LoaderContext, SkipReason

DATA_FORMATS = ("parquet", "jsonl", "csv", "arrow")
EXTENSIONS: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "jsonl": (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".jsonl.xz", ".jsonl.bz2"),
    "csv": (".csv", ".csv.gz", ".tsv"),
    "arrow": (".arrow", ".feather"),
    "tar": (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"),
}

_CHUNK_CHARS = 1 << 20
_CSV_BLOCK_BYTES = 16 << 20
"""A CSV row must fit in one block."""
Row = dict[str, Any]


def read_rows(
    stream: IO[bytes],
    name: str,
    file_format: str,
    columns: Sequence[str],
    context: LoaderContext,
) -> Iterator[tuple[int, Row]]:
    """Streams (row number in the file, row) of a data file.

    Args:
        stream: The file; Parquet and Arrow need it seekable.
        name: For messages and for the compression suffix.
        file_format: One of `DATA_FORMATS`.
        columns: Top-level columns that are wanted; nested fields arrive with their parent.
        context: Takes the count of malformed rows.

    Raises:
        UpstreamChanged: the file is not in this format, or lacks a wanted column.
    """
    try:
        match file_format:
            case "parquet":
                yield from _parquet(stream, name, columns, context.limits)
            case "arrow":
                yield from _arrow(stream, name, columns)
            case "csv":
                yield from _csv(_decompressed(stream, name), name, columns)
            case "jsonl":
                yield from _json(_decompressed(stream, name), name, columns, context)
            case _:
                raise UpstreamChanged(
                    f"{name}: format {file_format!r} is not read; use one of {DATA_FORMATS}"
                )
    except (pa.ArrowInvalid, pa.ArrowTypeError, EOFError, UnicodeDecodeError) as error:
        raise UpstreamChanged(
            f"{name} is not the {file_format} file that the contract promises: {error}"
        ) from None


def _missing(name: str, columns: Sequence[str], found: Sequence[str]) -> None:
    missing = [column for column in columns if column not in found]
    if missing:
        raise UpstreamChanged(
            f"{name} has no column {', '.join(map(repr, missing))}; it has {', '.join(found)}. "
            "Correct `columns` of the contract, or pin the revision it was written for"
        )


def _parquet(
    stream: IO[bytes], name: str, columns: Sequence[str], limits: Limits
) -> Iterator[tuple[int, Row]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, buffer_size=4 << 20, pre_buffer=False)
    _missing(name, columns, file.schema_arrow.names)
    number = 0
    for batch in file.iter_batches(
        batch_size=_batch_rows(file.metadata, limits), columns=list(columns), use_threads=False
    ):
        for row in batch.to_pylist():
            yield number, row
            number += 1


def _batch_rows(metadata: Any, limits: Limits) -> int:
    """Rows that hold about one frame of bytes, judged by the file's own sizes."""
    total = sum(metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups))
    mean = max(total // max(metadata.num_rows, 1), 1)
    return max(1, min(limits.frame_rows, limits.frame_bytes // mean))


def _arrow(stream: IO[bytes], name: str, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    head = stream.read(6)
    stream.seek(0)
    number = 0
    if head == b"ARROW1":
        file = pa.ipc.open_file(stream)
        batches: Any = (file.get_batch(i) for i in range(file.num_record_batches))
        names = file.schema.names
    else:
        batches = pa.ipc.open_stream(stream)
        names = batches.schema.names
    _missing(name, columns, names)
    for batch in batches:
        for row in batch.select(list(columns)).to_pylist():
            yield number, row
            number += 1


def _csv(stream: IO[bytes], name: str, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    import pyarrow.csv as pacsv

    delimiter = "\t" if ".tsv" in name else ","
    reader = pacsv.open_csv(
        stream,
        read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            # text stays text: "007" is not 7
            column_types={column: pa.string() for column in columns},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    _missing(name, columns, reader.schema.names)
    number = 0
    for batch in reader:
        for row in batch.select(list(columns)).to_pylist():
            yield number, row
            number += 1


def _json(
    stream: IO[bytes], name: str, columns: Sequence[str], context: LoaderContext
) -> Iterator[tuple[int, Row]]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig")
    seen: set[str] = set()
    number = -1
    objects = _objects(text)
    for number, value in enumerate(objects):
        if not isinstance(value, dict):
            context.skips.add(SkipReason.MALFORMED_ROW, f"{name}#{number}")
            continue
        seen.update(value)
        yield number, value
    if number >= 0:
        _missing(name, [column for column in columns if column not in seen], sorted(seen))


_BROKEN = object()


def _objects(text: io.TextIOWrapper) -> Iterator[Any]:
    """Values of a JSON Lines file, or the items of one JSON array however long it is."""
    first = text.read(1)
    while first and first.isspace():
        first = text.read(1)
    if first == "[":
        yield from _array_items(text)
        return
    head = first
    for line in text:
        whole, head = head + line, ""
        if whole.strip():
            try:
                yield json.loads(whole)
            except (json.JSONDecodeError, RecursionError):
                yield _BROKEN
    if head.strip():
        yield _BROKEN


def _array_items(text: io.TextIOWrapper) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    buffer, position, ended = "", 0, False
    while True:
        while position < len(buffer) and buffer[position] in " \t\r\n,":
            position += 1
        if position < len(buffer):
            if buffer[position] == "]":
                return
            try:
                value, following = decoder.raw_decode(buffer, position)
            except json.JSONDecodeError:
                if ended:
                    yield _BROKEN
                    return
            else:
                # A number at the end of the buffer may go on in the next chunk.
                if following < len(buffer) or ended:
                    yield value
                    position = following
                    continue
        elif ended:
            yield _BROKEN  # the closing bracket is missing
            return
        # Reading as much again as is pending keeps long items linear.
        chunk = text.read(max(_CHUNK_CHARS, len(buffer) - position))
        ended = not chunk
        buffer, position = buffer[position:] + chunk, 0


def _decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return gzip.open(stream, "rb")  # pyright: ignore[reportReturnType]
    if name.endswith(".xz"):
        return lzma.open(stream, "rb")  # pyright: ignore[reportReturnType]
    if name.endswith(".bz2"):
        return bz2.open(stream, "rb")  # pyright: ignore[reportReturnType]
    if name.endswith(".zst"):
        return pa.CompressedInputStream(stream, "zstd")  # pyright: ignore[reportReturnType]
    return stream
