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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from tritter_assets.errors import ContractViolation, LakeCorruption
from tritter_assets.lake.fingerprint import (
    ContentHash,
    from_transaction_version,
    to_transaction_version,
)
from tritter_assets.lake.keyed_files import MAX_GARBAGE, KeyChange, KeyedFiles
from tritter_assets.lake.partition_writer import PartitionWriter
from tritter_assets.lake.reading import NO_PARTITION, LakeReader
from tritter_assets.lake.row_commits import (
    commit_files,
    commit_rows,
    delta_actions,
    needs_row_commit,
    stored_files,
)
from tritter_assets.lake.seen import table_to_commit
from tritter_assets.lake.states import PartitionState, TableStates, application_id

_PARTITION_VALUE = re.compile(r"[A-Za-z0-9_.\-]+")
_COMMIT_ATTEMPTS = 8
_SUMS = ("table#sum0", "table#sum1")
_SIGNED = 1 << 63
"""Delta keeps signed numbers; the sums of a content hash have 64 bits and no sign."""


class Lake(LakeReader):
    """Reads and writes the tables under one root."""

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
            held: Mapping[tuple[str, ...], list[tuple[str, int]]] | None = None
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
                if held is None and seen.has_files(place):
                    held = seen.files_by_partition()
                actions += [
                    RemoveAction(path, True, now, size, dict(partition))
                    for path, size in (held or {}).get(place, [])
                ]
                actions += writer.finish()
                transactions |= _transactions(partition, fingerprint, content)
            if transactions:
                self._commit_files(table, opened, actions, schema, transactions)

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
                self._commit_files(table, opened, delta_actions(change), schema, transactions)
        return change

    def _commit_files(
        self,
        table: str,
        opened: DeltaTable,
        actions: Sequence[AddAction | RemoveAction],
        schema: pa.Schema,
        transactions: Mapping[str, int],
    ) -> None:
        if self.location.is_local:
            commit_files(Path(self.location.uri(table)), opened, actions, transactions)
            return
        opened.create_write_transaction(
            [*actions],
            "append",
            schema,
            partition_by=opened.metadata().partition_columns,
            commit_properties=CommitProperties(app_transactions=_for_commit(transactions)),
        )

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
