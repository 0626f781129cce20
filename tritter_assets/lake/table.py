"""Delta tables whose partitions are replaced whole, each in one atomic commit.

A commit carries the rows, the fingerprint of what they were made from, and their data version
(both as Delta application transactions). So a reader never sees rows without knowing whether they
are fresh, and a run killed before its commit leaves the table as it was: data files without a
commit are not part of the table, and writing again gives the same rows.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from tritter_assets.errors import ContractViolation, LakeCorruption
from tritter_assets.lake.fingerprint import (
    ContentHash,
    from_transaction_version,
    to_transaction_version,
)
from tritter_assets.lake.location import LakeLocation

if TYPE_CHECKING:
    import pyarrow.dataset as pads

_PARTITION_VALUE = re.compile(r"[A-Za-z0-9_.\-]+")
_NO_PARTITION: Mapping[str, str] = {}
_COMMIT_ATTEMPTS = 8

ROW_GROUP_BYTES = 32 << 20
"""Uncompressed bytes gathered before a row group is written: the writer's memory bound."""

FILE_BYTES = 256 << 20
"""Compressed bytes after which a new data file is begun."""

READ_BATCH_ROWS = 1024
"""Rows per batch when reading; at the corpus median of 5 KB a row that is 5 MB."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """What the lake knows of one partition of one table."""

    table: str
    partition: Mapping[str, str]
    num_rows: int
    size_bytes: int
    fingerprint: str
    data_version: str
    table_version: int


class Lake:
    """Reads and writes the tables under one root."""

    def __init__(self, location: LakeLocation) -> None:
        self.location = location

    @classmethod
    def at(cls, root: str | Path, storage_options: Mapping[str, str] | None = None) -> Lake:
        """Opens the lake at a folder or an `s3://` prefix."""
        return cls(LakeLocation(root=str(root), storage_options=storage_options or {}))

    @cached_property
    def _options(self) -> dict[str, str] | None:
        return dict(self.location.storage_options) or None

    def snapshot(self) -> LakeSnapshot:
        """Returns a view for planning, which opens each table once."""
        return LakeSnapshot(self.location)

    # -- writing ---------------------------------------------------------------------------------

    def write(
        self,
        table: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        schema: pa.Schema,
        *,
        fingerprint: str,
        partition: Mapping[str, str] = _NO_PARTITION,
        commit_metadata: Mapping[str, Any] | None = None,
    ) -> PartitionState:
        """Replaces one partition (or, without `partition`, the whole table) in one commit.

        Args:
            table: Name of the table, e.g. `raw/tiktoken`.
            rows: A table, or batches that are consumed one at a time; columns in any order.
            schema: The full schema, partition columns included. A table keeps the partition
                columns it was created with.
            fingerprint: 15 hex digits from `fingerprint_of`: what these rows are made from.
            partition: Column to value; every row must carry those values.
            commit_metadata: Kept in the commit for people who read the table's history.

        Raises:
            ContractViolation: rows do not fit the schema, or carry other partition values.
        """
        self._check_partition(partition)
        self._create(table, schema, list(partition))
        content = ContentHash()
        filesystem = self.location.filesystem(table)
        batches = cast("pa.Table", rows).to_batches() if isinstance(rows, pa.Table) else rows
        writer = _PartitionWriter(filesystem, schema, partition, table)
        try:
            for batch in batches:
                for conformed in writer.conform(batch):
                    content.update(conformed)
                    writer.add(conformed)
            actions = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        data_version = content.data_version()
        prefix = _application_id(partition)
        properties = CommitProperties(
            custom_metadata={
                "tritter": json.dumps(dict(commit_metadata or {}), default=str),
                "partition": json.dumps(dict(partition)),
            },
            app_transactions=[
                Transaction(f"{prefix}#fingerprint", to_transaction_version(fingerprint)),
                Transaction(f"{prefix}#data", to_transaction_version(data_version)),
                Transaction(f"{prefix}#rows", content.num_rows),
            ],
        )
        self._commit(table, actions, schema, partition, properties)
        state = self.state(table, partition)
        if state is None or state.data_version != data_version:
            raise LakeCorruption(
                f"{table} {dict(partition)}: another writer replaced this partition while it was "
                "being written; run one materialisation of a partition at a time"
            )
        return state

    def _commit(
        self,
        table: str,
        actions: list[AddAction],
        schema: pa.Schema,
        partition: Mapping[str, str],
        properties: CommitProperties,
    ) -> None:
        filters = [(column, "=", value) for column, value in partition.items()] or None
        for attempt in range(1, _COMMIT_ATTEMPTS + 1):
            try:
                self._open(table).create_write_transaction(
                    [*actions],
                    "overwrite",
                    schema,
                    partition_by=list(partition),
                    partition_filters=filters,
                    commit_properties=properties,
                )
                return
            except CommitFailedError:
                if attempt == _COMMIT_ATTEMPTS:
                    raise
                time.sleep(0.05 * 2**attempt)

    def _create(self, table: str, schema: pa.Schema, partition_by: list[str]) -> None:
        uri = self.location.uri(table)
        if DeltaTable.is_deltatable(uri, self._options):
            stored = self._open(table).metadata().partition_columns
            if stored != partition_by:
                raise ContractViolation(
                    f"table {table} is partitioned by {stored}, not by {partition_by}: "
                    "write it with the same partition columns, or delete the table first"
                )
            return
        if self.location.is_local:
            Path(uri).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(
            uri,
            schema,
            mode="ignore",
            partition_by=partition_by,
            storage_options=self._options,
            configuration={"delta.dataSkippingNumIndexedCols": "1"},
        )

    # -- state -----------------------------------------------------------------------------------

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        return DeltaTable(self.location.uri(table), version=version, storage_options=self._options)

    def exists(self, table: str) -> bool:
        """True when the table was created, even if it holds no rows."""
        return DeltaTable.is_deltatable(self.location.uri(table), self._options)

    def state(
        self, table: str, partition: Mapping[str, str] = _NO_PARTITION
    ) -> PartitionState | None:
        """Returns the state of a partition, or None when it was never written."""
        if not self.exists(table):
            return None
        return _state_of(self._open(table), table, partition)

    def states(self, table: str) -> list[PartitionState]:
        """Returns the state of every partition ever written, empty ones included."""
        if not self.exists(table):
            return []
        opened = self._open(table)
        columns = opened.metadata().partition_columns
        if not columns:
            state = _state_of(opened, table, {})
            return [] if state is None else [state]
        frame = pl.DataFrame(opened.get_add_actions(flatten=True))
        found: list[PartitionState] = []
        if frame.is_empty():
            return found
        names = [f"partition.{column}" for column in columns]
        for row in frame.select(names).unique().sort(names).iter_rows():
            state = _state_of(opened, table, dict(zip(columns, row, strict=True)), frame)
            if state is not None:
                found.append(state)
        return found

    def is_fresh(
        self, table: str, fingerprint: str, partition: Mapping[str, str] = _NO_PARTITION
    ) -> bool:
        """True when the partition was made from exactly what `fingerprint` stands for."""
        state = self.state(table, partition)
        return state is not None and state.fingerprint == fingerprint

    def table_version(self, table: str) -> int:
        """Returns the Delta version, for time travel."""
        return self._open(table).version()

    def version_of(
        self,
        table: str,
        data_version: str,
        partition: Mapping[str, str] = _NO_PARTITION,
        *,
        limit: int = 200,
    ) -> int | None:
        """Returns the newest Delta version whose partition held `data_version`, if it is kept.

        Looks at the newest `limit` commits, one after the other (milliseconds each).
        """
        if not self.exists(table):
            return None
        prefix = _application_id(partition)
        newest = self.table_version(table)
        for version in range(newest, max(newest - limit, -1), -1):
            try:
                found = self._open(table, version).transaction_version(f"{prefix}#data")
            except (DeltaError, FileNotFoundError):
                return None
            if found is not None and from_transaction_version(found) == data_version:
                return version
        return None

    def history(self, table: str, limit: int = 20) -> list[dict[str, Any]]:
        """Returns the newest commits of a table."""
        return self._open(table).history(limit)

    # -- reading ---------------------------------------------------------------------------------

    def scan(self, table: str, *, version: int | None = None) -> pl.LazyFrame:
        """Opens a table lazily in Polars; filters on partition columns prune files.

        Raises:
            LakeCorruption: the table does not exist; the message names the asset to materialise.
        """
        self._must_exist(table)
        return pl.scan_delta(
            self.location.uri(table), version=version, storage_options=self._options
        )

    def dataset(self, table: str, *, version: int | None = None) -> pads.Dataset:
        """Opens a table as an Arrow dataset, which DuckDB can query in place."""
        self._must_exist(table)
        return self._open(table, version).to_pyarrow_dataset()

    def batches(
        self,
        table: str,
        *,
        partition: Mapping[str, str] = _NO_PARTITION,
        columns: list[str] | None = None,
        batch_rows: int = READ_BATCH_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Streams a table's rows; memory is a few batches, whatever the partition holds."""
        import pyarrow.dataset as pads  # brings pandas where installed: 0.2 s of every load

        condition = None
        for column, value in partition.items():
            term = pads.field(column) == value
            condition = term if condition is None else condition & term
        scanner = self.dataset(table).scanner(
            columns=columns,
            filter=condition,
            batch_size=batch_rows,
            batch_readahead=1,
            fragment_readahead=1,
        )
        for batch in scanner.to_batches():
            if batch.num_rows:
                yield batch

    def _must_exist(self, table: str) -> None:
        if not self.exists(table):
            raise LakeCorruption(
                f"table {table!r} is not in the lake at {self.location.root}: "
                f"materialise the asset {table!r} first"
            )

    @staticmethod
    def _check_partition(partition: Mapping[str, str]) -> None:
        for column, value in partition.items():
            if not _PARTITION_VALUE.fullmatch(value):
                raise ContractViolation(
                    f"partition value {column}={value!r} may hold only letters, digits, "
                    "'_', '.' and '-'"
                )


