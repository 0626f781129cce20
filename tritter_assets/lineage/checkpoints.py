"""Checkpoints: what each was made from, and the documents it saw.

A checkpoint carries `seen_documents.parquet`: every document that it or an ancestor read, so the
answer outlives the packed tables. A checkpoint without that file (imported, or of another trainer)
is judged by its packed table, through time travel if the table has been replaced since; when that
is gone too, it is reported as one that cannot be shown to be clean.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.fs as pafs

from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.inventory import data_files, tables_under
from tritter_assets.lineage.where import any_of, segment_documents

SEEN_FILE = "seen_documents.parquet"
"""Columns phase, doc_id, table, source, shard, times, tokens; written by training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One stored model."""

    asset: str
    data_version: str
    packed_table: str | None
    packed_data_version: str | None
    parent: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """That a checkpoint saw some of the documents asked for, itself or through its ancestors."""

    asset: str
    data_version: str
    num_documents: int
    """Documents asked for that were read; 0 when what was read is not known."""
    num_tokens: int
    """Tokens of them that were read, repeats counted; 0 when only the packed table is known."""
    through: tuple[str, ...]
    """The checkpoints, the asset itself included, whose training read them."""
    certain: bool
    """False when it is not known what the checkpoint read."""


def checkpoints(lake: Lake) -> tuple[Checkpoint, ...]:
    """Returns the checkpoints that the lake holds now, sorted by asset key."""
    found = []
    for asset in tables_under(lake, "model"):
        state = lake.state(asset)
        if state is None:
            continue
        facts = ArtifactStore(lake).facts(asset)
        found.append(
            Checkpoint(
                asset=asset,
                data_version=state.data_version,
                packed_table=facts.get("packed_table"),
                packed_data_version=facts.get("packed_data_version"),
                parent=facts.get("parent"),
                facts=facts,
            )
        )
    return tuple(found)


def seen_documents(lake: Lake, asset: str) -> pl.DataFrame | None:
    """Returns what a checkpoint and its ancestors read, or None when it does not say.

    Columns phase, doc_id, table, source, shard, times, tokens.
    """
    if SEEN_FILE not in ArtifactStore(lake).list(asset):
        return None
    with tempfile.TemporaryDirectory(prefix="tritter-seen-") as folder:
        path = ArtifactStore(lake, cache=Path(folder)).open_local(asset, SEEN_FILE)
        return pl.read_parquet(path, memory_map=False)


def exposures(lake: Lake, ids: pl.Series) -> tuple[Exposure, ...]:
    """Returns the checkpoints that saw any of `ids` (a string series), or may have."""
    if ids.is_empty():
        return ()
    known = {checkpoint.asset: checkpoint for checkpoint in checkpoints(lake)}
    found = (_exposure(lake, checkpoint, known, ids) for checkpoint in known.values())
    return tuple(exposure for exposure in found if exposure is not None)


def _exposure(
    lake: Lake, checkpoint: Checkpoint, known: Mapping[str, Checkpoint], ids: pl.Series
) -> Exposure | None:
    seen = seen_documents(lake, checkpoint.asset)
    certain = True
    if seen is not None:
        hits = seen.filter(pl.col("doc_id").is_in(ids.implode()))
        documents, tokens = hits["doc_id"].n_unique(), int(hits["tokens"].sum())
        through = tuple(f"model/{phase}" for phase in sorted(hits["phase"].unique().to_list()))
    else:
        line, certain = _ancestry(checkpoint.asset, known)
        counts = {name: _documents_packed(lake, known[name], ids) for name in line}
        certain = certain and None not in counts.values()
        documents, tokens = max((count or 0 for count in counts.values()), default=0), 0
        through = tuple(sorted(name for name, count in counts.items() if count))
    if certain and not through:
        return None
    return Exposure(
        asset=checkpoint.asset,
        data_version=checkpoint.data_version,
        num_documents=documents,
        num_tokens=tokens,
        through=through,
        certain=certain,
    )


def _ancestry(asset: str, known: Mapping[str, Checkpoint]) -> tuple[list[str], bool]:
    """Returns the checkpoints from `asset` to its first ancestor, and whether none is missing."""
    line: list[str] = []
    current: str | None = asset
    while current is not None and current not in line:
        if current not in known:
            return line, False
        line.append(current)
        current = known[current].parent
    return line, True


def _documents_packed(lake: Lake, checkpoint: Checkpoint, ids: pl.Series) -> int | None:
    rows = packed_rows(lake, checkpoint)
    if rows is None:
        return None
    held = rows.filter(any_of(segment_documents(), ids)).select(segment_documents().explode())
    documents = held.collect(engine="streaming").to_series()
    return documents.filter(documents.is_in(ids.implode())).n_unique()


def packed_rows(lake: Lake, checkpoint: Checkpoint) -> pl.LazyFrame | None:
    """Opens the packed rows a checkpoint was trained on, or None when they are gone."""
    table = checkpoint.packed_table
    if table is None or not lake.exists(table):
        return None
    state = lake.state(table)
    wanted = checkpoint.packed_data_version
    if wanted is None:
        return None
    if state is not None and wanted == state.data_version:
        return lake.scan(table)
    version = lake.version_of(table, wanted)
    if version is None or not _are_kept(lake, table, version):
        return None
    return lake.scan(table, version=version)


def _are_kept(lake: Lake, table: str, version: int) -> bool:
    filesystem = lake.location.filesystem(table)
    infos = filesystem.get_file_info(data_files(lake, table, version))
    return all(info.type == pafs.FileType.File for info in infos)
