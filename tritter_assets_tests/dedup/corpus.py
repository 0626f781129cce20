"""Small documents written for these tests, and a lake that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.dedup.signatures import sign_shard
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256


def words(seed: int, count: int = 60) -> list[str]:
    """Deterministic words; two seeds share none."""
    return [f"w{seed}_{number}" for number in range(count)]


def text(seed: int, edits: Sequence[int] = (), count: int = 60) -> str:
    """A text of `count` words in which the words at `edits` are replaced."""
    found = words(seed, count)
    for position in edits:
        found[position % count] = f"edit{seed}_{position}"
    return " ".join(found)


@dataclass(frozen=True)
class Doc:
    id: str
    content: str
    license: str = "MIT"
    repo: str = "repo"
    path: str = ""


def write_filtered(lake: Lake, source: str, shard: str, docs: Iterable[Doc]) -> None:
    rows = []
    for doc in sorted(docs, key=lambda d: d.id):
        row: dict[str, object] = dict.fromkeys(DOCUMENT_SCHEMA.names)
        row.update(
            id=doc.id,
            source=source,
            shard=shard,
            repo=doc.repo,
            path=doc.path or f"{doc.id}.py",
            revision="1",
            language="Python",
            modality="code",
            content=doc.content,
            content_sha256=content_sha256(doc.content),
            content_bytes=len(doc.content.encode()),
            license_concluded=doc.license,
            license_method="spdx_header",
            license_confidence=1.0,
            license_evidence="[]",
            license_wrapper="MIT",
            access_terms="none",
            generator="human",
        )
        rows.append(row)
    lake.write(
        f"filtered/{source}",
        pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA),
        DOCUMENT_SCHEMA,
        fingerprint=fingerprint_of([row["content_sha256"] for row in rows]),
        partition={"shard": shard},
    )


def sign(lake: Lake, source: str, shard: str, docs: Iterable[Doc]) -> None:
    """Writes and signs one shard."""
    write_filtered(lake, source, shard, docs)
    sign_shard(lake, source, shard, fingerprint=fingerprint_of("test"))


def inputs_of(
    shards: Iterable[tuple[str, str]], priorities: Mapping[str, int] | None = None
) -> list[ShardInput]:
    order = priorities or {}
    return [
        ShardInput(source=source, shard=shard, priority=order.get(source, 5))
        for source, shard in shards
    ]