class LakeSnapshot(Lake):
    """A lake seen once: every table is opened at most once and stays at that version.

    For planners, which ask for the same states many times; never for writing.
    """

    def __init__(self, location: LakeLocation) -> None:
        super().__init__(location)
        self._tables: dict[str, DeltaTable | None] = {}
        self._states: dict[tuple[str, tuple[tuple[str, str], ...]], PartitionState | None] = {}

    def exists(self, table: str) -> bool:
        """True when the table existed when it was first asked for."""
        if table not in self._tables:
            self._tables[table] = super()._open(table) if super().exists(table) else None
        return self._tables[table] is not None

    def state(
        self, table: str, partition: Mapping[str, str] = _NO_PARTITION
    ) -> PartitionState | None:
        """Returns the state of a partition when it was first asked for."""
        key = (table, tuple(sorted(partition.items())))
        if key not in self._states:
            self._states[key] = super().state(table, partition)
        return self._states[key]

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        if version is None and self.exists(table):
            found = self._tables[table]
            assert found is not None
            return found
        return super()._open(table, version)


def _application_id(partition: Mapping[str, str]) -> str:
    return "/".join(f"{column}={value}" for column, value in partition.items()) or "table"


def _state_of(
    opened: DeltaTable,
    table: str,
    partition: Mapping[str, str],
    actions: pl.DataFrame | None = None,
) -> PartitionState | None:
    prefix = _application_id(partition)
    fingerprint = opened.transaction_version(f"{prefix}#fingerprint")
    data = opened.transaction_version(f"{prefix}#data")
    if fingerprint is None or data is None:
        return None
    files = actions if actions is not None else pl.DataFrame(opened.get_add_actions(flatten=True))
    for column, value in partition.items():
        if not files.is_empty():
            files = files.filter(pl.col(f"partition.{column}") == value)
    size_bytes = int(files["size_bytes"].sum() or 0) if not files.is_empty() else 0
    return PartitionState(
        table=table,
        partition=dict(partition),
        num_rows=opened.transaction_version(f"{prefix}#rows") or 0,
        size_bytes=size_bytes,
        fingerprint=from_transaction_version(fingerprint),
        data_version=from_transaction_version(data),
        table_version=opened.version(),
    )


class _PartitionWriter:
    """Gathers batches into row groups and row groups into Parquet files of one partition."""

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
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = pa.Table.from_batches(self._pending).select(self._stored.names)
        self._pending, self._pending_bytes = [], 0
        if self._writer is None:
            name = f"part-{uuid.uuid4()}.parquet"
            self._path = f"{self._folder}/{name}" if self._folder else name
            if self._folder:
                self._filesystem.create_dir(self._folder, recursive=True)
            self._sink = self._filesystem.open_output_stream(self._path)
            self._writer = pq.ParquetWriter(
                self._sink, self._stored, compression="zstd", compression_level=3
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
        self._flush()
        self._close_file()
        return self._actions

    def abandon(self) -> None:
        """Removes files of a write that will not be committed."""
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._filesystem.delete_file(self._path)
        for action in self._actions:
            self._filesystem.delete_file(action.path)


__all__ = ["Lake", "PartitionState", "TableNotFoundError"]
