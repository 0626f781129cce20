"""Tables as this process last saw them, read again only when their log has grown.

Opening a Delta table reads its log: 6 ms for one of 100 partitions, and the states of 1,000 shards
in ten such tables 0.1 s, asked for three times in an update of the indexes. Whether a table is
still what was seen takes a look at two names of its log: its newest commit, and the one that
would follow.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
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
    options: Mapping[str, str] = location.storage_options
    key = (location.uri(table), tuple(sorted(options.items())))
    with _lock:
        held = _seen.get(key)
    if held is None and not DeltaTable.is_deltatable(key[0], dict(options) or None):
        return None
    filesystem = location.filesystem(table)
    if held is not None and held[0] == _newest(filesystem, held[0].version):
        return held[1]
    try:
        opened = DeltaTable(key[0], storage_options=dict(options) or None)
    except TableNotFoundError:
        with _lock:
            _seen.pop(key, None)
        return None
    mark = _newest(filesystem, opened.version())
    states = TableStates(opened, table, filesystem)
    if mark is not None:
        with _lock:
            _seen[key] = (mark, states)
            _seen.move_to_end(key)
            if len(_seen) > _TABLES_KEPT:
                _seen.popitem(last=False)
    return states


def _newest(filesystem: Any, version: int) -> _Mark | None:
    """Returns the mark of a version, or None when it is not the newest or not in the log."""
    names = [f"_delta_log/{number:020d}.json" for number in (version, version + 1)]
    here, following = filesystem.get_file_info(names)
    if here.type != pafs.FileType.File or following.type != pafs.FileType.NotFound:
        return None
    return _Mark(version, here.size, here.mtime_ns)
