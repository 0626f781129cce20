"""The licence audit: every row at every stage judged again, from the stored tables.

| file | content |
|---|---|
| license_audit.json | everything below, for machines |
| license_audit.csv | rows, bytes and tokens by stage, source, concluded licence and action |
| license_audit.html | the same for a person, with ten example rows per licence and their evidence |

Each source stands there with what is claimed of it and what was found, whether it has rows or not.

The audit fails when any row of a mix, of a packed table, of what a checkpoint was trained on or of
what an export was made from is not admitted by the active use profile today, has no stored row
behind it, lacks provenance, comes from a source that the catalogue refuses or does not know, or is
otherwise a problem of its stage (see `table_audit.py`); and when the policy itself has a problem,
such as a decision that has expired. The tables before the mixes only inform: refused rows belong in
raw.

Cost: one group-by per table over its licence columns; content is never read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tritter_assets.compliance import html
from tritter_assets.compliance.claims import claims, claims_digest
from tritter_assets.compliance.licensed_rows import examples_of
from tritter_assets.compliance.report import (
    ReportSummary,
    as_json,
    markdown_table,
    store_report,
)
from tritter_assets.compliance.table_audit import (
    TRAINED,
    Auditor,
    audited_tables,
    policy_problems,
)
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake, fingerprint_of

STAGE_VERSION = "3"
"""2: claims and findings of every source. 3: functions, synthetic rows and exports; the gate is run
again over mixes."""

ASSET = "compliance/license_audit"

_COLUMNS = (
    "stage",
    "table",
    "source",
    "license_concluded",
    "action",
    "reason",
    "rows",
    "bytes",
    "tokens",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenseAudit:
    """What the stored tables say under one use profile."""

    use_profile: str
    policy_digest: str
    rows: pl.DataFrame
    """Columns of the CSV: one row per stage, table, source, licence, action and reason."""
    obligations: Mapping[str, int]
    """Obligation -> rows of mixes that carry it."""
    examples: Sequence[Mapping[str, Any]]
    problems: tuple[str, ...]
    warnings: Mapping[str, int]
    """What the policy admits with a warning -> rows of mixes."""

    @property
    def passed(self) -> bool:
        """True when nothing that trains is in doubt."""
        return not self.problems

    def totals(self) -> pl.DataFrame:
        """Rows, bytes and tokens by stage and action."""
        return (
            self.rows.group_by("stage", "action", maintain_order=True)
            .agg(pl.col("rows", "bytes", "tokens").sum())
            .select("stage", "action", "rows", "bytes", "tokens")
        )


def code_version(catalog: Catalog) -> str:
    """Returns what changes the audit besides the tables: this stage, the policy, the profile."""
    digest = fingerprint_of(
        catalog.policy.digest,
        catalog.profile.use_profile,
        catalog.profile.bytes_per_token,
        claims_digest(catalog),
    )
    return f"{STAGE_VERSION}.{digest}"


def audit(lake: Lake, catalog: Catalog) -> LicenseAudit:
    """Judges every row that the lake holds.

    Args:
        lake: The stored tables.
        catalog: The policy and the sources that are known.

    Returns:
        Counts at every stage, examples with evidence, and what cannot be shown.
    """
    frames: list[pl.DataFrame] = []
    raw: list[pl.DataFrame] = []
    problems = list(policy_problems(catalog.policy))
    obligations: dict[str, int] = {}
    warnings: dict[str, int] = {}
    auditor = Auditor(lake, catalog)
    for table in audited_tables(lake):
        audited = auditor.audit(table)
        found = audited.found
        frames.append(_counted(found, audited.stage, table))
        if audited.stage == "raw":
            raw.append(found.select("table", "license_concluded", "action", "reason", "examples"))
        if audited.stage in TRAINED:
            problems.extend(audited.problems)
        if audited.stage == "mix":
            _add(obligations, found, "obligations")
            _add(warnings, found, "warnings")
    if not frames:
        problems.append(
            "the lake holds no documents, so nothing was verified: is it the right one?"
        )
    return LicenseAudit(
        use_profile=catalog.profile.use_profile,
        policy_digest=catalog.policy.digest,
        rows=pl.concat(frames) if frames else _no_rows(),
        obligations=dict(sorted(obligations.items())),
        examples=list(examples_of(lake, pl.concat(raw))) if raw else [],
        problems=tuple(problems),
        warnings=dict(sorted(warnings.items())),
    )


def _no_rows() -> pl.DataFrame:
    numbers = ("rows", "bytes", "tokens")
    types = {name: pl.Int64() if name in numbers else pl.String() for name in _COLUMNS}
    return pl.DataFrame(schema=types)


def _counted(found: pl.DataFrame, stage: str, table: str) -> pl.DataFrame:
    keys = ("source", "license_concluded", "action", "reason")
    return (
        found.with_columns(pl.col("license_concluded").fill_null("(row not found)"))
        .group_by(keys)
        .agg(pl.col("rows", "bytes", "tokens").sum())
        .with_columns(stage=pl.lit(stage), table=pl.lit(table))
        .sort(keys)
        .select(_COLUMNS)
    )


def _add(total: dict[str, int], found: pl.DataFrame, column: str) -> None:
    kept = found.filter(pl.col("action") == "keep").select("rows", column)
    counted = kept.explode(column).drop_nulls().group_by(column).agg(pl.sum("rows"))
    for key, rows in counted.iter_rows():
        total[key] = total.get(key, 0) + rows


def write_license_audit(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the audit as the artifact set `compliance/license_audit`.

    Returns:
        A summary whose `passed` is the audit's: consumers treat false as a refusal.
    """
    found = audit(lake, catalog)
    totals = found.totals().to_dicts()
    by_license = _license_shares(found)
    gated = found.rows.filter(pl.col("stage").is_in(TRAINED))
    headline = (
        f"{int(gated['rows'].sum())} rows of mixes, packed tables, checkpoints and exports "
        f"re-verified under use profile {found.use_profile!r}: {len(found.problems)} problems"
    )
    document = {
        "use_profile": found.use_profile,
        "policy_digest": found.policy_digest,
        "passed": found.passed,
        "problems": list(found.problems),
        "warnings": found.warnings,
        "totals": totals,
        "license_shares_of_mixes": by_license,
        "obligations": found.obligations,
        "claims": claims(catalog, _rows_of_sources(found)),
        "rows": found.rows.to_dicts(),
        "examples": list(found.examples),
    }
    return store_report(
        lake,
        ASSET,
        {
            "license_audit.json": as_json(document),
            "license_audit.csv": _csv(found.rows),
            "license_audit.html": _page(found, totals, by_license, headline, catalog),
        },
        fingerprint=fingerprint,
        passed=found.passed,
        headline=headline,
        counts={
            "rows_verified": int(gated["rows"].sum()),
            "rows_not_admitted": int(gated.filter(pl.col("action") != "keep")["rows"].sum()),
            "licenses": found.rows["license_concluded"].n_unique(),
        },
        problems=found.problems,
        warnings=[f"{rows} rows of mixes: {text}" for text, rows in found.warnings.items()],
        tables={"totals": markdown_table(totals), "licenses_in_mixes": markdown_table(by_license)},
    )


