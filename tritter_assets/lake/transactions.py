"""All application transactions of a Delta table, read from its log at once.

`DeltaTable.transaction_version` walks every transaction for one name: 1.3 ms in a table of 1,000
partitions, 4 s for the states of them all. The newest checkpoint and the commits after it hold
the same, and are read in 10 ms.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq

_LOG = "_delta_log"


def application_transactions(
    filesystem: Any, version: int, known: tuple[int, dict[str, int]] | None = None
) -> dict[str, int] | None:
    """Returns application id to version as of a table version.

    From those of an earlier version of the same table, when they are `known`.

    None when the log is not of the plain kind (a newer checkpoint, one in parts, a gap left by a
    clean-up in progress): ask `DeltaTable.transaction_version` for each name then.
    """
    try:
        if known is not None:
            found = dict(known[1])
            return _read_commits(filesystem, range(known[0] + 1, version + 1), found)
        return _read(filesystem, version)
    except (FileNotFoundError, KeyError):
        return None


def _read(filesystem: Any, version: int) -> dict[str, int] | None:
    found: dict[str, int] = {}
    first = 0
    checkpoint = _last_checkpoint(filesystem)
    if checkpoint is not None:
        number = int(checkpoint["version"])
        if number > version or checkpoint.get("parts"):
            return None
        path = f"{_LOG}/{number:020d}.checkpoint.parquet"
        with filesystem.open_input_file(path) as file:
            column = pq.ParquetFile(file).read(columns=["txn"]).column("txn")
        for row in column.drop_null().to_pylist():
            if row["appId"] is not None:
                found[row["appId"]] = int(row["version"])
        first = number + 1
    return _read_commits(filesystem, range(first, version + 1), found)


def _read_commits(filesystem: Any, versions: range, found: dict[str, int]) -> dict[str, int]:
    for number in versions:
        with filesystem.open_input_stream(f"{_LOG}/{number:020d}.json") as stream:
            text = stream.read().decode()
        for line in text.splitlines():
            if line.startswith('{"txn"'):
                transaction = json.loads(line)["txn"]
                found[transaction["appId"]] = int(transaction["version"])
    return found


def _last_checkpoint(filesystem: Any) -> dict[str, Any] | None:
    try:
        with filesystem.open_input_stream(f"{_LOG}/_last_checkpoint") as stream:
            return json.loads(stream.read())
    except FileNotFoundError:
        return None
