"""One parent out of several: what a row made from more than one document takes over.

Every licence that covers a part covers the whole, so licences are joined with AND, attribution
and people are the union, confidence and quality the least. Who or what wrote it must be one answer:
parents with different generators, neither of them a person, have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritter_assets.licensing.expression import join_and
from tritter_assets.record import HUMAN, LicenseMethod

_JOINED = ("license_concluded", "license_wrapper")


def joint_parent(
    parents: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Joins rows of one source and repository.

    Args:
        parents: Rows with `inherit.PARENT_COLUMNS`; the first gives path, language and address.

    Returns:
        A row for `inherit.child_row`, and the evidence entries of the other parents; None when no
        single generator or access term covers them all.
    """
    generators = sorted({row["generator"] for row in parents} - {HUMAN})
    terms = {row["access_terms"] for row in parents}
    if len(generators) > 1 or len(terms) > 1:
        return None
    first, *others = parents
    joint = dict(first)
    for column in _JOINED:
        joint[column] = join_and(row[column] for row in parents)
    declared = {row["license_declared"] for row in parents if row["license_declared"]}
    joint["license_declared"] = join_and(declared) if declared else None
    joint["license_confidence"] = min(float(row["license_confidence"]) for row in parents)
    joint["generator"] = generators[0] if generators else HUMAN
    joint["attribution"] = _lines(parents)
    joint["author_emails"] = sorted({m for row in parents for m in row["author_emails"] or ()})
    scores = [row["quality_score"] for row in parents]
    joint["quality_score"] = None if None in scores else min(scores)
    joint["derived_from"] = sorted(
        {row["id"] for row in others} | {i for row in parents for i in row["derived_from"] or ()}
    )
    evidence = [
        {
            "method": LicenseMethod.INHERITED,
            "value": row["license_concluded"],
            "where": row["id"],
            "confidence": round(float(row["license_confidence"]), 4),
        }
        for row in others
    ]
    return joint, evidence


def _lines(parents: Sequence[Mapping[str, Any]]) -> str | None:
    lines = [line for row in parents for line in (row["attribution"] or "").splitlines()]
    return "\n".join(dict.fromkeys(line for line in lines if line.strip())) or None
