"""What a Delta table's log says of its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from deltalake import DeltaTable

from tritter_assets.lake.fingerprint import from_transaction_version


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
        opened: The table.
        table: Its name in the lake.
        transactions: All its application transactions; without them each is looked up.
    """

    def __init__(
        self, opened: DeltaTable, table: str, transactions: Mapping[str, int] | None = None
    ) -> None:
        self._opened = opened
        self._table = table
        self._transactions = transactions
        self._version = opened.version()
        self._columns = opened.metadata().partition_columns
        files = pl.DataFrame(opened.get_add_actions(flatten=True))
        names = [f"partition.{column}" for column in self._columns]
        if not names or files.is_empty():
            total = int(files["size_bytes"].sum() or 0) if not files.is_empty() else 0
            self._bytes: dict[tuple[str, ...], int] = {} if names else {(): total}
        else:
            sizes = files.group_by(names).agg(pl.col("size_bytes").sum()).sort(names)
            self._bytes = {row[:-1]: int(row[-1]) for row in sizes.iter_rows()}

    def all(self) -> list[PartitionState]:
        """Returns the state of every partition that holds files, ordered by partition."""
        states = (self.of(dict(zip(self._columns, key, strict=True))) for key in self._bytes)
        return [state for state in states if state is not None]

    def of(self, partition: Mapping[str, str]) -> PartitionState | None:
        """Returns the state of one partition, empty or not; None when it was never written."""
        prefix = application_id(partition)
        fingerprint = self._transaction(f"{prefix}#fingerprint")
        data = self._transaction(f"{prefix}#data")
        if fingerprint is None or data is None:
            return None
        key = tuple(partition.get(column, "") for column in self._columns)
        size_bytes = self._bytes.get(key, 0) if partition else sum(self._bytes.values())
        return PartitionState(
            table=self._table,
            partition=dict(partition),
            num_rows=self._transaction(f"{prefix}#rows") or 0,
            size_bytes=size_bytes,
            fingerprint=from_transaction_version(fingerprint),
            data_version=from_transaction_version(data),
            table_version=self._version,
        )

    def _transaction(self, name: str) -> int | None:
        if self._transactions is not None:
            return self._transactions.get(name)
        return self._opened.transaction_version(name)
