"""Streams rows of Parquet, JSONL, CSV and Arrow files, local or remote.

Only these formats: none of them can run code. Parquet reads the wanted columns' byte ranges alone.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
_NOT_THIS_FORMAT = (
    pa.ArrowInvalid,
    pa.ArrowTypeError,
    EOFError,
    UnicodeDecodeError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that follow one another in a file."""

    numbers: Sequence[int]
    """The place of each row in its file; a malformed row leaves a gap."""
    rows: pa.RecordBatch | list[Row]
    """Arrow when the file is columnar, so that text never becomes Python objects on its way."""

    def to_rows(self) -> list[Row]:
        """Returns the rows as mappings."""
        return self.rows if isinstance(self.rows, list) else self.rows.to_pylist()


def read_rows(
    stream: IO[bytes],
    name: str,
    file_format: str,
    columns: Sequence[str],
    context: LoaderContext,
) -> Iterator[tuple[int, Row]]:
    """Streams (row number in the file, row) of a data file; arguments as of `read_batches`."""
    for batch in read_batches(stream, name, file_format, columns, context):
        yield from zip(batch.numbers, batch.to_rows(), strict=True)


def read_batches(
    stream: IO[bytes],
    name: str,
    file_format: str,
    columns: Sequence[str],
    context: LoaderContext,
    *,
    row_groups: Sequence[int] | None = None,
) -> Iterator[RowBatch]:
    """Streams a data file in batches of about one frame.

    Args:
        stream: The file; Parquet and Arrow need it seekable.
        name: For messages and for the compression suffix.
        file_format: One of `DATA_FORMATS`.
        columns: Top-level columns that are wanted; nested fields arrive with their parent.
        context: Takes the count of malformed rows.
        row_groups: Of a Parquet file, instead of all: some that follow one another; row numbers
            stay those of the whole file.

    Raises:
        UpstreamChanged: the file is not in this format, or lacks a wanted column.
    """
    limits = context.limits
    try:
        match file_format:
            case "parquet":
                yield from _parquet(stream, name, columns, limits, row_groups)
            case "arrow":
                yield from _arrow(_decompressed(stream, name), name, columns, limits)
            case "csv":
                yield from _csv(_decompressed(stream, name), name, columns, limits)
            case "jsonl":
                yield from _json(_decompressed(stream, name), name, columns, context)
            case _:
                raise UpstreamChanged(
                    f"{name}: format {file_format!r} is not read; use one of {DATA_FORMATS}"
                )
    except (*_NOT_THIS_FORMAT, OSError) as error:
        # Arrow's decompressor has no error of its own; other system errors are not the file's.
        if not isinstance(error, _NOT_THIS_FORMAT) and not name.endswith(".zst"):
            raise
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
    stream: IO[bytes],
    name: str,
    columns: Sequence[str],
    limits: Limits,
    row_groups: Sequence[int] | None,
) -> Iterator[RowBatch]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream, buffer_size=4 << 20, pre_buffer=False)
    _missing(name, columns, file.schema_arrow.names)
    groups = list(range(file.num_row_groups)) if row_groups is None else list(row_groups)
    metadata = file.metadata
    before = sum(metadata.row_group(group).num_rows for group in range(groups[0])) if groups else 0
    batches = file.iter_batches(
        batch_size=_batch_rows(metadata, columns, limits),
        row_groups=groups,
        columns=list(columns),
        use_threads=False,
    )
    yield from _numbered(batches, columns, limits, before)


def parquet_row_groups(stream: IO[bytes], name: str) -> list[int]:
    """Returns the bytes of text and other columns in each row group, and reads only the footer.

    Raises:
        UpstreamChanged: it is no Parquet file.
    """
    import pyarrow.parquet as pq

    try:
        metadata = pq.ParquetFile(stream, pre_buffer=False).metadata
    except pa.ArrowInvalid as error:
        raise UpstreamChanged(
            f"{name} is not the parquet file that the contract promises: {error}"
        ) from None
    return [metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups)]


def _batch_rows(metadata: Any, columns: Sequence[str], limits: Limits) -> int:
    """Rows that hold about one frame of bytes, judged by the file's own sizes."""
    wanted, total = set(columns), 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(place) for place in range(group.num_columns))
        total += sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.split(".", 1)[0] in wanted
        )
    mean = max(total // max(metadata.num_rows, 1), 1)
    return max(1, min(limits.frame_rows, limits.frame_bytes // mean))


def _numbered(
    batches: Iterator[pa.RecordBatch], columns: Sequence[str], limits: Limits, start: int = 0
) -> Iterator[RowBatch]:
    """Cuts batches to frames, in the contract's column order, with whole UTF-8 in every text."""
    for batch in batches:
        chosen = batch.select(list(columns))
        chosen.validate(full=True)
        for offset in range(0, chosen.num_rows, limits.frame_rows):
            part = chosen.slice(offset, limits.frame_rows)
            yield RowBatch(range(start, start + part.num_rows), part)
            start += part.num_rows


def _arrow(
    stream: IO[bytes], name: str, columns: Sequence[str], limits: Limits
) -> Iterator[RowBatch]:
    head = stream.read(6)
    stream.seek(0)
    if head == b"ARROW1":
        file = pa.ipc.open_file(stream)
        batches: Any = (file.get_batch(i) for i in range(file.num_record_batches))
        names = file.schema.names
    else:
        batches = pa.ipc.open_stream(stream)
        names = batches.schema.names
    _missing(name, columns, names)
    yield from _numbered(batches, columns, limits)


def _csv(
    stream: IO[bytes], name: str, columns: Sequence[str], limits: Limits
) -> Iterator[RowBatch]:
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
    yield from _numbered(iter(reader), columns, limits)


def _json(
    stream: IO[bytes], name: str, columns: Sequence[str], context: LoaderContext
) -> Iterator[RowBatch]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig")
    limits = context.limits
    seen: set[str] = set()
    numbers: list[int] = []
    rows: list[Row] = []
    number, size = -1, 0
    for number, (value, length) in enumerate(_objects(text)):
        if not isinstance(value, dict):
            context.skips.add(SkipReason.MALFORMED_ROW, f"{name}#{number}")
            continue
        seen.update(value)
        numbers.append(number)
        rows.append(value)
        size += length
        if size >= limits.frame_bytes or len(rows) >= limits.frame_rows:
            yield RowBatch(numbers, rows)
            numbers, rows, size = [], [], 0
    if rows:
        yield RowBatch(numbers, rows)
    if number >= 0:
        _missing(name, [column for column in columns if column not in seen], sorted(seen))


_BROKEN = object()


def _objects(text: io.TextIOWrapper) -> Iterator[tuple[Any, int]]:
    """Values of a JSON Lines file, or of one JSON array however long it is, with their length."""
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
                yield json.loads(whole), len(whole)
            except (json.JSONDecodeError, RecursionError):
                yield _BROKEN, 0
    if head.strip():
        yield _BROKEN, 0


def _array_items(text: io.TextIOWrapper) -> Iterator[tuple[Any, int]]:
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
                    yield _BROKEN, 0
                    return
            else:
                # A number at the end of the buffer may go on in the next chunk.
                if following < len(buffer) or ended:
                    yield value, following - position
                    position = following
                    continue
        elif ended:
            yield _BROKEN, 0  # the closing bracket is missing
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
