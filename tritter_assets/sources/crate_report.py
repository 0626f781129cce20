"""The licence filter per crate: what each crate's rows concluded, and what the policy does.

The verdict is the policy gate's own (`licensing.admit`), asked of the rows of `raw/<source>`;
nothing is decided here. Cost: one scan of metadata columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.source import SourceContract
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import FACTS, admit_frame


@dataclass(frozen=True, kw_only=True, slots=True)
class CrateLicence:
    """One crate under one use profile."""

    crate: str
    version: str
    licences: Mapping[str, int]
    """Concluded expression -> rows, the most frequent first."""
    num_rows: int
    num_admitted: int
    reasons: Mapping[str, int]
    """Why rows are held back -> rows."""


def license_by_crate(
    lake: Lake, contract: SourceContract, *, policy: Policy, use_profile: str
) -> tuple[CrateLicence, ...]:
    """Returns every crate that has rows in `raw/<source>`, sorted by name."""
    table = f"raw/{contract.id}"
    if not lake.exists(table):
        return ()
    columns = ["id", "repo", "revision", *FACTS]
    rows = lake.scan(table).select(columns).collect()
    verdicts = admit_frame(rows, policy, use_profile).select("action", "reason")
    judged = rows.with_columns(verdicts.get_columns())
    found = []
    for (repo, version), part in sorted(
        judged.partition_by("repo", "revision", as_dict=True).items()
    ):
        kept = part.filter(pl.col("action") == "keep").height
        held = part.filter(pl.col("action") != "keep")
        found.append(
            CrateLicence(
                crate=str(repo).removeprefix("crate/"),
                version=str(version),
                licences=_counts(part["license_concluded"]),
                num_rows=part.height,
                num_admitted=kept,
                reasons=_counts(held["reason"]),
            )
        )
    return tuple(found)


def crate_table(crates: Sequence[CrateLicence], use_profile: str) -> str:
    """Returns the report as a Markdown table."""
    lines = [
        f"| crate | version | concluded licence | rows | admitted by `{use_profile}` | held back |",
        "|---|---|---|---:|---:|---|",
    ]
    for crate in crates:
        licences, reasons = _cell(crate.licences), _cell(crate.reasons)
        numbers = f"{crate.num_rows} | {crate.num_admitted}"
        lines.append(f"| {crate.crate} | {crate.version} | {licences} | {numbers} | {reasons} |")
    return "\n".join(lines)


def _counts(values: pl.Series) -> dict[str, int]:
    counted = values.value_counts().iter_rows()
    return dict(sorted(counted, key=lambda item: (-item[1], item[0])))


def _cell(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{name} ({count})" for name, count in counts.items())
