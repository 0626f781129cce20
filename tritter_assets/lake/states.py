"""What a Delta table's log says of its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from deltalake import DeltaTable

from tritter_assets.lake.fingerprint import from_transaction_version
from tritter_assets.lake.transactions import application_transactions

_LOOKED_UP = 4
"""States looked up one by one before all transactions are read at once."""


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


def application_id(partition: Mapping[str, str]) -> str:
    """Returns the prefix under which a partition's transactions are recorded."""
    return "/".join(f"{column}={value}" for column, value in partition.items()) or "table"


class TableStates:
    """The states of one table at one version.

    Args:
        opened: The table; nothing is committed through it.
        table: Its name in the lake.
        filesystem: Its folder.
        before: Its states at an earlier version, from which transactions are read on.
    """

    def __init__(
        self,
        opened: DeltaTable,
        table: str,
        filesystem: Any,
        before: TableStates | None = None,
    ) -> None:
        self._opened = opened
        self._table = table
        self._filesystem = filesystem
        self.version = opened.version()
        self.partition_columns = opened.metadata().partition_columns
        self.files = pl.DataFrame(opened.get_add_actions(flatten=True))
        """One row per data file: path, size_bytes, partition.<column>, ..."""
        self._of: dict[tuple[tuple[str, str], ...], PartitionState | None] = {}
        self._transactions: dict[str, int] | None = None
        self._known = None if before is None else before.known_transactions()
        names = [f"partition.{column}" for column in self.partition_columns]
        if not names or self.files.is_empty():
            total = 0 if self.files.is_empty() else int(self.files["size_bytes"].sum() or 0)
            self._bytes: dict[tuple[str, ...], int] = {} if names else {(): total}
        else:
            sizes = self.files.group_by(names).agg(pl.col("size_bytes").sum()).sort(names)
            self._bytes = {row[:-1]: int(row[-1]) for row in sizes.iter_rows()}

    @cached_property
    def by_values(self) -> Mapping[tuple[str, ...], PartitionState]:
        """The state of every partition that holds files, by its values, in their order."""
        self._read_transactions()
        columns = self.partition_columns
        states = {place: self.of(dict(zip(columns, place, strict=True))) for place in self._bytes}
        return {place: state for place, state in states.items() if state is not None}

    def has_files(self, place: tuple[str, ...]) -> bool:
        """True when a partition, by its values, holds files."""
        return place in self._bytes

    def files_by_partition(self) -> dict[tuple[str, ...], list[tuple[str, int]]]:
        """Returns path and size in bytes of every data file, by partition values."""
        found: dict[tuple[str, ...], list[tuple[str, int]]] = {}
        if not self.files.is_empty():
            names = [f"partition.{column}" for column in self.partition_columns]
            for path, size, *place in self.files.select("path", "size_bytes", *names).iter_rows():
                found.setdefault(tuple(place), []).append((path, size))
        return found

    def fingerprints(self) -> dict[tuple[str, ...], str]:
        """Returns the fingerprint of every partition that holds files, by its values."""
        self._read_transactions()
        name = application_id(dict.fromkeys(self.partition_columns, "{}")) + "#fingerprint"
        stored = {place: self.transaction(name.format(*place)) for place in self._bytes}
        return {
            place: from_transaction_version(version)
            for place, version in stored.items()
            if version is not None
        }

    def of(self, partition: Mapping[str, str]) -> PartitionState | None:
        """Returns the state of one partition, empty or not; None when it was never written."""
        key = tuple(partition.items())
        if key not in self._of:
            if not self.partition_columns or len(self._of) == _LOOKED_UP:
                self._read_transactions()
            self._of[key] = self._look_up(partition)
        return self._of[key]

    def release(self) -> DeltaTable | None:
        """Gives the table away, when all that may yet be asked of it is known without it."""
        self._read_transactions()
        return None if self._transactions is None else self._opened

    def known_transactions(self) -> tuple[int, dict[str, int]] | None:
        """Returns the version and its transactions, when they were read."""
        return None if self._transactions is None else (self.version, self._transactions)

    def transaction(self, name: str) -> int | None:
        """Returns the version of an application's last transaction."""
        if self._transactions is not None:
            return self._transactions.get(name)
        return self._opened.transaction_version(name)

    def _look_up(self, partition: Mapping[str, str]) -> PartitionState | None:
        prefix = application_id(partition)
        fingerprint = self.transaction(f"{prefix}#fingerprint")
        data = self.transaction(f"{prefix}#data")
        if fingerprint is None or data is None:
            return None
        place = tuple(partition.get(column, "") for column in self.partition_columns)
        size_bytes = self._bytes.get(place, 0) if partition else sum(self._bytes.values())
        return PartitionState(
            table=self._table,
            partition=dict(partition),
            num_rows=self.transaction(f"{prefix}#rows") or 0,
            size_bytes=size_bytes,
            fingerprint=from_transaction_version(fingerprint),
            data_version=from_transaction_version(data),
            table_version=self.version,
        )

    def _read_transactions(self) -> None:
        if self._transactions is None:
            self._transactions = application_transactions(
                self._filesystem, self.version, self._known
            )
