"""A lake written row by row: filtered tables with their verdicts, derived tables, empty indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.mix import Mix, parse_mix
from tritter_assets.contracts.profile import Profile
from tritter_assets.dedup.index import INDEX_SCHEMA
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256, document_id
from tritter_assets.removal import REMOVAL_SCHEMA
from tritter_assets.verdict import VERDICT_SCHEMA

FINGERPRINT = fingerprint_of("rows")

Row = dict[str, Any]


def document(source: str, path: str, content: str, **fields: Any) -> Row:
    """One document row; every column that a test does not care about has a harmless value."""
    repo = fields.pop("repo", f"org/{source}")
    row: Row = dict.fromkeys(DOCUMENT_SCHEMA.names)
    row |= {
        "id": document_id(source, repo, path, content),
        "source": source,
        "shard": "000",
        "repo": repo,
        "path": path,
        "revision": "1",
        "language": "python",
        "modality": "code",
        "content": content,
        "content_sha256": content_sha256(content),
        "content_bytes": len(content.encode()),
        "license_concluded": "MIT",
        "license_method": "license_file",
        "license_confidence": 1.0,
        "license_evidence": "[]",
        "license_wrapper": "NOASSERTION",
        "access_terms": "none",
        "generator": "human",
    }
    return row | fields


def code(source: str, count: int, *, start: int = 0, lines: int = 6, **fields: Any) -> list[Row]:
    """Distinct Python documents of one source."""
    return [
        document(
            source,
            f"pkg/mod_{number}.py",
            f"# module {number}\n"
            + "".join(
                f"def f_{number}_{line}(x):\n    return x * {number} + {line}\n"
                for line in range(lines)
            ),
            **fields,
        )
        for number in range(start, start + count)
    ]


def write_filtered(lake: Lake, rows: Sequence[Row], *, unproved: Iterable[str] = ()) -> None:
    """Writes `filtered/*` and `verdicts/*`; ids in `unproved` get no terminal verdict."""
    missing = set(unproved)
    for (source, shard), part in _grouped(rows):
        lake.write(
            f"filtered/{source}",
            pa.Table.from_pylist(part, schema=DOCUMENT_SCHEMA),
            DOCUMENT_SCHEMA,
            fingerprint=FINGERPRINT,
            partition={"shard": shard},
        )
        verdicts = [
            {
                "id": row["id"],
                "source": source,
                "shard": shard,
                "stage": "semantic_duplicate",
                "stage_number": 15,
                "action": "keep",
                "reason": "passed",
                "terminal": True,
                "score": None,
                "evidence": "",
                "spans": [],
                "stage_version": "1",
            }
            for row in part
            if row["id"] not in missing
        ]
        lake.write(
            f"verdicts/{source}",
            pa.Table.from_pylist(verdicts, schema=VERDICT_SCHEMA),
            VERDICT_SCHEMA,
            fingerprint=FINGERPRINT,
            partition={"shard": shard},
        )


def write_derived(lake: Lake, table: str, rows: Sequence[Row]) -> None:
    """Writes a `functions/*` or `synthetic/*` table."""
    for (source, shard), part in _grouped(rows):
        lake.write(
            table,
            pa.Table.from_pylist(part, schema=DOCUMENT_SCHEMA),
            DOCUMENT_SCHEMA,
            fingerprint=FINGERPRINT,
            partition={"source": source, "shard": shard},
        )


def write_indexes(lake: Lake, near: Sequence[Row] = ()) -> None:
    """Writes the exact index without rows and the near index with `near`."""
    for name, rows in (("exact", ()), ("near", near)):
        lake.write(
            f"dedup/{name}_index",
            pa.Table.from_pylist(list(rows), schema=INDEX_SCHEMA),
            INDEX_SCHEMA,
            fingerprint=FINGERPRINT,
        )


def cluster_row(row: Row, cluster_id: str, *, kept_id: str) -> Row:
    """A row of the near index."""
    survives = kept_id == row["id"]
    return {
        "id": row["id"],
        "source": row["source"],
        "shard": row["shard"],
        "cluster_id": cluster_id,
        "cluster_size": 2,
        "survivor": survives,
        "kept_id": kept_id,
        "score": None if survives else 0.9,
        "match": "near",
        "action": "keep" if survives else "drop",
        "reason": "passed" if survives else "near_duplicate",
        "licenses": ["MIT"],
    }


def request_removal(lake: Lake, kind: str, value: str) -> None:
    """Writes one removal request."""
    row = {"request": f"{kind}:{value}", "kind": kind, "value": value}
    row |= {"requested_at": "2026-01-01T00:00:00Z", "reason": "asked"}
    lake.write(
        "removals",
        pa.Table.from_pylist([row], schema=REMOVAL_SCHEMA),
        REMOVAL_SCHEMA,
        fingerprint=FINGERPRINT,
    )


def mix_of(folder: Path, text: str, phase: str = "phase1_base") -> Mix:
    """Parses a mix from YAML text."""
    path = folder / f"{phase}.yaml"
    path.write_text(text, encoding="utf-8")
    return parse_mix(path)


def catalog_of(
    sources: Mapping[str, Sequence[str]], mixes: Sequence[Mix] = (), *, mix_tokens: int = 10_000
) -> Any:
    """The part of a catalogue that mixes and packs read: source id -> tags."""
    contracts = tuple(
        SimpleNamespace(id=name, tags=tuple(tags)) for name, tags in sorted(sources.items())
    )
    profile = Profile(
        name="test",
        lake_root="",
        use_profile="brief",
        memory_limit_bytes=1 << 30,
        workers=1,
        mix_tokens={mix.phase: mix_tokens for mix in mixes},
    )
    return SimpleNamespace(
        profile=profile,
        policy=SimpleNamespace(digest="policy"),
        mixes={mix.phase: mix for mix in mixes},
        active_sources=lambda: contracts,
    )


def permissive_only(frame: pl.DataFrame, policy: Any, use_profile: str) -> pl.DataFrame:
    """Stands in for the policy engine: MIT, Apache-2.0 and BSD pass, everything else does not."""
    del policy, use_profile
    passes = pl.col("license_concluded").is_in(["MIT", "Apache-2.0", "BSD-3-Clause"])
    return frame.select(
        "id",
        action=pl.when(passes).then(pl.lit("keep")).otherwise(pl.lit("drop")),
        reason=pl.when(passes).then(pl.lit("passed")).otherwise(pl.lit("license_not_admitted")),
        obligations=pl.when(passes)
        .then(pl.lit(["attribution"], dtype=pl.List(pl.String)))
        .otherwise(pl.lit([], dtype=pl.List(pl.String))),
        chosen=pl.col("license_concluded"),
    )


def _grouped(rows: Sequence[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        groups.setdefault((row["source"], row["shard"]), []).append(row)
    return sorted(groups.items())
