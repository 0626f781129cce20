"""The licence audit as a check of every stage, and the job that runs all of them anew.

In a run the check of a stage looks at what the run wrote and stops it. The job looks at everything
that is stored: a decision that expired in the night, a licence that moved upstream or a table that
something else wrote shows there, on the asset it concerns, without anything being made again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from tritter_assets.defs.stage import CheckOutcome, Platform, StageCheck
from tritter_assets.errors import LicenseRefused

if TYPE_CHECKING:
    from tritter_assets.compliance.table_audit import Auditor

CHECK = "license_audit"
_SHOWN_PROBLEMS = 10


def license_audit_check(table: str) -> StageCheck:
    """Every row of a table, or behind a checkpoint or an export, judged by the policy of today."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.compliance.table_audit import Auditor

        if not platform.lake.exists(table):
            return CheckOutcome(passed=True, facts={"rows": 0})
        mixes = (table,) if table.startswith("mix/") else ()
        auditor = Auditor(platform.lake, platform.catalog, mixes=mixes)
        return audit_outcome(platform, auditor, table, shards)

    return StageCheck(
        name=CHECK,
        description="Rows, tokens and share of tokens by licence, with ten examples. Fails on a "
        "row whose licence, wrapper, access terms or generator the active use profile does not "
        "admit (in raw: on one without provenance or of a refused source).",
        evaluate=evaluate,
    )


def require_admitted(platform: Platform, table: str) -> None:
    """Refuses to train on a packed table, or to export a checkpoint, that fails its audit.

    The checks above stop the run that wrote it; this one stands where it is used, in any run.

    Raises:
        LicenseRefused: with the problems.
    """
    from tritter_assets.compliance.table_audit import Auditor

    problems = Auditor(platform.lake, platform.catalog, mixes=()).audit(table).problems
    if problems:
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        raise LicenseRefused(f"{table} fails its licence audit, so nothing is made of it: {shown}")


def audit_outcome(
    platform: Platform, auditor: Auditor, table: str, shards: Sequence[str] = ()
) -> CheckOutcome:
    """Audits one table."""
    from tritter_assets.compliance.table_audit import examples

    found = auditor.audit(table, shards=shards)
    more = len(found.problems) - _SHOWN_PROBLEMS
    return CheckOutcome(
        passed=not found.problems,
        summary="\n".join(found.problems[:_SHOWN_PROBLEMS])
        + (f"\nand {more} more problems" if more > 0 else ""),
        facts={
            "use_profile": platform.catalog.profile.use_profile,
            "rows": found.rows,
            "tokens": found.tokens,
            "not_admitted": found.refused,
            "licences": found.licences(),
            "examples": examples(platform.lake, found, shards=shards),
            "problems": list(found.problems),
        },
    )


def audit_everything(
    platform: Platform, checked: Collection[str]
) -> tuple[dict[str, CheckOutcome], list[str]]:
    """Audits all that the lake holds.

    Args:
        platform: The lake and the policy.
        checked: Keys of the assets that have the check.

    Returns:
        Outcome of each of these assets, and every problem: of theirs, of tables without an asset,
        such as those of a source that left the catalogue, and of the policy itself.
    """
    from tritter_assets.compliance.table_audit import Auditor, audited_tables, policy_problems

    auditor = Auditor(platform.lake, platform.catalog)
    outcomes: dict[str, CheckOutcome] = {}
    problems = list(policy_problems(platform.catalog.policy))
    for table in audited_tables(platform.lake):
        outcome = audit_outcome(platform, auditor, table)
        found: Any = outcome.facts["problems"]
        problems += found
        if table in checked:
            outcomes[table] = outcome
    return outcomes, problems
