"""A small lake written by hand: two sources, a mix, a packed table and a checkpoint."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.contracts.source import LicenceFacts, SdistOrigin, SourceContract
from tritter_assets.dedup.index import INDEX_SCHEMA
from tritter_assets.dedup.near import PAIRS_SCHEMA
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.lineage.checkpoints import SEEN_FILE, seen_documents
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.packing.tokenizer import load_tokenizer, train_tokenizer
from tritter_assets.record import DOCUMENT_SCHEMA, Modality, content_sha256, document_id
from tritter_assets.verdict import VERDICT_SCHEMA

CONTRACTS = Path(__file__).parents[2] / "data_contracts"


def full_catalog(**changes: Any) -> Catalog:
    """The project's own policy and profile, with this lake's two sources."""
    loaded = load_catalog(CONTRACTS)
    sources = {name: _source(name) for name in ("alpha", "beta")}
    return dataclasses.replace(loaded, sources=sources, **changes)


def _source(name: str) -> SourceContract:
    return SourceContract(
        id=name,
        title=f"Package {name}",
        description="A package written for the tests.",
        owner="team:tests",
        tier=1,
        priority=10,
        modality=Modality.CODE,
        languages=("Python",),
        profiles=("starter",),
        origin=SdistOrigin(package=name, version="1.0.0", sha256="ab" * 32),
        columns={},
        licence=LicenceFacts(wrapper="MIT", as_of=date(2026, 11, 1)),
        num_shards=1,
    )


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
        "owner": repo.split("/", maxsplit=1)[0],
        "author_emails": [f"author@{repo.split('/', maxsplit=1)[0]}.example"],
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
            "group_id": document["id"],
        }
        | fields
    )


def packed_row(
    lake: Lake, position: int, parts: list[tuple[dict[str, Any], str, int]], **fields: Any
) -> dict[str, Any]:
    """A sequence of the first tokens of some documents."""
    tokenizer = load_tokenizer(lake)
    segments, tokens, start = [], [], 0
    for document, table, length in parts:
        encoded = tokenizer.encode(document["content"], add_special_tokens=False).ids
        assert len(encoded) >= length, (len(encoded), length)
        tokens += encoded[:length]
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
        "tokens": tokens,
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
    train_tokenizer(lake, phases=["phase1_base"], vocab_size=280, fingerprint=FINGERPRINT)
    write(lake, "packed/phase1_base_256", packed_rows(lake), PACKED_SCHEMA)
    write_model(lake, root, "phase1_base", "packed/phase1_base_256", None)
    return lake


def mix_rows() -> list[dict[str, Any]]:
    return [
        mix_row(KEPT, "filtered/alpha", 300),
        mix_row(OTHER, "filtered/beta", 80),
        mix_row(SYNTHETIC, "synthetic/docstring", 40),
    ]


def packed_rows(lake: Lake) -> list[dict[str, Any]]:
    return [
        packed_row(lake, 0, [(KEPT, "filtered/alpha", 200), (OTHER, "filtered/beta", 56)]),
        packed_row(lake, 1, [(SYNTHETIC, "synthetic/docstring", 40)]),
    ]


def write_indexes(lake: Lake) -> None:
    def entry(
        document: dict[str, Any], cluster: str, match: str, score: float | None
    ) -> dict[str, Any]:
        survivor = document is KEPT
        return {
            "id": document["id"],
            "source": document["source"],
            "shard": document["shard"],
            "cluster_id": cluster,
            "cluster_size": 2,
            "survivor": survivor,
            "kept_id": KEPT["id"],
            "score": score,
            "match": match,
            "action": "keep" if survivor else "drop",
            "reason": "passed" if survivor else f"{cluster}_duplicate",
            "licenses": ["MIT"],
        }

    exact = [entry(KEPT, "exact", "content", None), entry(EXACT, "exact", "content", 1.0)]
    near = [entry(KEPT, "near", "near", None), entry(NEAR, "near", "near", 0.9)]
    write(lake, "dedup/exact_index", exact, INDEX_SCHEMA)
    write(lake, "dedup/near_index", near, INDEX_SCHEMA)
    first, second = sorted([KEPT["id"], EXACT["id"]])
    near_first = sorted([first, NEAR["id"]])
    contents = {first: 1, NEAR["id"]: 2}
    write_pairs(
        lake,
        [
            (near_first[0], near_first[1], 0.9, contents[near_first[0]], contents[near_first[1]]),
            (first, second, 1.0, 1, 1),
        ],
    )


def write_pairs(lake: Lake, pairs: list[tuple[str, str, float, int, int]]) -> None:
    rows = [
        {"id_a": a, "id_b": b, "jaccard": j, "content_a": x, "content_b": y, "layout": "test"}
        for a, b, j, x, y in sorted(pairs)
    ]
    lake.write(
        "dedup/near_pairs",
        pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA),
        PAIRS_SCHEMA,
        fingerprint=fingerprint_of("pairs", rows),
    )


def write_model(
    lake: Lake,
    root: Path,
    phase: str,
    packed: str,
    parent: str | None,
    *,
    seen: bool = True,
    **more_facts: Any,
) -> None:
    state = lake.state(packed)
    assert state is not None
    (root / "config.json").write_text("{}")
    (root / "training_log.json").write_text('{"steps": [], "evaluations": []}')
    files = {name: root / name for name in ("config.json", "training_log.json")}
    if seen:
        segments = lake.scan(packed).select(pl.col("segments").explode()).unnest("segments")
        read = segments.group_by("doc_id", "table", "source", "shard").agg(
            times=pl.len().cast(pl.Int64),
            tokens=(pl.col("token_end") - pl.col("token_start")).sum().cast(pl.Int64),
        )
        frames = [read.select(pl.lit(phase).alias("phase"), pl.all()).collect()]
        if parent is not None:
            before = seen_documents(lake, parent)
            assert before is not None
            frames.append(before)
        files[SEEN_FILE] = root / SEEN_FILE
        pl.concat(frames).sort("phase", "doc_id").write_parquet(root / SEEN_FILE)
    facts = {
        "phase": phase,
        "packed_table": packed,
        "packed_data_version": state.data_version,
        "parent": parent,
        "heldout_loss_before": 8.3,
        "heldout_loss_after": 5.1,
        "steps": 150,
        "trained_tokens": 4096,
        "recipe": {"hidden_size": 64, "num_layers": 2, "seed": 0},
    } | more_facts
    ArtifactStore(lake).put(f"model/{phase}", files, fingerprint=fingerprint_of(facts), facts=facts)
