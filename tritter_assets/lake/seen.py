"""Tables as this process last saw them, read again only when their log has grown.

Opening a Delta table reads its log: 6 ms for one of 100 partitions, and the states of 1,000 shards
in ten such tables 0.1 s, asked for three times in an update of the indexes. Whether a table is
still what was seen takes a look at two names of its log: its newest commit, and the one that
would follow.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.states import TableStates

_TABLES_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Mark:
    """The newest commit that was there, and what its file looked like."""

    version: int
    size: int
    written_ns: int


_lock = threading.Lock()
_seen: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], tuple[_Mark, TableStates]] = (
    OrderedDict()
)


def see_table(location: LakeLocation, table: str) -> TableStates | None:
    """Returns the newest state of a table, or None when it does not exist."""
    options = dict(location.storage_options) or None
    key = _key(location, table)
    with _lock:
        held = _seen.get(key)
    if held is None and not DeltaTable.is_deltatable(key[0], options):
        return None
    filesystem = location.filesystem(table)
    if held is not None:
        mark, grown = _look(filesystem, held[0].version)
        if mark == held[0] and not grown:
            return held[1]
    try:
        opened = DeltaTable(key[0], storage_options=options)
    except TableNotFoundError:
        with _lock:
            _seen.pop(key, None)
        return None
    return _remember(location, table, opened, None)


@contextmanager
def table_to_commit(location: LakeLocation, table: str) -> Iterator[tuple[DeltaTable, TableStates]]:
    """Gives a table at its newest version, with its states, to commit through once.

    Whoever has the same states goes on with them; after the block the table is seen as committed.
    """
    key, filesystem = _key(location, table), location.filesystem(table)
    with _lock:
        held = _seen.pop(key, None)
    opened, before = None, None
    if held is not None:
        mark, grown = _look(filesystem, held[0].version)
        if mark == held[0] and not grown:
            opened, before = held[1].release(), held[1]
    if opened is None or before is None:
        opened = DeltaTable(key[0], storage_options=dict(location.storage_options) or None)
        before = TableStates(opened, table, filesystem)
    yield opened, before
    opened.update_incremental()
    _remember(location, table, opened, before)


def _remember(
    location: LakeLocation, table: str, opened: DeltaTable, before: TableStates | None
) -> TableStates:
    key, filesystem = _key(location, table), location.filesystem(table)
    mark, grown = _look(filesystem, opened.version())
    states = TableStates(opened, table, filesystem, before)
    if mark is not None and not grown:
        with _lock:
            _seen[key] = (mark, states)
            _seen.move_to_end(key)
            if len(_seen) > _TABLES_KEPT:
                _seen.popitem(last=False)
    return states


def _key(location: LakeLocation, table: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return location.uri(table), tuple(sorted(location.storage_options.items()))


def _look(filesystem: Any, version: int) -> tuple[_Mark | None, bool]:
    """Returns what the commit of a version looks like now, and whether another follows it."""
    names = [f"_delta_log/{number:020d}.json" for number in (version, version + 1)]
    here, following = filesystem.get_file_info(names)
    is_there = here.type == pafs.FileType.File
    mark = _Mark(version, here.size, here.mtime_ns) if is_there else None
    return mark, following.type != pafs.FileType.NotFound
