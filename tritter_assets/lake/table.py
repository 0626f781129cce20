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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from tritter_assets.errors import ContractViolation, LakeCorruption
from tritter_assets.lake.fingerprint import (
    ContentHash,
    from_transaction_version,
    to_transaction_version,
)
from tritter_assets.lake.keyed_files import MAX_GARBAGE, KeyChange, KeyedFiles
from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.partition_writer import PartitionWriter
from tritter_assets.lake.row_commits import (
    commit_rows,
    delta_actions,
    needs_row_commit,
    stored_files,
)
from tritter_assets.lake.seen import see_table, table_to_commit
from tritter_assets.lake.states import PartitionState, TableStates, application_id

if TYPE_CHECKING:
    import pyarrow.dataset as pads

_PARTITION_VALUE = re.compile(r"[A-Za-z0-9_.\-]+")
NO_PARTITION: Mapping[str, str] = {}
_COMMIT_ATTEMPTS = 8
_SUMS = ("table#sum0", "table#sum1")
_SIGNED = 1 << 63
"""Delta keeps signed numbers; the sums of a content hash have 64 bits and no sign."""

READ_BATCH_ROWS = 1024
"""Rows per batch when reading; at the corpus median of 5 KB a row that is 5 MB."""


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

    # -- writing ---------------------------------------------------------------------------------

    def write(
        self,
        table: str,
        rows: pa.Table | Iterable[pa.RecordBatch],
        schema: pa.Schema,
        *,
        fingerprint: str,
        partition: Mapping[str, str] = NO_PARTITION,
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
        writer = PartitionWriter(filesystem, schema, partition, table)
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
        properties = CommitProperties(
            custom_metadata={
                "tritter": json.dumps(dict(commit_metadata or {}), default=str),
                "partition": json.dumps(dict(partition)),
            },
            app_transactions=_for_commit(_transactions(partition, fingerprint, content)),
        )
        self._commit(table, actions, schema, partition, properties)
        state = self.state(table, partition)
        if state is None or state.data_version != data_version:
            raise LakeCorruption(
                f"{table} {dict(partition)}: another writer replaced this partition while it was "
                "being written; run one materialisation of a partition at a time"
            )
        return state

    def write_partitions(
        self,
        table: str,
        partitions: Iterable[tuple[Mapping[str, str], pa.Table, str]],
        schema: pa.Schema,
        *,
        partition_by: Sequence[str],
    ) -> None:
        """Replaces several partitions of a table, all in one commit.

        Args:
            table: Name of the table.
            partitions: The partition, its rows and their fingerprint; no partition twice.
            schema: The full schema, partition columns included.
            partition_by: The partition columns.

        Raises:
            ContractViolation: rows do not fit the schema, or carry other partition values.
        """
        self._create(table, schema, list(partition_by))
        filesystem = self.location.filesystem(table)
        with table_to_commit(self.location, table) as (opened, seen):
            held = seen.files_by_partition()
            actions: list[AddAction | RemoveAction] = []
            transactions: dict[str, int] = {}
            for partition, rows, fingerprint in partitions:
                self._check_partition(partition)
                content = ContentHash()
                writer = PartitionWriter(filesystem, schema, partition, table)
                for batch in rows.to_batches():
                    for conformed in writer.conform(batch):
                        content.update(conformed)
                        writer.add(conformed)
                place = tuple(partition[column] for column in partition_by)
                now = int(time.time() * 1000)
                actions += [
                    RemoveAction(path, True, now, size, dict(partition))
                    for path, size in held.get(place, [])
                ]
                actions += writer.finish()
                transactions |= _transactions(partition, fingerprint, content)
            if transactions:
                opened.create_write_transaction(
                    actions,
                    "append",
                    schema,
                    partition_by=list(partition_by),
                    commit_properties=CommitProperties(app_transactions=_for_commit(transactions)),
                )

    def replace_keys(
        self,
        table: str,
        rows: pl.DataFrame,
        schema: pa.Schema,
        *,
        order: Sequence[str],
        dropped: pl.Series | None,
        fingerprint: str,
    ) -> KeyChange:
        """Replaces the rows of some keys of an unpartitioned table, in one commit.

        Rows go by deletion vectors where the lake is a folder, by writing their files again
        elsewhere (`keyed_files.py`). The data version is that of `write` with the same rows.

        Args:
            table: Name of the table; after the first time, this method alone may write it.
            rows: The rows that come, all rows of each key.
            schema: The full schema.
            order: Columns that the rows of a file are sorted by; the first, a string, is the key.
            dropped: Keys whose rows go; None replaces the whole table.
            fingerprint: As for `write`.

        Raises:
            ContractViolation: rows do not fit the schema.
            LakeCorruption: keys are to be replaced in a table that `write` wrote.
        """
        self._create(table, schema, [])
        with table_to_commit(self.location, table) as (opened, seen):
            files = KeyedFiles(
                self.location.filesystem(table),
                table,
                schema,
                order=order,
                files=stored_files(opened),
                places=self.location.cache_folder(table) / "keys",
                max_garbage=MAX_GARBAGE if self.location.is_local else 0.0,
            )
            if dropped is None:
                change = files.replace_all(rows)
            else:
                change = files.replace_keys(dropped, rows, _stored_content(seen, table))
            transactions = _transactions(NO_PARTITION, fingerprint, change.content)
            transactions |= {
                name: total - _SIGNED
                for name, total in zip(_SUMS, change.content.sums, strict=True)
            }
            if needs_row_commit(opened, change):
                commit_rows(Path(self.location.uri(table)), opened, change, transactions)
            else:
                properties = CommitProperties(app_transactions=_for_commit(transactions))
                opened.create_write_transaction(
                    delta_actions(change), "append", schema, commit_properties=properties
                )
        return change

    def is_written_by_key(self, table: str) -> bool:
        """True when `replace_keys` can replace single keys of a table."""
        seen = self._see(table)
        try:
            return seen is not None and _stored_content(seen, table) is not None
        except LakeCorruption:
            return False

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
                with table_to_commit(self.location, table) as (opened, _):
                    opened.create_write_transaction(
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
        seen = self._see(table)
        if seen is not None:
            stored = seen.partition_columns
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
            configuration={
                "delta.dataSkippingNumIndexedCols": "1",
                # What an opening reads: a checkpoint of 1,000 partitions takes 4 ms to write,
                # 100 commits after it 4 ms to read, each time.
                "delta.checkpointInterval": "20",
            },
        )

    # -- state -----------------------------------------------------------------------------------

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        return DeltaTable(self.location.uri(table), version=version, storage_options=self._options)

    def _see(self, table: str) -> TableStates | None:
        return see_table(self.location, table)

    def exists(self, table: str) -> bool:
        """True when the table was created, even if it holds no rows."""
        return self._see(table) is not None

    def state(
        self, table: str, partition: Mapping[str, str] = NO_PARTITION
    ) -> PartitionState | None:
        """Returns the state of a partition, or None when it was never written."""
        seen = self._see(table)
        return None if seen is None else seen.of(partition)

    def states(self, table: str) -> list[PartitionState]:
        """Returns the state of every partition that holds files; the log is read once."""
        return list(self.states_by_values(table).values())

    def states_by_values(self, table: str) -> Mapping[tuple[str, ...], PartitionState]:
        """Returns what `states` does, by partition values."""
        seen = self._see(table)
        return {} if seen is None else seen.by_values

    def fingerprints(self, table: str) -> dict[tuple[str, ...], str]:
        """Returns the fingerprint of every partition that holds files, by partition values."""
        seen = self._see(table)
        return {} if seen is None else seen.fingerprints()

    def is_fresh(
        self, table: str, fingerprint: str, partition: Mapping[str, str] = NO_PARTITION
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
        partition: Mapping[str, str] = NO_PARTITION,
        *,
        limit: int = 200,
    ) -> int | None:
        """Returns the newest Delta version whose partition held `data_version`, if it is kept.

        Looks at the newest `limit` commits, one after the other (milliseconds each).
        """
        if not self.exists(table):
            return None
        prefix = application_id(partition)
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

    def files(self, table: str, column: str, values: Sequence[str]) -> list[tuple[str, str]]:
        """Returns the data files of some partitions: (partition value, path in the table's folder).

        Raises:
            LakeCorruption: the table does not exist.
        """
        self._must_exist(table)
        seen = self._see(table)
        if seen is None or seen.files.is_empty():
            return []
        of = pl.col(f"partition.{column}")
        return seen.files.filter(of.is_in(values)).select(of, "path").sort(pl.all()).rows()

    def batches(
        self,
        table: str,
        *,
        partition: Mapping[str, str] = NO_PARTITION,
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


def _transactions(
    partition: Mapping[str, str], fingerprint: str, content: ContentHash
) -> dict[str, int]:
    prefix = application_id(partition)
    return {
        f"{prefix}#fingerprint": to_transaction_version(fingerprint),
        f"{prefix}#data": to_transaction_version(content.data_version()),
        f"{prefix}#rows": content.num_rows,
    }


def _for_commit(transactions: Mapping[str, int]) -> list[Transaction]:
    return [Transaction(name, value) for name, value in transactions.items()]


def _stored_content(seen: TableStates, table: str) -> ContentHash:
    """Returns the content hash of a table that was written by key."""
    sums = [seen.transaction(name) for name in _SUMS]
    if sums[0] is None or sums[1] is None:
        raise LakeCorruption(
            f"{table} was not written by key: replace all of it before single keys"
        )
    content = ContentHash(
        seen.transaction("table#rows") or 0, (sums[0] + _SIGNED, sums[1] + _SIGNED)
    )
    stored = seen.transaction("table#data")
    if stored is None or from_transaction_version(stored) != content.data_version():
        raise LakeCorruption(
            f"{table} was written whole after it was written by key: replace all of it first"
        )
    return content
