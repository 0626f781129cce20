"""A lake seen once, for planning."""

from __future__ import annotations

from collections.abc import Mapping

from deltalake import DeltaTable

from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.states import PartitionState, TableStates
from tritter_assets.lake.table import NO_PARTITION, Lake


class LakeSnapshot(Lake):
    """A lake seen once: every table is opened at most once and stays at that version.

    For planners, which ask for the same states many times; never for writing.
    """

    def __init__(self, location: LakeLocation) -> None:
        super().__init__(location)
        self._tables: dict[str, DeltaTable | None] = {}
        self._read: dict[str, TableStates] = {}

    def exists(self, table: str) -> bool:
        """True when the table existed when it was first asked for."""
        if table not in self._tables:
            self._tables[table] = super()._open(table) if super().exists(table) else None
        return self._tables[table] is not None

    def state(
        self, table: str, partition: Mapping[str, str] = NO_PARTITION
    ) -> PartitionState | None:
        """Returns the state of a partition when it was first asked for."""
        if not self.exists(table):
            return None
        return self._table_states(table).of(partition)

    def _table_states(self, table: str) -> TableStates:
        if table not in self._read:
            self._read[table] = super()._table_states(table)
        return self._read[table]

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        if version is None and self.exists(table):
            found = self._tables[table]
            assert found is not None
            return found
        return super()._open(table, version)
