"""Commits of rows and of files to a local table, written as Delta's protocol describes them.

The `deltalake` package reads deletion vectors and keeps them, but has no call that commits one, and
takes 10 ms to commit a file to a table of 1,000. So this writes the entry of the log itself: a file
linked to its name, which fails when another writer has taken that version. On object stores there
is no such link here, and no such commit is made.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake.deletion_vectors import deletion_vector
from tritter_assets.lake.keyed_files import KeyChange, StoredFile

_FEATURE = "deletionVectors"
_ENABLED = "delta.enableDeletionVectors"
_COMMITS_PER_CHECKPOINT = 50
"""The checkpoints of three tables were 85 ms of an update of 0.3 s beside 1,000 shards."""
_NOTHING_GONE = np.zeros(0, dtype=np.int64)


def stored_files(opened: DeltaTable) -> list[StoredFile]:
    """Returns the data files of an unpartitioned table."""
    listed = pl.DataFrame(opened.get_add_actions(flatten=True))
    if listed.is_empty():
        return []
    gone = _gone_rows(opened) if takes_rows(opened) else {}
    files = []
    for row in listed.iter_rows(named=True):
        stats: dict[str, Any] = {"numRecords": row["num_records"]}
        if row.get("min.id") is not None:
            stats |= {"minValues": {"id": row["min.id"]}, "maxValues": {"id": row["max.id"]}}
        files.append(
            StoredFile(
                path=row["path"],
                size_bytes=row["size_bytes"],
                num_rows=row["num_records"],
                stats=json.dumps({**stats, "tightBounds": False}),
                gone=gone.get(row["path"], _NOTHING_GONE),
            )
        )
    return sorted(files, key=lambda file: file.path)


def takes_rows(opened: DeltaTable) -> bool:
    """True when a table may have deletion vectors."""
    return _FEATURE in (opened.protocol().reader_features or [])


def _gone_rows(opened: DeltaTable) -> dict[str, np.ndarray]:
    vectors = pl.DataFrame(opened.deletion_vectors().read_all())
    return {
        path.rpartition("/")[2]: np.flatnonzero(~living.to_numpy())
        for path, living in zip(vectors["filepath"], vectors["selection_vector"], strict=True)
    }


def delta_actions(change: KeyChange) -> list[AddAction | RemoveAction]:
    """Returns a change of whole files as `deltalake` commits it."""
    now = int(time.time() * 1000)
    removed = [RemoveAction(file.path, True, now, file.size_bytes, {}) for file in change.removed]
    return [*removed, *change.added]


def needs_row_commit(opened: DeltaTable, change: KeyChange) -> bool:
    """True when a change touches files that have, or get, a deletion vector."""
    return bool(change.reduced) or (takes_rows(opened) and bool(change.removed))


def commit_rows(
    folder: Path, opened: DeltaTable, change: KeyChange, transactions: Mapping[str, int]
) -> None:
    """Commits a change of rows on top of the version that was opened.

    Raises:
        LakeCorruption: another writer has committed in between.
    """
    now = int(time.time() * 1000)
    reduced = [file for file, _ in change.reduced]
    actions = [] if takes_rows(opened) else _enabling(opened)
    actions += [_remove(file, now) for file in (*change.removed, *reduced)]
    actions += [_add(file, gone, now) for file, gone in change.reduced]
    actions += [_added(added) for added in change.added]
    _commit(folder, opened, actions, transactions)


def commit_files(
    folder: Path,
    opened: DeltaTable,
    actions: Sequence[AddAction | RemoveAction],
    transactions: Mapping[str, int],
) -> None:
    """Commits whole files on top of the version that was opened.

    Raises:
        LakeCorruption: another writer has committed in between.
    """
    entries = [_removed(a) if isinstance(a, RemoveAction) else _added(a) for a in actions]
    _commit(folder, opened, entries, transactions)


def _commit(
    folder: Path,
    opened: DeltaTable,
    actions: Sequence[Mapping[str, Any]],
    transactions: Mapping[str, int],
) -> None:
    version = opened.version() + 1
    now = int(time.time() * 1000)
    info = {"timestamp": now, "operation": "WRITE", "operationParameters": {"mode": "Append"}}
    marks = [
        {"txn": {"appId": name, "version": value, "lastUpdated": now}}
        for name, value in transactions.items()
    ]
    _write_entry(folder / "_delta_log", version, [{"commitInfo": info}, *marks, *actions])
    if version % _COMMITS_PER_CHECKPOINT == 0:
        opened.update_incremental()
        opened.create_checkpoint()


def _write_entry(log: Path, version: int, actions: Sequence[Mapping[str, Any]]) -> None:
    unfinished = log / f"{uuid.uuid4()}.tmp"
    lines = (json.dumps(action, separators=(",", ":")) for action in actions)
    unfinished.write_text("\n".join(lines) + "\n")
    try:
        os.link(unfinished, log / f"{version:020d}.json")
    except FileExistsError:
        raise LakeCorruption(
            f"{log.parent}: another writer made version {version} while rows were being replaced; "
            "run one materialisation of a table at a time"
        ) from None
    finally:
        unfinished.unlink()


def _enabling(opened: DeltaTable) -> list[dict[str, Any]]:
    """Returns the actions after which a table may have deletion vectors."""
    protocol, metadata = opened.protocol(), opened.metadata()
    readers = {*(protocol.reader_features or []), _FEATURE}
    # What a table of an older protocol has without naming it.
    writers = {*(protocol.writer_features or ["appendOnly", "invariants"]), _FEATURE}
    return [
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": sorted(readers),
                "writerFeatures": sorted(writers),
            }
        },
        {
            "metaData": {
                "id": str(metadata.id),
                "format": {"provider": "parquet", "options": {}},
                "schemaString": opened.schema().to_json(),
                "partitionColumns": [],
                "configuration": {**metadata.configuration, _ENABLED: "true"},
                "createdTime": metadata.created_time,
            }
        },
    ]


def _added(file: AddAction) -> dict[str, Any]:
    action = {
        "path": file.path,
        "partitionValues": dict(file.partition_values),
        "size": file.size,
        "modificationTime": file.modification_time,
        "dataChange": True,
        "stats": file.stats,
    }
    return {"add": action}


def _removed(file: RemoveAction) -> dict[str, Any]:
    action = {
        "path": file.path,
        "deletionTimestamp": file.deletion_timestamp,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": dict(file.partition_values or {}),
        "size": file.size,
    }
    return {"remove": action}


def _remove(file: StoredFile, now: int) -> dict[str, Any]:
    action = {
        "path": file.path,
        "deletionTimestamp": now,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": file.size_bytes,
    }
    return {"remove": action | _vector(file.gone)}


def _add(file: StoredFile, gone: np.ndarray, now: int) -> dict[str, Any]:
    action = {
        "path": file.path,
        "partitionValues": {},
        "size": file.size_bytes,
        "modificationTime": now,
        "dataChange": True,
        "stats": file.stats,
    }
    return {"add": action | _vector(gone)}


def _vector(gone: np.ndarray) -> dict[str, Any]:
    """Names a vector by its rows: the same rows give the same name whenever they are encoded."""
    return {"deletionVector": deletion_vector(gone)} if len(gone) else {}