def _rows_of_sources(found: LicenseAudit) -> dict[str, int]:
    raw = found.rows.filter(pl.col("stage") == "raw").group_by("source").agg(pl.sum("rows"))
    return dict(raw.iter_rows())


def _license_shares(found: LicenseAudit) -> list[dict[str, Any]]:
    mixes = found.rows.filter(pl.col("stage") == "mix")
    grouped = mixes.group_by("table", "license_concluded").agg(pl.col("rows", "tokens").sum())
    share = pl.col("tokens") / pl.col("tokens").sum().over("table")
    ordered = grouped.with_columns(token_share=share.fill_nan(0.0).round(4)).sort(
        "table", "tokens", "license_concluded", descending=[False, True, False]
    )
    return ordered.to_dicts()


def _csv(rows: pl.DataFrame) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows(rows.iter_rows())
    return text.getvalue().encode()


def _page(
    found: LicenseAudit,
    totals: list[dict[str, Any]],
    by_license: list[dict[str, Any]],
    headline: str,
    catalog: Catalog,
) -> bytes:
    titles = catalog.policy.obligations
    obligations = [
        {
            "obligation": key,
            "means": titles[key].title if key in titles else "",
            "discharged by": titles[key].discharged_by if key in titles else "",
            "rows": rows,
        }
        for key, rows in found.obligations.items()
    ]
    parts = [
        html.verdict_badge(found.passed, headline),
        html.definitions({"Use profile": found.use_profile, "Policy digest": found.policy_digest}),
        html.heading("Problems"),
        html.listing(found.problems) if found.problems else html.paragraph("None."),
        html.heading("Warnings"),
        html.table(["warning", "rows of mixes"], found.warnings.items()),
        html.heading("By stage and action"),
        html.records(totals, caption="Rows, bytes and tokens"),
        html.heading("Licences in the mixes"),
        html.records(by_license, caption="Share of tokens by concluded licence"),
        html.heading("Obligations"),
        html.records(obligations, caption="Obligations joined over all mixes"),
        html.heading("Claimed and found"),
        html.records(
            claims(catalog, _rows_of_sources(found)),
            caption="What is said of each source, and what its licence rests on",
        ),
    ]
    for stage in found.rows["stage"].unique(maintain_order=True):
        rows = found.rows.filter(pl.col("stage") == stage).drop("stage").to_dicts()
        parts += [
            html.heading(f"Stage: {stage}"),
            html.records(rows, caption=f"By source, licence and action, stage {stage}"),
        ]
    parts.append(html.heading("Example rows and their evidence"))
    shown: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for example in found.examples:
        key = (str(example["license_concluded"]), str(example["action"]))
        shown.setdefault(key, []).append(example)
    for (licence, action), rows in shown.items():
        trimmed = [
            {k: v for k, v in row.items() if k not in ("license_concluded", "action")}
            for row in rows
        ]
        parts.append(html.details(f"{licence}: {action} ({len(rows)})", html.records(trimmed)))
    return html.page("Licence audit", *parts)
