"""A small lake written by hand: two sources, a mix, a packed table and a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256, document_id
from tritter_assets.verdict import VERDICT_SCHEMA

CATALOG: Any = SimpleNamespace(policy=SimpleNamespace(opt_out={"repo": ("never/here",)}))
"""The part of a catalogue that removals read."""

FINGERPRINT = fingerprint_of("small lake")

FUNCTION_SCHEMA = pa.schema(
    [
        *DOCUMENT_SCHEMA,
        pa.field("name", pa.string()),
        pa.field("qualified_name", pa.string()),
        pa.field("docstring", pa.large_string()),
        pa.field("start_line", pa.int32()),
        pa.field("end_line", pa.int32()),
    ]
)
MIX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("component", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("repo", pa.string(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("estimated_tokens", pa.int64(), nullable=False),
        pa.field("epochs", pa.int32(), nullable=False),
        pa.field("license_concluded", pa.string(), nullable=False),
        pa.field("obligations", pa.list_(pa.string()), nullable=False),
        pa.field("generator", pa.string(), nullable=False),
    ]
)
SEGMENT = pa.struct(
    [
        ("doc_id", pa.string()),
        ("table", pa.string()),
        ("source", pa.string()),
        ("shard", pa.string()),
        ("token_start", pa.int32()),
        ("token_end", pa.int32()),
        ("doc_token_start", pa.int32()),
    ]
)
PACKED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("loss_mask", pa.list_(pa.int8()), nullable=False),
        pa.field("rejected_tokens", pa.list_(pa.int32())),
        pa.field("rejected_loss_mask", pa.list_(pa.int8())),
        pa.field("segments", pa.list_(SEGMENT), nullable=False),
    ]
)
INDEX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("cluster_size", pa.int32(), nullable=False),
        pa.field("survivor", pa.bool_(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


def row(source: str, repo: str, path: str, content: str, **fields: Any) -> dict[str, Any]:
    base: dict[str, Any] = dict.fromkeys(DOCUMENT_SCHEMA.names)
    base |= {
        "id": document_id(source, repo, path, content),
        "source": source,
        "shard": "000",
        "repo": repo,
        "path": path,
        "revision": "1.0.0",
        "url": f"https://example.org/{repo}/{path}",
        "language": "Python",
        "modality": "code",
        "content": content,
        "content_sha256": content_sha256(content),
        "content_bytes": len(content.encode()),
        "license_declared": "MIT",
        "license_concluded": "MIT",
        "license_method": "license_file",
        "license_confidence": 0.99,
        "license_evidence": json.dumps(
            [{"method": "license_file", "value": "MIT", "where": "LICENSE", "confidence": 0.99}]
        ),
        "license_wrapper": "MIT",
        "access_terms": "none",
        "generator": "human",
        "attribution": f"Copyright (c) 2024 {repo}",
        "owner": repo.split("/")[0],
        "author_emails": [f"author@{repo.split('/')[0]}.example"],
    }
    return base | fields


def write(
    lake: Lake,
    table: str,
    rows: list[dict[str, Any]],
    schema: pa.Schema,
    partition: dict[str, str] | None = None,
) -> None:
    rows = sorted(rows, key=lambda r: (r["id"], r.get("stage_number", 0)))
    lake.write(
        table,
        pa.Table.from_pylist(rows, schema=schema),
        schema,
        fingerprint=fingerprint_of(table, [str(r) for r in rows]),
        partition=partition or {},
    )


def verdict(
    document: dict[str, Any],
    *,
    stage: str,
    number: int,
    action: str,
    reason: str,
    terminal: bool = True,
    evidence: str = "",
) -> dict[str, Any]:
    return {
        "id": document["id"],
        "source": document["source"],
        "shard": document["shard"],
        "stage": stage,
        "stage_number": number,
        "action": action,
        "reason": reason,
        "terminal": terminal,
        "score": None,
        "evidence": evidence,
        "spans": None,
        "stage_version": "1",
    }


def mix_row(document: dict[str, Any], table: str, tokens: int, **fields: Any) -> dict[str, Any]:
    kept = (
        "id",
        "source",
        "shard",
        "modality",
        "language",
        "repo",
        "content_sha256",
        "license_concluded",
        "generator",
    )
    return (
        {name: document[name] for name in kept}
        | {
            "table": table,
            "component": "python",
            "estimated_tokens": tokens,
            "epochs": 1,
            "obligations": ["attribution", "notice_text"],
        }
        | fields
    )


def packed_row(
    position: int, parts: list[tuple[dict[str, Any], str, int]], **fields: Any
) -> dict[str, Any]:
    segments, start = [], 0
    for document, table, length in parts:
        segments.append(
            {
                "doc_id": document["id"],
                "table": table,
                "source": document["source"],
                "shard": document["shard"],
                "token_start": start,
                "token_end": start + length,
                "doc_token_start": 0,
            }
        )
        start += length
    return {
        "id": f"{position:032x}",
        "position": position,
        "split": "train",
        "tokens": list(range(start)),
        "loss_mask": [1] * start,
        "rejected_tokens": None,
        "rejected_loss_mask": None,
        "segments": segments,
    } | fields


BODY = "\n".join(f"value_{number} = compute({number})" for number in range(40))
NEAR_BODY = BODY.replace("value_7 ", "other_7 ")

KEPT = row("alpha", "ada/engine", "src/engine.py", BODY)
NEAR = row("beta", "bob/fork", "engine.py", NEAR_BODY)
EXACT = row("beta", "carl/vendored", "vendor/engine.py", BODY)
GPL = row(
    "alpha",
    "eve/tool",
    "tool.py",
    "import gpl\n" * 20,
    license_concluded="GPL-3.0-only",
    license_declared="GPL-3.0-only",
)
OTHER = row(
    "beta",
    "dora/other",
    "other.py",
    "def other():\n    return 1\n" * 10,
    license_concluded="Apache-2.0",
    license_declared="Apache-2.0",
)
FUNCTION = row("alpha", "ada/engine", "src/engine.py", BODY[:200], derived_from=[KEPT["id"]]) | {
    "name": "compute",
    "qualified_name": "compute",
    "docstring": None,
    "start_line": 1,
    "end_line": 9,
}
SYNTHETIC = row(
    "alpha",
    "synthetic/docstring",
    "1",
    "Write compute. " * 10,
    modality="instruction",
    derived_from=[FUNCTION["id"]],
    generator="rule_based",
    license_method="inherited",
    owner=None,
    author_emails=None,
)


def build(root: Path) -> Lake:
    """Everything after the filters holds KEPT, NEAR, EXACT, OTHER; GPL was dropped."""
    lake = Lake.at(root)
    documents = {"alpha": [KEPT, GPL], "beta": [NEAR, EXACT, OTHER]}
    shard = {"shard": "000"}
    for source, rows in documents.items():
        write(lake, f"raw/{source}", rows, DOCUMENT_SCHEMA, shard)
        verdicts = [
            verdict(
                r,
                stage="license",
                number=2,
                action="drop",
                reason="license_not_admitted",
                evidence="GPL-3.0-only",
            )
            if r is GPL
            else verdict(r, stage="decontamination", number=14, action="keep", reason="passed")
            for r in rows
        ]
        write(lake, f"verdicts/{source}", verdicts, VERDICT_SCHEMA, shard)
        kept = [r for r in rows if r is not GPL]
        write(lake, f"filtered/{source}", kept, DOCUMENT_SCHEMA, shard)
    write_indexes(lake)
    place = {"source": "alpha", "shard": "000"}
    write(lake, "functions/python", [FUNCTION], FUNCTION_SCHEMA, place)
    write(lake, "synthetic/docstring", [SYNTHETIC], DOCUMENT_SCHEMA, place)
    write(lake, "mix/phase1_base", mix_rows(), MIX_SCHEMA)
    write(lake, "packed/phase1_base_256", packed_rows(), PACKED_SCHEMA)
    write_model(lake, root, "phase1_base", "packed/phase1_base_256", None)
    return lake


def mix_rows() -> list[dict[str, Any]]:
    return [
        mix_row(KEPT, "filtered/alpha", 300),
        mix_row(OTHER, "filtered/beta", 80),
        mix_row(SYNTHETIC, "synthetic/docstring", 40),
    ]


def packed_rows() -> list[dict[str, Any]]:
    return [
        packed_row(0, [(KEPT, "filtered/alpha", 200), (OTHER, "filtered/beta", 56)]),
        packed_row(1, [(SYNTHETIC, "synthetic/docstring", 40)]),
    ]


def write_indexes(lake: Lake) -> None:
    def entry(
        document: dict[str, Any], kept: dict[str, Any], cluster: str, score: float
    ) -> dict[str, Any]:
        survivor = document is kept
        return {
            "id": document["id"],
            "source": document["source"],
            "shard": document["shard"],
            "cluster_id": cluster,
            "cluster_size": 2,
            "survivor": survivor,
            "kept_id": kept["id"],
            "score": score,
            "action": "keep" if survivor else "drop",
            "reason": "passed" if survivor else f"{cluster}_duplicate",
        }

    write(
        lake,
        "dedup/exact_index",
        [entry(KEPT, KEPT, "exact", 1.0), entry(EXACT, KEPT, "exact", 1.0)],
        INDEX_SCHEMA,
    )
    write(
        lake,
        "dedup/near_index",
        [entry(KEPT, KEPT, "near", 1.0), entry(NEAR, KEPT, "near", 0.9)],
        INDEX_SCHEMA,
    )


def write_model(lake: Lake, root: Path, phase: str, packed: str, parent: str | None) -> None:
    state = lake.state(packed)
    assert state is not None
    path = root / f"{phase}.json"
    path.write_text("{}")
    facts = {
        "packed_table": packed,
        "packed_data_version": state.data_version,
        "parent": parent,
        "loss_before": 8.3,
        "loss_after": 5.1,
        "steps": 150,
    }
    ArtifactStore(lake).put(
        f"model/{phase}", {"config.json": path}, fingerprint=fingerprint_of(facts), facts=facts
    )
