"""A lake seen once, for planning."""

from __future__ import annotations

from deltalake import DeltaTable

from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.states import TableStates
from tritter_assets.lake.table import Lake


class LakeSnapshot(Lake):
    """A lake seen once: every table is looked at once and stays at that version.

    For planners, which ask for the same states many times; never for writing.
    """

    def __init__(self, location: LakeLocation) -> None:
        super().__init__(location)
        self._tables: dict[str, TableStates | None] = {}

    def _see(self, table: str) -> TableStates | None:
        if table not in self._tables:
            self._tables[table] = super()._see(table)
        return self._tables[table]

    def _open(self, table: str, version: int | None = None) -> DeltaTable:
        seen = self._see(table)
        return super()._open(table, seen.version if version is None and seen else version)
