"""A small lake with `filtered/<source>` rows, for the tests of derived rooms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256, document_id


def document(path: str, content: str, language: str, **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(DOCUMENT_SCHEMA.names)
    row.update(
        source="src", shard="000", repo="acme/one", path=path, revision="1", language=language,
        modality="code", license_declared="MIT", license_concluded="MIT",
        license_method="spdx_header", license_confidence=0.95, license_evidence=json.dumps([]),
        license_wrapper="NOASSERTION", access_terms="public_index", generator="human",
        owner="acme", author_emails=["a@example.com"], content=content,
    )  # fmt: skip
    row.update(columns)
    row.update(
        id=document_id(row["source"], row["repo"], row["path"], content),
        content_sha256=content_sha256(content),
        content_bytes=len(content.encode()),
    )
    return row


def lake_of(root: Path, documents: list[dict[str, Any]]) -> tuple[Lake, list[ShardInput]]:
    lake = Lake.at(root)
    shards = sorted({(row["source"], row["shard"]) for row in documents})
    for source, shard in shards:
        rows = [row for row in documents if (row["source"], row["shard"]) == (source, shard)]
        lake.write(
            f"filtered/{source}",
            pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA),
            DOCUMENT_SCHEMA,
            fingerprint=fingerprint_of([row["id"] for row in rows]),
            partition={"shard": shard},
        )
    return lake, [ShardInput(source=s, shard=k, priority=1) for s, k in shards]


def fingerprint(item: ShardInput) -> str:
    return fingerprint_of("test", item.source, item.shard)
