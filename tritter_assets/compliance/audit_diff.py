"""What another use profile or policy folder would do, before anything is rebuilt.

Every stored row is judged twice over the licence facts that are stored now. An edit of each policy
file shows:

| edit of | shows as |
|---|---|
| categories, use profiles, generators, access terms, decisions | rows whose action changes |
| aliases | the conclusion is read again from the stored evidence (see `licensing/reread.py`) |
| opt_out | rows that a standing opt-out covers, reason `opted_out` |
| obligations | rows and tokens of mixes, packs, checkpoints and exports that owe each |
| decisions on upstream | rows of sources that are held back, reason `upstream_drift` |

A row that names could change, without the evidence saying how, is counted as uncertain and keeps
its stored conclusion: only ingesting tells. Filters' thresholds are no licence policy and are not
judged. Rows that were never ingested or fell to a filter are not there to be gained beyond raw.

Cost: one group-by per table, twice as many judgements; evidence is read only when names changed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tritter_assets.compliance.licensed_rows import judged
from tritter_assets.compliance.table_audit import (
    TRAINED,
    audited_tables,
    stage_of,
    table_groups,
    with_tokens,
)
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import Policy
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets.licensing.expression import NONE, normalize
from tritter_assets.licensing.reread import Reread, changed_names, reread
from tritter_assets.record import NOASSERTION
from tritter_assets.removal import covered_by
from tritter_assets.sources.drift import blocked_sources

_KEYS = (
    "stage",
    "source",
    "license_concluded",
    "generator",
    "before",
    "before_reason",
    "after",
    "after_reason",
    "license_after",
)
_COUNTS = ("rows", "tokens")
OPTED_OUT = "opted_out"
UPSTREAM_DRIFT = "upstream_drift"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditDiff:
    """Rows and tokens whose action changes."""

    before: str
    after: str
    changes: Sequence[dict[str, Any]]
    """stage, source, license_concluded, generator, before, before_reason, after, after_reason,
    license_after, rows, tokens; largest first within a stage."""
    totals: Sequence[dict[str, Any]]
    """stage, rows and tokens in all, and of them lost and gained."""
    obligations: Sequence[dict[str, Any]]
    """stage, obligation, rows and tokens that owe it before and after, where these differ."""
    uncertain: Sequence[dict[str, Any]]
    """stage, source, license_concluded, rows, tokens of rows whose conclusion may change, without
    the stored evidence saying how."""
    names: Sequence[str]
    """Names that would mean something else."""


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
    sides = (
        _Side.of(lake, catalog),
        _Side.of(
            lake,
            dataclasses.replace(
                catalog,
                policy=other,
                profile=dataclasses.replace(catalog.profile, use_profile=name),
            ),
        ),
    )
    names = changed_names(catalog.policy, other)
    also = _axes(names, sides)
    frames, owed, doubts = [], [], []
    for table in audited_tables(lake):
        groups = with_tokens(table_groups(lake, table, also=also), catalog.profile)
        if groups.is_empty():
            continue
        stage = stage_of(table)
        changed = _under(groups, sides) if names else groups.with_columns(certain=pl.lit(True))
        before, after = sides[0].judge(groups, "before"), sides[1].judge(changed, "after")
        frames.append(
            groups.select("source", "license_concluded", "generator", *_COUNTS).with_columns(
                stage=pl.lit(stage),
                before=before["action"],
                before_reason=before["reason"],
                after=after["action"],
                after_reason=after["reason"],
                license_after=changed["license_concluded"],
            )
        )
        doubts.append(
            changed.filter(~pl.col("certain")).select(
                pl.lit(stage).alias("stage"), "source", "license_concluded", *_COUNTS
            )
        )
        if stage in TRAINED:
            owed += [_owed(before, stage, "before"), _owed(after, stage, "after")]
    everything = pl.concat(frames) if frames else None
    return AuditDiff(
        before=catalog.profile.use_profile,
        after=name,
        changes=[] if everything is None else _changes(everything),
        totals=[] if everything is None else _totals(everything),
        obligations=_obligations(owed),
        uncertain=_summed(doubts, ["stage", "source", "license_concluded"]),
        names=names,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """One of the two policies, with what it holds back besides."""

    catalog: Catalog
    blocked: frozenset[str]

    @classmethod
    def of(cls, lake: Lake, catalog: Catalog) -> _Side:
        return cls(catalog=catalog, blocked=frozenset(blocked_sources(lake, catalog)))

    def judge(self, groups: pl.DataFrame, side: str) -> pl.DataFrame:
        """Judges groups; `out_<side>` says what a standing opt-out covers, if anything differs."""
        found = judged(groups, self.catalog.policy, self.catalog.profile.use_profile)
        out = pl.col(f"out_{side}") if f"out_{side}" in groups.columns else pl.lit(value=False)
        kept = pl.col("action") == "keep"
        held = kept & pl.col("source").is_in(sorted(self.blocked))
        reason = (
            pl.when(out.fill_null(value=False)).then(pl.lit(OPTED_OUT))
            .when(held).then(pl.lit(UPSTREAM_DRIFT))
            .otherwise("reason")
        )  # fmt: skip
        action = (
            pl.when(out.fill_null(value=False)).then(pl.lit("drop"))
            .when(held).then(pl.lit("quarantine"))
            .otherwise("action")
        )  # fmt: skip
        return found.with_columns(action=action, reason=reason)


def _axes(names: Sequence[str], sides: tuple[_Side, _Side]) -> dict[str, pl.Expr]:
    """What rows are told apart by besides licence facts, where the policies differ in it."""
    axes: dict[str, pl.Expr] = {}
    if names:
        # Evidence is long and seldom the same twice: only that of rows which names could change.
        spoken = pl.col("license_evidence").str.contains(_pattern(names))
        axes["evidence"] = pl.when(spoken).then("license_evidence")
    before, after = (side.catalog.policy.opt_out for side in sides)
    if before != after:
        axes["out_before"] = _opted_out(before)
        axes["out_after"] = _opted_out(after)
    return axes


def _pattern(names: Sequence[str]) -> str:
    """Matches evidence that says one of the names, as whole words, alone or in a longer text."""
    words = "|".join(r"\s+".join(map(re.escape, name.split())) for name in names)
    return rf"(?i)(?:^|[^a-z0-9])(?:{words})(?:$|[^a-z0-9])"


def _opted_out(opt_out: Mapping[str, tuple[str, ...]]) -> pl.Expr:
    listed = [
        {"kind": kind, "value": value} for kind, values in opt_out.items() for value in values
    ]
    return covered_by(pl.DataFrame(listed, schema={"kind": pl.String, "value": pl.String}))


def _under(groups: pl.DataFrame, sides: tuple[_Side, _Side]) -> pl.DataFrame:
    """Returns the groups with the licences they would have under the other policy's names."""
    before, after = (side.catalog.policy for side in sides)
    wrappers = {
        source: _wrapper(contract.licence.wrapper, before, after)
        for source, contract in sides[0].catalog.sources.items()
    }
    other = {source: wrapper for source, wrapper in wrappers.items() if wrapper is not None}
    numbered = groups.with_row_index("number").with_columns(
        license_wrapper=pl.col("source").replace_strict(
            other, default=pl.col("license_wrapper"), return_dtype=pl.String
        ),
        certain=pl.lit(value=True),
    )
    spoken = numbered.filter(pl.col("evidence").is_not_null())
    facts = ("license_concluded", "license_method", "license_confidence")
    found = [
        reread(evidence, Reread(*stored), before, after)
        for evidence, *stored in spoken.select("evidence", *facts).iter_rows()
    ]
    columns: dict[str, list[Any]] = {
        "license_concluded": [each.concluded for each in found],
        "license_method": [each.method for each in found],
        "license_confidence": [each.confidence for each in found],
        "certain": [each.certain for each in found],
    }
    changed = spoken.with_columns(
        pl.Series(name, values, dtype=numbered.schema[name]) for name, values in columns.items()
    )
    silent = numbered.filter(pl.col("evidence").is_null())
    return pl.concat([silent, changed]).sort("number").drop("number")


