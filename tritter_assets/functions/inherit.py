"""Rows made from other rows: what a child takes over, so that licences and taint cannot be lost.

A child has its parent's licence on all axes, its attribution and opt-out keys, and names the parent
in `derived_from` together with the parent's own parents, so removing an ancestor finds it. Its
generator is the parent's; only what a program makes out of human work becomes `rule_based`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tritter_assets.record import (
    DOCUMENT_SCHEMA,
    HUMAN,
    LicenseMethod,
    Modality,
    content_sha256,
    document_id,
)

RULE_BASED = "rule_based"
"""`generator` of a row that a program of this project made out of human work."""

PARENT_COLUMNS = (
    "id", "source", "shard", "repo", "path", "revision", "url", "language", "modality", "split",
    "content", "license_declared", "license_concluded", "license_confidence", "license_wrapper",
    "access_terms", "generator", "attribution", "owner", "author_emails", "derived_from",
    "quality_score",
)  # fmt: skip
"""Columns of a parent that its children need."""

_TAKEN_OVER = (
    "source", "shard", "repo", "path", "revision", "url", "language", "split", "license_declared",
    "license_concluded", "license_confidence", "license_wrapper", "access_terms", "generator",
    "attribution", "owner", "author_emails", "quality_score",
)  # fmt: skip


def child_row(
    parent: Mapping[str, Any],
    *,
    anchor: str,
    content: str,
    modality: Modality,
    evidence: Sequence[Mapping[str, Any]] = (),
    **columns: Any,
) -> dict[str, Any]:
    """Makes a row of the document schema out of a parent row.

    Args:
        parent: A row with `PARENT_COLUMNS`.
        anchor: Tells the children of one parent apart, e.g. `Class.method:12`; part of the id.
        content: The whole text of the child.
        modality: What the child trains.
        evidence: Further entries for `license_evidence`, e.g. how the text was changed.
        **columns: Other columns of the document schema to set.
    """
    inherited = {
        "method": LicenseMethod.INHERITED,
        "value": parent["license_concluded"],
        "where": parent["id"],
        "confidence": round(float(parent["license_confidence"]), 4),
    }
    row: dict[str, Any] = dict.fromkeys(DOCUMENT_SCHEMA.names)
    row.update({name: parent[name] for name in _TAKEN_OVER})
    row.update(
        id=document_id(parent["source"], parent["repo"], f"{parent['path']}#{anchor}", content),
        modality=modality,
        content=content,
        content_sha256=content_sha256(content),
        content_bytes=len(content.encode("utf-8", "surrogatepass")),
        license_method=LicenseMethod.INHERITED,
        license_evidence=json.dumps([inherited, *evidence], sort_keys=True),
        derived_from=sorted({parent["id"], *(parent["derived_from"] or ())}),
    )
    row.update(columns)
    return row


def made_by_rule(parent: Mapping[str, Any]) -> str:
    """Returns the generator of a text that a program made from `parent`: taint passes on."""
    generator = parent["generator"]
    return RULE_BASED if generator == HUMAN else generator
