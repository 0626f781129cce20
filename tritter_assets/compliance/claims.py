"""What is claimed of each source and what was found, side by side, for the licence audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import fingerprint_of


def claims(catalog: Catalog, rows: Mapping[str, int]) -> list[dict[str, Any]]:
    """Returns one row per contract of the catalogue that says both, in order of id.

    Args:
        catalog: The contracts.
        rows: Source -> rows of it that the lake holds.
    """
    found: list[dict[str, Any]] = []
    for name, contract in sorted(catalog.sources.items()):
        licence = contract.licence
        if not (licence.claimed and licence.found):
            continue
        found.append(
            {
                "source": name,
                "rows": rows.get(name, 0),
                "claimed": licence.claimed,
                "found": licence.found,
                "evidence": licence.evidence,
                "as_of": str(licence.as_of or ""),
                "refused_by": contract.refusal.clause if contract.refusal else "",
            }
        )
    return found


def claims_digest(catalog: Catalog) -> str:
    """Returns what changes whenever a contract claims or finds something else."""
    return fingerprint_of(claims(catalog, {}))
