"""Explains a checkpoint: what it and its ancestors read, under which licences, and its marks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.checkpoints import Checkpoint, checkpoints, seen_documents
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.marks import marks

NOT_STORED = "not stored any more"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointExplanation:
    """Everything the lake knows of one checkpoint."""

    subject: str
    checkpoint: dict[str, Any]
    """Asset, data version, phase, parent, steps, losses, recipe."""
    trained_on: list[dict[str, Any]]
    """It and its ancestors, newest first: the packed table each read, and whether that still is the
    table's version."""
    sources: list[dict[str, Any]]
    """Phase and source -> documents and tokens read; empty when the checkpoint does not say."""
    licences: list[dict[str, Any]]
    """Concluded licence, as the rows say today -> documents and tokens read."""
    obligations: list[str]
    """Those of the mixes' rows it read, joined."""
    removals: list[dict[str, Any]]
    """Marks: it saw documents that were removed afterwards."""

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, ready for JSON."""
        return asdict(self)


def explain_checkpoint(lake: Lake, subject: str, asset: str) -> CheckpointExplanation:
    """Explains a checkpoint that `find_subject` found."""
    known = {checkpoint.asset: checkpoint for checkpoint in checkpoints(lake)}
    own = known[asset]
    facts = {key: value for key, value in own.facts.items() if not key.startswith("packed_")}
    seen = seen_documents(lake, asset)
    mine = (pl.col("asset") == asset) & (pl.col("data_version") == own.data_version)
    return CheckpointExplanation(
        subject=subject,
        checkpoint={"asset": asset, "data_version": own.data_version, **facts},
        trained_on=[_trained_on(lake, known.get(name), name) for name in _line(own, known)],
        sources=[] if seen is None else _by(seen, "phase", "source"),
        licences=[] if seen is None else _by(_with_licences(lake, seen), "license_concluded"),
        obligations=[] if seen is None else _obligations(lake, seen),
        removals=marks(lake).filter(mine).drop("asset", "data_version").to_dicts(),
    )


def _line(own: Checkpoint, known: dict[str, Checkpoint]) -> list[str]:
    line: list[str] = []
    name: str | None = own.asset
    while name is not None and name not in line:
        line.append(name)
        name = known[name].parent if name in known else None
    return line


def _trained_on(lake: Lake, checkpoint: Checkpoint | None, name: str) -> dict[str, Any]:
    if checkpoint is None:
        return {"asset": name, "packed_table": None, "is_current": None}
    table = checkpoint.packed_table
    state = lake.state(table) if table is not None else None
    return {
        "asset": name,
        "packed_table": table,
        "packed_data_version": checkpoint.packed_data_version,
        "is_current": state is not None and state.data_version == checkpoint.packed_data_version,
    }


def _by(seen: pl.DataFrame, *keys: str) -> list[dict[str, Any]]:
    grouped = seen.group_by(keys).agg(
        documents=pl.col("doc_id").n_unique(), tokens=pl.col("tokens").sum()
    )
    return grouped.sort(pl.col("tokens"), *keys, descending=[True, *[False] * len(keys)]).to_dicts()


def _with_licences(lake: Lake, seen: pl.DataFrame) -> pl.DataFrame:
    frames = [pl.DataFrame(schema={"id": pl.String, "license_concluded": pl.String})]
    for (table,), rows in seen.partition_by("table", as_dict=True).items():
        if lake.exists(str(table)):
            wanted = rows["doc_id"].unique().implode()
            stored = lake.scan(str(table)).filter(pl.col("id").is_in(wanted))
            frames.append(stored.select("id", "license_concluded").collect())
    known = pl.concat(frames).unique("id", keep="first").rename({"id": "doc_id"})
    return seen.join(known, on="doc_id", how="left").with_columns(
        pl.col("license_concluded").fill_null(NOT_STORED)
    )


def _obligations(lake: Lake, seen: pl.DataFrame) -> list[str]:
    ids = seen["doc_id"].unique().implode()
    found: set[str] = set()
    for mix in tables_under(lake, "mix"):
        rows = lake.scan(mix).filter(pl.col("id").is_in(ids)).select("obligations").collect()
        found.update(rows["obligations"].explode().drop_nulls())
    return sorted(found)
