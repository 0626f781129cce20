"""What another use profile or policy folder would do, before anything is rebuilt.

The verdicts are taken over the licence facts that are stored now; a policy that changes how
licences are concluded (aliases, decisions on content) shows only after raw is materialised again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tritter_assets.compliance.licensed_rows import audited_tables, judged
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import Policy
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake

_KEYS = (
    "stage",
    "source",
    "license_concluded",
    "generator",
    "before",
    "before_reason",
    "after",
    "after_reason",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditDiff:
    """Rows and tokens whose action changes."""

    before: str
    after: str
    changes: Sequence[dict[str, Any]]
    """stage, source, license_concluded, generator, before, before_reason, after, after_reason,
    rows, tokens; largest first within a stage."""
    totals: Sequence[dict[str, Any]]
    """stage, rows and tokens in all, and of them lost and gained."""


def audit_diff(
    lake: Lake, catalog: Catalog, *, use_profile: str | None = None, policy: Policy | None = None
) -> AuditDiff:
    """Compares the active policy with another use profile, another policy, or both.

    Args:
        lake: The stored tables.
        catalog: The active policy and profile.
        use_profile: Key of the other policy's use profiles; the active one if not given.
        policy: The other policy; the active one if not given.

    Raises:
        ContractViolation: the use profile is not in the policy.
    """
    other = policy or catalog.policy
    name = use_profile or catalog.profile.use_profile
    if name not in other.use_profiles:
        raise ContractViolation(
            f"use profile {name!r} is not in the policy: use one of {sorted(other.use_profiles)}"
        )
    frames = []
    for stage, _, groups in audited_tables(lake):
        if groups.is_empty():
            continue
        tokens = (pl.col("bytes") / catalog.profile.bytes_per_token).round().cast(pl.Int64)
        counted = groups if "tokens" in groups.columns else groups.with_columns(tokens=tokens)
        before = judged(counted, catalog.policy, catalog.profile.use_profile)
        after = judged(counted, other, name)
        frames.append(
            before.select(
                "source",
                "license_concluded",
                "generator",
                "rows",
                "tokens",
                stage=pl.lit(stage),
                before="action",
                before_reason="reason",
                after=after["action"],
                after_reason=after["reason"],
            )
        )
    if not frames:
        return AuditDiff(before=catalog.profile.use_profile, after=name, changes=(), totals=())
    everything = pl.concat(frames)
    changes = (
        everything.filter(pl.col("before") != pl.col("after"))
        .group_by(_KEYS)
        .agg(pl.col("rows", "tokens").sum())
        .sort("stage", "tokens", *_KEYS[1:], descending=[False, True] + [False] * 7)
    )
    kept_before, kept_after = pl.col("before") == "keep", pl.col("after") == "keep"
    totals = everything.group_by("stage", maintain_order=True).agg(
        pl.sum("rows"),
        pl.sum("tokens"),
        rows_lost=pl.col("rows").filter(kept_before & ~kept_after).sum(),
        tokens_lost=pl.col("tokens").filter(kept_before & ~kept_after).sum(),
        rows_gained=pl.col("rows").filter(~kept_before & kept_after).sum(),
        tokens_gained=pl.col("tokens").filter(~kept_before & kept_after).sum(),
    )
    return AuditDiff(
        before=catalog.profile.use_profile,
        after=name,
        changes=changes.to_dicts(),
        totals=totals.to_dicts(),
    )
