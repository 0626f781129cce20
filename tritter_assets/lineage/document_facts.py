"""What stored tables say of one document, section by section.

Cost of each: one scan of the id columns of the tables it names, without content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.lineage.forget import standing_requests
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.lineage.where import any_of
from tritter_assets.removal import covered_by

MAX_MEMBERS = 20
"""Members of a duplicate cluster that are listed."""

Row = Mapping[str, Any]

_LICENCE = (
    "license_declared",
    "license_concluded",
    "license_method",
    "license_confidence",
    "license_wrapper",
    "access_terms",
    "generator",
    "attribution",
)
_IDENTITY = ("id", "source", "shard", "repo", "path", "revision", "url", "language")
_FACTS = (
    *_IDENTITY,
    "modality",
    "split",
    "content_sha256",
    "content_bytes",
    *_LICENCE,
    "license_evidence",
    "owner",
    "author_emails",
    "derived_from",
)


def document_rows(lake: Lake, condition: pl.Expr) -> list[dict[str, Any]]:
    """Returns matching document rows without content, raw before filtered before derived."""
    return [
        {"table": table, **row}
        for stage in DOCUMENT_STAGES
        for table in tables_under(lake, stage)
        for row in lake.scan(table)
        .filter(condition)
        .select(_FACTS)
        .collect(engine="streaming")
        .iter_rows(named=True)
    ]


def skipped_rows(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns the lines of ledgers with an id: rows of upstream that never became documents."""
    return [
        {"table": table, **row}
        for table in tables_under(lake, "skipped")
        for row in lake.scan(table).filter(pl.col("id") == doc_id).collect().iter_rows(named=True)
    ]


def identity(rows: Sequence[Row]) -> dict[str, Any]:
    """Returns what the document is, and the tables that hold it."""
    row = rows[0]
    rest = ("modality", "split", "content_sha256", "content_bytes", "owner", "author_emails")
    filtered = [r for r in rows if r["table"].startswith("filtered/")]
    return {
        **{key: row[key] for key in ("id", "table", *_IDENTITY[1:], *rest)},
        "tables": [r["table"] for r in rows],
        "redacted": bool(filtered) and filtered[0]["content_sha256"] != row["content_sha256"],
    }


def source(name: str, catalog: Catalog) -> dict[str, Any]:
    """Returns what the contract of a source says."""
    contract = catalog.sources.get(name)
    if contract is None:
        return {"id": name, "contract": "not in the catalogue"}
    return {
        "id": contract.id,
        "title": contract.title,
        "owner": contract.owner,
        "tier": contract.tier,
        "priority": contract.priority,
        "origin": {k: v for k, v in asdict(contract.origin).items() if v not in (None, (), "")},
        "licence": {k: str(v) for k, v in asdict(contract.licence).items() if v},
        "refusal": asdict(contract.refusal) if contract.refusal else None,
        "contract": contract.file.name,
        "contract_digest": contract.digest,
    }


def licence(row: Row) -> dict[str, Any]:
    """Returns the four axes, method, confidence and every piece of evidence."""
    try:
        evidence = json.loads(row["license_evidence"])
    except ValueError:
        evidence = row["license_evidence"]
    return {
        **{key: row[key] for key in _LICENCE},
        "license_confidence": round(float(row["license_confidence"]), 4),
        "evidence": evidence,
    }


def admission(row: Row, catalog: Catalog) -> dict[str, Any]:
    """Returns what the active policy says of the row today."""
    kept = {k: v for k, v in row.items() if k not in ("table", "author_emails", "derived_from")}
    frame = pl.DataFrame([kept], schema_overrides={"license_confidence": pl.Float32})
    frame = frame.with_columns(pl.col("split").cast(pl.String))
    verdict = admit_frame(frame, catalog.policy, catalog.profile.use_profile).row(0, named=True)
    return {
        "use_profile": catalog.profile.use_profile,
        "policy_digest": catalog.policy.digest,
        **{key: value for key, value in verdict.items() if key != "id"},
    }


def verdicts(lake: Lake, source_id: str, doc_id: str) -> list[dict[str, Any]]:
    """Returns every stored verdict, in stage order."""
    table = f"verdicts/{source_id}"
    if not lake.exists(table):
        return []
    rows = lake.scan(table).filter(pl.col("id") == doc_id).drop("id", "source", "shard")
    return rows.sort("stage_number", "terminal").collect(engine="streaming").to_dicts()


def clusters(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns the document's row in each duplicate index, with other members of its cluster."""
    found = []
    for index in ("dedup/exact_index", "dedup/near_index", "dedup/semantic_index"):
        if not lake.exists(index):
            continue
        rows = lake.scan(index)
        mine = rows.filter(pl.col("id") == doc_id).collect()
        for row in mine.iter_rows(named=True):
            members = (
                rows.filter(pl.col("cluster_id") == row["cluster_id"])
                .filter(pl.col("id") != doc_id)
                .select("id", "source", "survivor", "score", "action", "reason")
                .sort("id")
                .head(MAX_MEMBERS)
                .collect()
            )
            found.append({"index": index, **row, "other_members": members.to_dicts()})
    return found


def parents(lake: Lake, ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Returns the rows a derived row was made from; `table` is None for one that is gone."""
    wanted = pl.Series(sorted(set(ids or ())), dtype=pl.String)
    if wanted.is_empty():
        return []
    keys = ("id", "table", "repo", "path", "license_concluded", "generator", "derived_from")
    rows = document_rows(lake, pl.col("id").is_in(wanted.implode()))
    firsts = {row["id"]: {key: row[key] for key in keys} for row in reversed(rows)}
    missing = [{"id": name, "table": None} for name in wanted if name not in firsts]
    return [firsts[name] for name in sorted(firsts)] + missing


def children(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    """Returns the functions and synthetic rows that were made from the document."""
    wanted = pl.Series([doc_id])
    found = []
    for stage in ("functions", "synthetic"):
        for table in tables_under(lake, stage):
            rows = lake.scan(table).filter(any_of(pl.col("derived_from"), wanted)).select("id")
            ids = rows.sort("id").collect(engine="streaming")["id"].to_list()
            found.extend({"table": table, "id": child} for child in ids)
    return found


def removals(lake: Lake, row: Row, catalog: Catalog) -> list[dict[str, Any]]:
    """Returns the requests that cover the row."""
    requests = standing_requests(lake, catalog)
    kept = {k: v for k, v in row.items() if k not in ("table", "license_evidence")}
    lists = {"author_emails": pl.List(pl.String), "derived_from": pl.List(pl.String)}
    frame = pl.DataFrame([kept], schema_overrides={**lists, "owner": pl.String})
    if requests.is_empty() or frame.filter(covered_by(requests)).is_empty():
        return []
    return [
        request
        for request in requests.to_dicts()
        if not frame.filter(covered_by(requests.filter(request=request["request"]))).is_empty()
    ]
