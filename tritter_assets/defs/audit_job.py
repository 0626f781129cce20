"""The job `audit` and its schedule.

No postponed annotations in this module: Dagster reads those of the op as it is defined.
"""

import dagster as dg

from tritter_assets.defs.audit import CHECK, audit_everything
from tritter_assets.defs.build import asset_key, check_metadata
from tritter_assets.defs.freshness import Graph
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.stage import Platform

AUDIT_JOB = "audit"
_SHOWN_PROBLEMS = 20


def build_audit_job(base: Platform, graph: Graph) -> dg.JobDefinition:
    """A job that audits all that is stored and records the result on each asset.

    It is one step, not one per asset: two hundred steps would cost every load of the definitions.
    """
    checked = {
        key for key, stage in graph.stages.items() if any(c.name == CHECK for c in stage.checks)
    }

    @dg.op(
        name="audit_stored_tables",
        description="Judges every stored row, and what every checkpoint and export was made from, "
        "by the policy of today; fails when anything that may not be there is.",
    )
    def audit_stored_tables(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        platform = Platform(settings=base.settings, catalog=base.catalog, lake=lake.open())
        outcomes, problems = audit_everything(platform, checked)
        for key, outcome in outcomes.items():
            context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=asset_key(key),
                    check_name=CHECK,
                    passed=outcome.passed,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=outcome.summary or None,
                    metadata=check_metadata(outcome),
                )
            )
        context.log.info(f"{len(outcomes)} assets audited: {len(problems)} problems")
        if problems:
            raise dg.Failure(
                description=f"{len(problems)} problems, the first: {problems[0]}",
                metadata={"problems": dg.MetadataValue.json(problems[:_SHOWN_PROBLEMS])},
            )

    @dg.job(
        name=AUDIT_JOB,
        description="Licence audit of everything that is stored; nothing is made again.",
    )
    def audit() -> None:
        audit_stored_tables()

    return audit


def build_audit_schedule() -> dg.ScheduleDefinition:
    """Every night, after ingestion and before the reports; starts stopped like they do."""
    return dg.ScheduleDefinition(
        name=f"nightly_{AUDIT_JOB}",
        job_name=AUDIT_JOB,
        cron_schedule="0 5 * * *",
        description="Audits all that is stored, so that what expired in the night shows.",
    )
