"""Explains a packed sequence: whose text each run of its tokens is, and on what terms."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.lineage.checkpoints import checkpoints
from tritter_assets.lineage.document_facts import document_rows
from tritter_assets.lineage.inventory import phase_of_packed


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceExplanation:
    """Everything the lake knows of one packed sequence."""

    subject: str
    sequence: dict[str, Any]
    """Table, id, position, split, numbers of tokens, data version of the table."""
    documents: list[dict[str, Any]]
    """One entry per run of tokens, in order."""
    licences: list[dict[str, Any]] = field(default_factory=list)
    """Concluded licence -> tokens."""
    obligations: list[str] = field(default_factory=list)
    """Those of the mix's rows, joined."""
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    """Checkpoints trained on this version of the table."""

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, ready for JSON."""
        return asdict(self)


def explain_sequence(lake: Lake, subject: str, table: str, sequence: str) -> SequenceExplanation:
    """Explains the sequence of an id that `find_subject` found."""
    row = lake.scan(table).filter(pl.col("id") == sequence).collect().row(0, named=True)
    ids = pl.Series(sorted({segment["doc_id"] for segment in row["segments"]}), dtype=pl.String)
    stored = {
        (found["table"], found["id"]): found
        for found in document_rows(lake, pl.col("id").is_in(ids.implode()))
    }
    documents, licences = [], {}
    for segment in row["segments"]:
        found = stored.get((segment["table"], segment["doc_id"]), {})
        licence = found.get("license_concluded", "not stored any more: pack again")
        tokens = segment["token_end"] - segment["token_start"]
        licences[licence] = licences.get(licence, 0) + tokens
        facts = ("repo", "path", "revision", "url", "generator", "attribution")
        documents.append(
            {**segment, "license_concluded": licence, **{key: found.get(key) for key in facts}}
        )
    state = lake.state(table)
    version = state.data_version if state is not None else ""
    return SequenceExplanation(
        subject=subject,
        sequence={
            "table": table,
            "id": sequence,
            "position": row["position"],
            "split": row["split"],
            "num_tokens": len(row["tokens"]),
            "loss_tokens": sum(row["loss_mask"]),
            "rejected_tokens": len(row["rejected_tokens"] or ()),
            "data_version": version,
        },
        documents=documents,
        licences=[{"license": name, "tokens": n} for name, n in sorted(licences.items())],
        obligations=_obligations(lake, f"mix/{phase_of_packed(table)}", ids),
        checkpoints=[
            {"asset": one.asset, "data_version": one.data_version}
            for one in checkpoints(lake)
            if one.packed_table == table and one.packed_data_version == version
        ],
    )


def _obligations(lake: Lake, mix: str, ids: pl.Series) -> list[str]:
    if not lake.exists(mix):
        return []
    rows = lake.scan(mix).filter(pl.col("id").is_in(ids.implode())).select("obligations").collect()
    return rows["obligations"].explode().drop_nulls().unique().sort().to_list()
