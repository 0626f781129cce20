"""Checkpoints: which packed tables each was trained on, its parents, and the documents it saw.

A checkpoint names in its facts the packed table and the data version it read. When the table has
been replaced since, the version it saw is opened by time travel; when even that is gone, the
checkpoint is reported as one that cannot be shown to be clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.where import any_of, segment_documents


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
    """That a checkpoint saw some of the documents asked for, itself or through its parents."""

    asset: str
    data_version: str
    num_sequences: int
    """Packed sequences that hold one of the documents; 0 when the training data is gone."""
    through: tuple[str, ...]
    """The checkpoints, the asset itself included, whose training data held them."""
    certain: bool
    """False when the packed rows it was trained on can no longer be read."""


def checkpoints(lake: Lake) -> tuple[Checkpoint, ...]:
    """Returns the checkpoints that the lake holds now, sorted by asset key."""
    found = []
    for asset in tables_under(lake, "model"):
        state = lake.state(asset)
        facts = ArtifactStore(lake).facts(asset)
        found.append(
            Checkpoint(
                asset=asset,
                data_version="" if state is None else state.data_version,
                packed_table=facts.get("packed_table"),
                packed_data_version=facts.get("packed_data_version"),
                parent=facts.get("parent"),
                facts=facts,
            )
        )
    return tuple(found)


def exposures(lake: Lake, ids: pl.Series) -> tuple[Exposure, ...]:
    """Returns the checkpoints that saw any of `ids` (a string series), or may have."""
    if ids.is_empty():
        return ()
    known = {checkpoint.asset: checkpoint for checkpoint in checkpoints(lake)}
    own = {asset: _sequences_seen(lake, checkpoint, ids) for asset, checkpoint in known.items()}
    found = []
    for asset, checkpoint in known.items():
        line, missing_parent = _ancestry(asset, known)
        counts = [own[name] for name in line]
        through = tuple(name for name in line if own[name])
        certain = not missing_parent and all(count is not None for count in counts)
        if through or not certain:
            found.append(
                Exposure(
                    asset=asset,
                    data_version=checkpoint.data_version,
                    num_sequences=sum(count or 0 for count in counts),
                    through=through,
                    certain=certain,
                )
            )
    return tuple(found)


def _ancestry(asset: str, known: Mapping[str, Checkpoint]) -> tuple[list[str], bool]:
    line: list[str] = []
    current: str | None = asset
    while current is not None and current not in line:
        if current not in known:
            return line, True
        line.append(current)
        current = known[current].parent
    return line, False


def _sequences_seen(lake: Lake, checkpoint: Checkpoint, ids: pl.Series) -> int | None:
    if checkpoint.packed_table is None or not lake.exists(checkpoint.packed_table):
        return None
    rows = packed_rows(lake, checkpoint)
    if rows is None:
        return None
    counted = rows.filter(any_of(segment_documents(), ids)).select(pl.len())
    return int(counted.collect(engine="streaming").item())


def packed_rows(lake: Lake, checkpoint: Checkpoint) -> pl.LazyFrame | None:
    """Opens the packed rows a checkpoint was trained on, or None when they are gone."""
    table = checkpoint.packed_table
    if table is None or not lake.exists(table):
        return None
    state = lake.state(table)
    wanted = checkpoint.packed_data_version
    if state is not None and wanted in {None, state.data_version}:
        return lake.scan(table)
    version = lake.version_of(table, str(wanted))
    return None if version is None else lake.scan(table, version=version)
