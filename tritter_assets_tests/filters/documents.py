"""Documents and settings that the tests of this room share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tritter_assets.contracts.profile import Profile
from tritter_assets.filters.contract import JudgeContext
from tritter_assets.filters.malware import rule_files
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets.record import content_sha256, document_id

POLICY = Path(__file__).parents[2] / "data_contracts" / "policy"
RAW = yaml.safe_load((POLICY / "filters.yaml").read_text("utf-8"))

PROFILE = Profile(
    name="test", lake_root="", use_profile="brief", memory_limit_bytes=1 << 30, workers=1
)


def document(content: str, path: str = "pkg/module.py", **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "source": "demo",
        "shard": "000",
        "repo": "o/r",
        "path": path,
        "revision": "1",
        "language": "Python",
        "modality": "code",
        "content": content,
        "license_concluded": "MIT",
        "license_method": "license_file",
        "license_confidence": 1.0,
        "license_evidence": "[]",
        "license_wrapper": "MIT",
        "access_terms": "none",
        "generator": "human",
        "owner": "o",
        "author_emails": ["a@b.org"],
    } | columns
    row["id"] = columns.get("id") or document_id(row["source"], row["repo"], path, content)
    row["content_sha256"] = content_sha256(content)
    row["content_bytes"] = len(content.encode())
    return row


def frame_of(*rows: dict[str, Any]) -> pl.DataFrame:
    from tritter_assets.filters.inspect import complete_documents

    return complete_documents(pl.DataFrame(list(rows), infer_schema_length=None))


def context_of(overrides: dict[str, Any] | None = None, **values: Any) -> JudgeContext:
    settings = FilterSettings(RAW, overrides or {})
    return JudgeContext(
        settings=settings,
        malware_rules=rule_files(POLICY),
        secret_formats=POLICY / "secret_formats.yaml",
        **values,
    )


def config_of(
    definition: Any, modality: str = "code", language: str = "Python", **changes: Any
) -> Any:
    overrides = {definition.stage.value: changes} if changes else {}
    settings = FilterSettings(RAW, overrides)
    return settings.resolve(
        definition.stage, definition.config, modality=modality, language=language
    )


def judged(definition: Any, *rows: dict[str, Any], **changes: Any) -> list[Any]:
    context = context_of()
    return definition.judge(frame_of(*rows), config_of(definition, **changes), context)


GOOD = (
    '"""Adds things."""\n\n\ndef add(first, second):\n'
    '    """Returns the sum."""\n    return first + second\n\n\n'
) * 8
"""64 lines that pass every stage."""
