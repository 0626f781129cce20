"""Explains one document or one token of a packed sequence from stored tables alone.

Nothing is recomputed but the admission under the active policy, so that a reader sees both what
was decided when the row was judged and what the policy says of it today.

Cost: one scan of the id columns of each table, without content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.lineage.checkpoints import checkpoints, seen_documents
from tritter_assets.lineage.coverage import near_mates
from tritter_assets.lineage.forget import standing_requests
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.lineage.marks import marks
from tritter_assets.lineage.where import any_of
from tritter_assets.removal import covered_by
from tritter_assets.sources.upstream import on_record

MAX_SEQUENCES = 20
"""Packed sequences listed per table; the count covers all of them."""

MAX_MEMBERS = 20
"""Members of a duplicate cluster that are listed."""

_ID = re.compile(r"[0-9a-f]{32}")
_PACKED = re.compile(r"(packed/[\w.\-]+):([0-9a-f]{32})@(\d+)")
_FACTS = (
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "revision",
    "url",
    "language",
    "modality",
    "split",
    "content_sha256",
    "content_bytes",
    "license_declared",
    "license_concluded",
    "license_method",
    "license_confidence",
    "license_evidence",
    "license_wrapper",
    "access_terms",
    "generator",
    "attribution",
    "owner",
    "author_emails",
    "derived_from",
)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything the lake knows of one document."""

    subject: str
    """What was asked."""
    token: Mapping[str, Any] | None
    """For a packed token: its document, column, characters and text."""
    document: Mapping[str, Any]
    """Identity: id, table, source, shard, repo, path, revision, url, hash, size in bytes."""
    source: Mapping[str, Any]
    """The contract: title, origin, tier, licence facts, claim and finding; what upstream said."""
    licence: Mapping[str, Any]
    """The four axes, method, confidence and every piece of evidence."""
    admission: Mapping[str, Any]
    """Action, reason, obligations and warnings under the active use profile today."""
    verdicts: Sequence[Mapping[str, Any]]
    """Every stored verdict, in stage order."""
    clusters: Sequence[Mapping[str, Any]]
    """Its row in each duplicate index, with the other members."""
    near_copies: Sequence[Mapping[str, Any]]
    """Verified pairs: id and Jaccard similarity."""
    parents: Sequence[Mapping[str, Any]]
    children: Sequence[Mapping[str, Any]]
    mixes: Sequence[Mapping[str, Any]]
    packed: Sequence[Mapping[str, Any]]
    """Per packed table: the number of sequences that hold it, and the first of them."""
    checkpoints: Sequence[Mapping[str, Any]]
    removals: Sequence[Mapping[str, Any]] = field(default=())
    """Requests that cover it."""

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, ready for JSON."""
        return asdict(self)


def explain(lake: Lake, what: str, catalog: Catalog) -> Explanation:
    """Explains a document, a packed token, or what ingestion skipped.

    Args:
        lake: The stored tables.
        what: The id of a document or of a row of `skipped/*`,
            `packed/<phase>_<context>:<sequence id>@<token offset>`, or `<repo>:<path>`.
        catalog: Contracts and policy.

    Raises:
        MissingProvenance: nothing in the lake answers to `what`, or several documents do.
    """
    token = _token(lake, what)
    doc_id = token["doc_id"] if token else _resolve(lake, what)
    rows = _rows(lake, pl.col("id") == doc_id)
    if not rows:
        skipped = _skipped(lake, pl.col("id") == doc_id)
        if skipped:
            return _never_read(lake, what, skipped[0], catalog)
        raise MissingProvenance(
            f"no document {doc_id} in raw, skipped, filtered, functions or synthetic tables: "
            "it may have been removed; `tritter forget` lists the requests"
        )
    row = rows[0]
    return Explanation(
        subject=what,
        token=token,
        document=_document(rows),
        source=_source(row["source"], catalog) | on_record(lake, row["source"]),
        licence=_licence(row),
        admission=_admission(row, catalog),
        verdicts=_verdicts(lake, row["source"], doc_id),
        clusters=_clusters(lake, doc_id),
        near_copies=near_mates(lake, pl.Series([doc_id])).select("id", "score").to_dicts(),
        parents=_parents(lake, row["derived_from"]),
        children=_children(lake, doc_id),
        mixes=_mixes(lake, doc_id),
        packed=_packed(lake, doc_id),
        checkpoints=_checkpoints(lake, doc_id),
        removals=_removals(lake, row, catalog),
    )


def _token(lake: Lake, what: str) -> dict[str, Any] | None:
    found = _PACKED.fullmatch(what)
    if found is None:
        if what.startswith("packed/"):
            raise MissingProvenance(
                f"{what!r} names no token: write packed/<phase>_<context>:<sequence id>@<offset>"
            )
        return None
    from tritter_assets.packing.lineage import locate

    table, sequence, offset = found.group(1), found.group(2), int(found.group(3))
    return asdict(locate(lake, table, sequence, offset))


def _resolve(lake: Lake, what: str) -> str:
    if _ID.fullmatch(what):
        return what
    repo, colon, path = what.partition(":")
    if not colon or not path:
        raise MissingProvenance(
            f"{what!r} is neither a document id (32 hexadecimal digits), <repo>:<path>, nor "
            "packed/<phase>_<context>:<sequence id>@<offset>"
        )
    found = []
    condition = (pl.col("repo") == repo) & (pl.col("path") == path)
    for table in tables_under(lake, "raw"):
        rows = lake.scan(table).filter(condition).select("id", "source").collect()
        found.extend(rows.iter_rows())
    found = found or [(row["id"], row["source"]) for row in _skipped(lake, condition)]
    ids = sorted({doc_id for doc_id, _ in found})
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise MissingProvenance(
            f"no raw table holds {path!r} of repository {repo!r}, nor does a list of skipped "
            "rows: check both, letter by letter"
        )
    listed = ", ".join(f"{doc_id} ({source})" for doc_id, source in sorted(set(found))[:10])
    raise MissingProvenance(f"{what!r} is {len(ids)} documents, ask for one: {listed}")


def _rows(lake: Lake, condition: pl.Expr) -> list[dict[str, Any]]:
    """Returns matching document rows without content, raw before filtered before derived."""
    found = []
    for stage in DOCUMENT_STAGES:
        for table in tables_under(lake, stage):
            rows = lake.scan(table).filter(condition).select(_FACTS).collect(engine="streaming")
            found.extend({"table": table, **row} for row in rows.iter_rows(named=True))
    return found


def _skipped(lake: Lake, condition: pl.Expr) -> list[dict[str, Any]]:
    found = []
    for table in tables_under(lake, "skipped"):
        rows = lake.scan(table).filter(condition).collect(engine="streaming")
        found.extend({"table": table, **row} for row in rows.iter_rows(named=True))
    return found


def _never_read(lake: Lake, what: str, row: Mapping[str, Any], catalog: Catalog) -> Explanation:
    """Explains a file or row of upstream that never became a document."""
    return Explanation(
        subject=what,
        token=None,
        document={key: value for key, value in row.items() if value},
        source=_source(row["source"], catalog),
        licence={},
        admission={},
        verdicts=_verdicts(lake, row["source"], row["id"]),
        clusters=(),
        near_copies=(),
        parents=(),
        children=(),
        mixes=(),
        packed=(),
        checkpoints=(),
    )


def _document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    row = rows[0]
    keys = ("id", "table", "source", "shard", "repo", "path", "revision", "url", "language")
    rest = ("modality", "split", "content_sha256", "content_bytes", "owner", "author_emails")
    filtered = [r for r in rows if r["table"].startswith("filtered/")]
    return {
        **{key: row[key] for key in (*keys, *rest)},
        "tables": [r["table"] for r in rows],
        "redacted": bool(filtered) and filtered[0]["content_sha256"] != row["content_sha256"],
    }


def _source(name: str, catalog: Catalog) -> dict[str, Any]:
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


def _licence(row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        evidence = json.loads(row["license_evidence"])
    except ValueError:
        evidence = row["license_evidence"]
    return {
        **{key: row[key] for key in _LICENCE},
        "license_confidence": round(float(row["license_confidence"]), 4),
        "evidence": evidence,
    }


def _admission(row: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    kept = {k: v for k, v in row.items() if k not in ("table", "author_emails", "derived_from")}
    frame = pl.DataFrame([kept], schema_overrides={"license_confidence": pl.Float32})
    frame = frame.with_columns(pl.col("split").cast(pl.String))
    verdict = admit_frame(frame, catalog.policy, catalog.profile.use_profile).row(0, named=True)
    return {
        "use_profile": catalog.profile.use_profile,
        "policy_digest": catalog.policy.digest,
        **{key: value for key, value in verdict.items() if key != "id"},
    }


def _verdicts(lake: Lake, source: str, doc_id: str) -> list[dict[str, Any]]:
    table = f"verdicts/{source}"
    if not lake.exists(table):
        return []
    rows = lake.scan(table).filter(pl.col("id") == doc_id).drop("id", "source", "shard")
    return rows.sort("stage_number", "terminal").collect(engine="streaming").to_dicts()


def _clusters(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
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


def _parents(lake: Lake, ids: Sequence[str] | None) -> list[dict[str, Any]]:
    wanted = pl.Series(sorted(set(ids or ())), dtype=pl.String)
    if wanted.is_empty():
        return []
    keys = ("id", "table", "repo", "path", "license_concluded", "generator", "derived_from")
    rows = _rows(lake, pl.col("id").is_in(wanted.implode()))
    firsts = {row["id"]: {key: row[key] for key in keys} for row in reversed(rows)}
    missing = [{"id": name, "table": None} for name in wanted if name not in firsts]
    return [firsts[name] for name in sorted(firsts)] + missing


def _children(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    wanted = pl.Series([doc_id])
    found = []
    for stage in ("functions", "synthetic"):
        for table in tables_under(lake, stage):
            rows = lake.scan(table).filter(any_of(pl.col("derived_from"), wanted)).select("id")
            ids = rows.sort("id").collect(engine="streaming")["id"].to_list()
            found.extend({"table": table, "id": child} for child in ids)
    return found


def _mixes(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    columns = ("component", "epochs", "estimated_tokens", "license_concluded", "obligations")
    found = []
    for table in tables_under(lake, "mix"):
        rows = lake.scan(table).filter(pl.col("id") == doc_id).select("table", *columns)
        found.extend(
            {"mix": table, **row} for row in rows.collect(engine="streaming").iter_rows(named=True)
        )
    return found


def _packed(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
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


def _checkpoints(lake: Lake, doc_id: str) -> list[dict[str, Any]]:
    status = {(m["asset"], m["data_version"]): m["status"] for m in marks(lake).to_dicts()}
    found = []
    for checkpoint in checkpoints(lake):
        seen = seen_documents(lake, checkpoint.asset)
        if seen is None:
            found.append({"asset": checkpoint.asset, "saw_it": "unknown"})
            continue
        for row in seen.filter(pl.col("doc_id") == doc_id).sort("phase").iter_rows(named=True):
            found.append(  # noqa: PERF401
                {
                    "asset": checkpoint.asset,
                    "data_version": checkpoint.data_version,
                    "phase": row["phase"],
                    "times": row["times"],
                    "tokens": row["tokens"],
                    "status": status.get((checkpoint.asset, checkpoint.data_version), "clean"),
                }
            )
    return found


def _removals(lake: Lake, row: Mapping[str, Any], catalog: Catalog) -> list[dict[str, Any]]:
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
