"""Columns of a data file as ODCS logical types: from its schema, or from its first rows.

Logical types, not Arrow's: a file that moves from `string` to `large_string` or from `int32` to
`int64` reads as before and is no drift. A Parquet footer costs one ranged read; JSON Lines cost at
most `SAMPLED_ROWS` rows, so a column that is rarer than that is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import IO, Any

import pyarrow as pa

from tritter_assets.errors import UpstreamChanged
from tritter_assets.sources.data_file import DATA_FORMATS, read_rows
from tritter_assets.sources.loader import LoaderContext

SAMPLED_ROWS = 500

NO_VALUE = "null"
"""Type of a column that held no value in the rows that were looked at."""


def columns_of(
    stream: IO[bytes], name: str, file_format: str, context: LoaderContext
) -> dict[str, str]:
    """Returns column -> logical type, sorted by name; empty for a format without columns.

    Raises:
        UpstreamChanged: the file is not in this format.
    """
    if file_format not in DATA_FORMATS:
        return {}
    try:
        match file_format:
            case "parquet":
                import pyarrow.parquet as pq

                found = _of_schema(pq.ParquetFile(stream, pre_buffer=False).schema_arrow)
            case "arrow":
                found = _of_schema(_arrow_schema(stream))
            case "csv":
                # Read as text by the loader whatever it looks like, so that "007" is not 7.
                found = dict.fromkeys(_csv_names(stream, name), "string")
            case _:
                rows = read_rows(stream, name, file_format, (), context)
                found = _of_rows(row for _, row in islice(rows, SAMPLED_ROWS))
    except pa.ArrowInvalid as error:
        raise UpstreamChanged(f"{name} is not a {file_format} file: {error}") from None
    return dict(sorted(found.items()))


def _of_schema(schema: pa.Schema) -> dict[str, str]:
    return {field.name: logical_type(field.type) for field in schema}


def logical_type(kind: pa.DataType) -> str:
    """Returns the ODCS logical type of an Arrow type."""
    types = pa.types
    if types.is_dictionary(kind):
        return logical_type(kind.value_type)
    tests: tuple[tuple[str, Any], ...] = (
        ("boolean", types.is_boolean),
        ("integer", types.is_integer),
        ("number", types.is_floating),
        ("number", types.is_decimal),
        ("date", types.is_date),
        ("timestamp", types.is_timestamp),
        ("time", types.is_time),
        ("map", types.is_map),
        ("object", types.is_struct),
        ("array", types.is_list),
        ("array", types.is_large_list),
        ("array", types.is_fixed_size_list),
        (NO_VALUE, types.is_null),
    )
    return next((name for name, test in tests if test(kind)), "string")


def _of_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            kind = _of_value(value)
            known = found.get(name, NO_VALUE)
            if known == NO_VALUE:
                found[name] = kind
            elif kind not in (known, NO_VALUE):
                # 1 beside 1.5 is a column of numbers; any other mixture is read as text.
                numeric = {known, kind} == {"integer", "number"}
                found[name] = "number" if numeric else "string"
    return found


def _of_value(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),  # before int: a bool is one
        (int, "integer"),
        (float, "number"),
        (list, "array"),
        (dict, "object"),
        (str, "string"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), NO_VALUE)


def _arrow_schema(stream: IO[bytes]) -> pa.Schema:
    head = stream.read(6)
    stream.seek(0)
    if head == b"ARROW1":
        return pa.ipc.open_file(stream).schema
    return pa.ipc.open_stream(stream).schema


def _csv_names(stream: IO[bytes], name: str) -> list[str]:
    import csv
    import gzip
    import io

    raw: Any = gzip.GzipFile(fileobj=stream) if name.endswith(".gz") else stream
    delimiter = "\t" if ".tsv" in name else ","
    return next(csv.reader(io.TextIOWrapper(raw, "utf-8-sig"), delimiter=delimiter), [])
