"""What a document went into: mixes, packed sequences, checkpoints."""

from __future__ import annotations

from typing import Any

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.checkpoints import checkpoints, exposures, seen_documents
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.marks import marks

MAX_SEQUENCES = 20
"""Packed sequences listed per table; the count covers all of them."""


def mixes_of(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns the document's row in each mix."""
    columns = ("component", "epochs", "estimated_tokens", "license_concluded", "obligations")
    found = []
    for mix in tables_under(lake, "mix"):
        rows = lake.scan(mix).filter(pl.col("id") == doc_id).select("table", *columns)
        found.extend({"mix": mix, **row} for row in rows.collect().iter_rows(named=True))
    return found


def packed_of(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns, per packed table, how many sequences hold the document, and the first of them."""
    found = []
    for table in tables_under(lake, "packed"):
        segments = (
            lake.scan(table)
            .select("id", "position", "split", "segments")
            .explode("segments")
            .unnest("segments")
            .filter(pl.col("doc_id") == doc_id)
            .select(
                pl.col("id").alias("sequence"),
                "position",
                "split",
                "token_start",
                "token_end",
                "doc_token_start",
            )
            .sort("position", "split", "token_start")
            .collect(engine="streaming")
        )
        if not segments.is_empty():
            found.append(
                {
                    "table": table,
                    "num_sequences": segments["sequence"].n_unique(),
                    "num_tokens": int((segments["token_end"] - segments["token_start"]).sum()),
                    "sequences": segments.head(MAX_SEQUENCES).to_dicts(),
                }
            )
    return found


def checkpoints_of(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns the checkpoints that read the document, or may have."""
    status = {(m["asset"], m["data_version"]): m["status"] for m in marks(lake).to_dicts()}
    found: list[dict[str, Any]] = []
    unlisted: list[str] = []
    for checkpoint in checkpoints(lake):
        known = {"asset": checkpoint.asset, "data_version": checkpoint.data_version}
        mark = status.get((checkpoint.asset, checkpoint.data_version), "clean")
        seen = seen_documents(lake, checkpoint.asset)
        if seen is None:
            unlisted.append(checkpoint.asset)
            continue
        rows = seen.filter(pl.col("doc_id") == doc_id).sort("phase")
        found.extend(
            {**known, **row, "status": mark}
            for row in rows.select("phase", "times", "tokens").iter_rows(named=True)
        )
    if unlisted:
        # Without a list of what it read, a checkpoint is judged by the table it was trained on.
        for exposure in exposures(lake, pl.Series([doc_id])):
            if exposure.asset in unlisted:
                saw = "yes, " + ", ".join(exposure.through) if exposure.through else "unknown"
                found.append(
                    {
                        "asset": exposure.asset,
                        "data_version": exposure.data_version,
                        "saw_it": saw,
                        "status": status.get((exposure.asset, exposure.data_version), "clean"),
                    }
                )
    return sorted(found, key=lambda one: one["asset"])
