"""One document column out of a batch of upstream rows: Arrow where it can be, Python where not.

A column of texts stays Arrow from the file to the table. Everything else (numbers, dates, lists,
structs stored as JSON text) is converted value by value, by the same rules as single rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.types as pat

from tritter_assets.sources.data_file import RowBatch
from tritter_assets.sources.mapping_paths import value_at

Path = tuple[str, ...]
"""Steps into an upstream row."""


def texts_at(batch: RowBatch, path: Path) -> pl.Series | None:
    """Returns the column at a path when it holds texts or lists of texts; None otherwise."""
    array = _array_at(batch, path)
    if array is None:
        return None
    if pat.is_dictionary(array.type) and _is_text(array.type.value_type):
        array = array.dictionary_decode()
    is_list = pat.is_list(array.type) or pat.is_large_list(array.type)
    if not _is_text(array.type.value_type if is_list else array.type):
        return None
    return pl.Series(values=pl.from_arrow(array))


def values_at(batch: RowBatch, path: Path) -> list[Any]:
    """Returns the values at a path as Python objects."""
    if isinstance(batch.rows, list):
        return [value_at(row, path) for row in batch.rows]
    array = _array_at(batch, path)
    if array is not None:
        return array.to_pylist()
    name, rest = path[0], path[1:]
    return [value_at({"": value}, ("", *rest)) for value in batch.rows.column(name).to_pylist()]


def all_texts(values: Sequence[Any]) -> bool:
    """Whether every value is a text or missing."""
    return all(value is None or isinstance(value, str) for value in values)


def _array_at(batch: RowBatch, path: Path) -> pa.Array | None:
    if isinstance(batch.rows, list):
        return None
    array = batch.rows.column(path[0])
    for step in path[1:]:
        if not pat.is_struct(array.type) or array.type.get_field_index(step) < 0:
            return None
        # Flattening carries the nulls of the struct down to its fields.
        array = array.flatten()[array.type.get_field_index(step)]
    return array


def _is_text(kind: pa.DataType) -> bool:
    return pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind)