def _wrapper(claimed: str, before: Policy, after: Policy) -> str | None:
    """Returns what a source's wrapper would be called, if names change it."""
    old, new = normalize(claimed, before), normalize(claimed, after)
    return None if old == new or NONE in (old, new) else new or NOASSERTION


def _owed(judged_groups: pl.DataFrame, stage: str, side: str) -> pl.DataFrame:
    return (
        judged_groups.filter(pl.col("action") == "keep")
        .select("obligations", *_COUNTS)
        .explode("obligations")
        .drop_nulls("obligations")
        .select(
            pl.lit(stage).alias("stage"),
            pl.col("obligations").alias("obligation"),
            *(pl.col(name).alias(f"{name}_{side}") for name in _COUNTS),
        )
    )


def _obligations(owed: Sequence[pl.DataFrame]) -> list[dict[str, Any]]:
    if not owed:
        return []
    counts = [f"{name}_{side}" for side in ("before", "after") for name in _COUNTS]
    joined = pl.concat(owed, how="diagonal").group_by("stage", "obligation").agg(pl.sum(*counts))
    differing = joined.filter(
        pl.any_horizontal(pl.col(f"{n}_before") != pl.col(f"{n}_after") for n in _COUNTS)
    )
    return differing.select("stage", "obligation", *counts).sort("stage", "obligation").to_dicts()


def _summed(parts: Sequence[pl.DataFrame], keys: Sequence[str]) -> list[dict[str, Any]]:
    if not parts:
        return []
    return pl.concat(parts).group_by(keys).agg(pl.sum(*_COUNTS)).sort(keys).to_dicts()


def _changes(everything: pl.DataFrame) -> list[dict[str, Any]]:
    differs = pl.any_horizontal(
        pl.col("before") != pl.col("after"),
        pl.col("before_reason") != pl.col("after_reason"),
        pl.col("license_concluded").ne_missing(pl.col("license_after")),
    )
    return (
        everything.filter(differs)
        .group_by(_KEYS)
        .agg(pl.sum(*_COUNTS))
        .sort("stage", "tokens", *_KEYS[1:], descending=[False, True] + [False] * 8)
        .to_dicts()
    )


def _totals(everything: pl.DataFrame) -> list[dict[str, Any]]:
    kept_before, kept_after = pl.col("before") == "keep", pl.col("after") == "keep"
    lost, gained = kept_before & ~kept_after, ~kept_before & kept_after
    totals = everything.group_by("stage", maintain_order=True).agg(
        pl.sum("rows"),
        pl.sum("tokens"),
        rows_lost=pl.col("rows").filter(lost).sum(),
        tokens_lost=pl.col("tokens").filter(lost).sum(),
        rows_gained=pl.col("rows").filter(gained).sum(),
        tokens_gained=pl.col("tokens").filter(gained).sum(),
    )
    return totals.to_dicts()
