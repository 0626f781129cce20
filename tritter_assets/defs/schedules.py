"""Jobs and schedules: a nightly pass over the active sources, and the reports."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from tritter_assets.defs.build import asset_key
from tritter_assets.defs.stage import Group, Platform

DOWNSTREAM_JOB = "build_downstream"
REPORTS_JOB = "compliance_reports"
DOWNSTREAM_GROUPS = tuple(
    group.value
    for group in Group
    if group not in (Group.RAW, Group.VERDICTS, Group.FILTERED, Group.SIGNATURES)
)
SOURCE_ROOMS = ("raw", "verdicts", "filtered", "signatures")


def source_job_name(source: str) -> str:
    """Name of the job that takes one shard of a source from raw to signatures."""
    return f"ingest_{source}"


def build_jobs(base: Platform) -> Iterable[Any]:
    """One job per active source, one for everything after them, and the reports."""
    for contract in base.catalog.active_sources():
        yield dg.define_asset_job(
            source_job_name(contract.id),
            selection=[asset_key(f"{room}/{contract.id}") for room in SOURCE_ROOMS],
            description=f"One shard of {contract.title}, from upstream to signatures.",
            tags={"tritter/source": contract.id},
        )
    yield dg.define_asset_job(
        DOWNSTREAM_JOB,
        selection=dg.AssetSelection.groups(*DOWNSTREAM_GROUPS),
        description="Everything after the sources; what is fresh is left as it is.",
    )
    yield dg.define_asset_job(
        REPORTS_JOB,
        selection=dg.AssetSelection.groups(Group.COMPLIANCE.value),
        description="All compliance reports, from the stored tables.",
    )


def build_schedules(base: Platform) -> list[dg.ScheduleDefinition]:
    """Nightly ingestion of every active shard, and nightly reports; both start stopped."""
    active = base.catalog.active_sources()
    schedules = [_nightly(contract.id, contract.shards) for contract in active]
    schedules.append(
        dg.ScheduleDefinition(
            name=f"nightly_{REPORTS_JOB}",
            job_name=REPORTS_JOB,
            cron_schedule="30 5 * * *",
            description="Writes every compliance report that is out of date.",
        )
    )
    return schedules


def _nightly(source: str, shards: tuple[str, ...]) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"nightly_{source}",
        job_name=source_job_name(source),
        cron_schedule="0 2 * * *",
        description="Requests every shard; those whose upstream is unchanged stay as they are.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        night = context.scheduled_execution_time.date().isoformat()
        for shard in shards:
            yield dg.RunRequest(
                run_key=f"{night}-{source}-{shard}",
                partition_key=shard,
                tags={"tritter/nightly": "true"},
            )

    return nightly
