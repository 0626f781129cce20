"""Which tables a lake holds, found in the lake itself, and how each kind leads to documents.

The catalogue says what should be there; a source that left the catalogue still has its rows in the
lake, and audits and removals must see them. So tables are listed from the store.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow.fs as pafs
from deltalake import DeltaTable

from tritter_assets.lake import Lake

PARTITION_COLUMNS: dict[str, tuple[str, ...]] = {
    "raw": ("shard",),
    "skipped": ("shard",),
    "license_texts": ("shard",),
    "verdicts": ("shard",),
    "filtered": ("shard",),
    "signatures": ("shard",),
    "functions": ("source", "shard"),
    "synthetic": ("source", "shard"),
    "mix": (),
    "packed": (),
    "dedup": (),
}
"""Stage -> partition columns of its tables, in the order data flows."""

DOCUMENT_STAGES = ("raw", "filtered", "functions", "synthetic")
"""Stages whose tables hold document rows."""


def tables_under(lake: Lake, stage: str) -> tuple[str, ...]:
    """Returns the tables `<stage>/<name>` that exist, sorted."""
    if lake.location.is_local and not Path(lake.location.uri(stage)).is_dir():
        return ()  # opening the folder would make it
    filesystem = lake.location.filesystem(stage)
    try:
        entries = filesystem.get_file_info(pafs.FileSelector("", recursive=False))
    except FileNotFoundError:
        return ()
    names = sorted(e.base_name for e in entries if e.type == pafs.FileType.Directory)
    return tuple(t for t in (f"{stage}/{name}" for name in names) if lake.exists(t))


def data_files(lake: Lake, table: str, version: int | None = None) -> list[str]:
    """Returns the data files of a version of a table, as paths in its folder, sorted.

    Those of an earlier version may have been purged.
    """
    options = dict(lake.location.storage_options) or None
    opened = DeltaTable(lake.location.uri(table), version=version, storage_options=options)
    listed = pl.DataFrame(opened.get_add_actions(flatten=True))
    return [] if listed.is_empty() else sorted(unquote(path) for path in listed["path"])


def stage_of(table: str) -> str:
    """Returns the stage of a table: its first path segment."""
    return table.split("/", 1)[0]


def phase_of_packed(table: str) -> str:
    """Returns the phase of `packed/<phase>_<context>`."""
    return table.removeprefix("packed/").rsplit("_", 1)[0]
