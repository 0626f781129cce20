"""Writes the Parquet files of one partition; nothing here is visible until a commit names them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from tritter_assets.errors import ContractViolation

ROW_GROUP_BYTES = 32 << 20
"""Uncompressed bytes gathered before a row group is written. The writer holds two such groups at
most: one that fills while the other is compressed."""

_PAGE_ROWS = 256
"""Rows encoded before a page may end. With 1,024 documents a page is 13 MB, leaves the processor's
cache, and writing took 0.2 s of CPU more for 260 MB of code."""

FILE_BYTES = 256 << 20
"""Compressed bytes after which a new data file is begun."""


class PartitionWriter:
    """Gathers batches into row groups and row groups into Parquet files of one partition.

    Full groups are compressed by a thread of their own while the next is gathered; a partition of
    one group starts none.
    """

    def __init__(
        self, filesystem: Any, schema: pa.Schema, partition: Mapping[str, str], table: str
    ) -> None:
        self._filesystem = filesystem
        self._schema = schema
        self._partition = dict(partition)
        self._table = table
        self._stored = pa.schema([f for f in schema if f.name not in partition])
        self._folder = "/".join(f"{c}={v}" for c, v in partition.items())
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._sink: Any = None
        self._writer: pq.ParquetWriter | None = None
        self._path = ""
        self._file_rows = 0
        self._ids: tuple[str, str] | None = None
        self._actions: list[AddAction] = []
        self._compressor: ThreadPoolExecutor | None = None
        self._compressing: Future[None] | None = None

    def conform(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Casts a batch to the schema and checks its partition values."""
        missing = [name for name in self._schema.names if name not in batch.schema.names]
        if missing:
            raise ContractViolation(f"{self._table}: rows lack the columns {missing}")
        try:
            cast = pa.Table.from_batches([batch]).select(self._schema.names).cast(self._schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise ContractViolation(f"{self._table}: rows do not fit the schema: {error}") from None
        for field in self._schema:
            if not field.nullable and cast.column(field.name).null_count:
                raise ContractViolation(
                    f"{self._table}: column {field.name!r} is required and holds a null"
                )
        for column, value in self._partition.items():
            found = cast.column(column).unique().to_pylist()
            if found not in ([value], []):
                raise ContractViolation(
                    f"{self._table}: rows of partition {column}={value!r} carry {found[:3]}"
                )
        yield from cast.combine_chunks().to_batches()

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a conformed batch; writes a row group when enough is gathered."""
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= ROW_GROUP_BYTES:
            rows = self._take_pending()
            self._settle()
            if self._compressor is None:
                self._compressor = ThreadPoolExecutor(1, thread_name_prefix="row-group")
            self._compressing = self._compressor.submit(self._write_group, rows)

    def _take_pending(self) -> pa.Table:
        rows = pa.Table.from_batches(self._pending).select(self._stored.names)
        self._pending, self._pending_bytes = [], 0
        return rows

    def _settle(self) -> None:
        """Waits for the group that is being compressed; its error is raised here."""
        compressing, self._compressing = self._compressing, None
        if compressing is not None:
            compressing.result()

    def _write_group(self, rows: pa.Table) -> None:
        if self._writer is None:
            name = f"part-{uuid.uuid4()}.parquet"
            self._path = f"{self._folder}/{name}" if self._folder else name
            if self._folder:
                self._filesystem.create_dir(self._folder, recursive=True)
            self._sink = self._filesystem.open_output_stream(self._path)
            # Least and greatest of texts prune nothing and cost a tenth of the writing; a
            # dictionary of values that are all different is given up after its first megabyte.
            small = [f.name for f in self._stored if not _is_large(f.type)]
            repeating = [leaf for f in self._stored if _repeats(f) for leaf in _leaves(f)]
            self._writer = pq.ParquetWriter(
                self._sink,
                self._stored,
                compression="zstd",
                compression_level=3,
                write_statistics=small,  # pyright: ignore[reportArgumentType]
                use_dictionary=repeating,  # pyright: ignore[reportArgumentType]
                write_batch_size=_PAGE_ROWS,
            )
        self._writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
        self._file_rows += rows.num_rows
        if "id" in rows.schema.names:
            bounds = pl.Series(rows.column("id"))
            low, high = str(bounds.min()), str(bounds.max())
            old = self._ids
            self._ids = (low, high) if old is None else (min(old[0], low), max(old[1], high))
        if self._sink.tell() >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        size_bytes = self._sink.tell()
        self._sink.close()
        stats: dict[str, Any] = {"numRecords": self._file_rows}
        if self._ids is not None:
            stats |= {"minValues": {"id": self._ids[0]}, "maxValues": {"id": self._ids[1]}}
        self._actions.append(
            AddAction(
                path=self._path,
                size=size_bytes,
                partition_values=self._partition,
                modification_time=int(time.time() * 1000),
                data_change=True,
                stats=json.dumps(stats),
            )
        )
        self._writer, self._sink, self._file_rows, self._ids = None, None, 0, None

    def finish(self) -> list[AddAction]:
        """Writes what is pending and returns the files for the commit."""
        self._settle()
        if self._pending:
            self._write_group(self._take_pending())
        self._close_file()
        self._end_thread()
        return self._actions

    def _end_thread(self) -> None:
        if self._compressor is not None:
            self._compressor.shutdown()

    def abandon(self) -> None:
        """Removes files of a write that will not be committed."""
        self._end_thread()  # whatever became of the last group, its file goes
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._filesystem.delete_file(self._path)
        for action in self._actions:
            self._filesystem.delete_file(action.path)


def _is_large(kind: pa.DataType) -> bool:
    return pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)


def _repeats(field: pa.Field) -> bool:
    return not _is_large(field.type) and field.name not in _ALL_DIFFERENT


_ALL_DIFFERENT = ("id", "content_sha256", "path")


def _leaves(field: pa.Field, above: str = "") -> list[str]:
    """Paths of the Parquet columns of a field."""
    path, kind = f"{above}{field.name}", field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _leaves(pa.field("element", kind.value_type), f"{path}.list.")
    if pa.types.is_struct(kind):
        return [leaf for inner in kind for leaf in _leaves(inner, f"{path}.")]
    return [path]
