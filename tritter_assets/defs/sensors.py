"""Sensors: removal requests that people leave as files in a folder."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from tritter_assets.defs.build import asset_key
from tritter_assets.defs.freshness import Graph, Status
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.schedules import DOWNSTREAM_JOB, source_job_name
from tritter_assets.defs.stage import Group, Platform
from tritter_assets.lineage.drop_folder import read_requests
from tritter_assets.lineage.forget import request_removal

REMOVALS_FOLDER = "removals"

_AFTER_SOURCES = (
    Group.DEDUP,
    Group.FUNCTIONS,
    Group.SYNTHETIC,
    Group.MIXES,
    Group.PACKING,
    Group.COMPLIANCE,
)


def build_removal_sensor(base: Platform, graph: Graph, jobs: Iterable[Any]) -> dg.SensorDefinition:
    """Reads request files, records them, and requests the runs that make them true.

    Only shards that hold a covered row are requested. Training is not started: checkpoints that
    saw removed documents are marked, and a person decides.
    """
    folder = base.settings.project_root / ".tritter" / REMOVALS_FOLDER

    @dg.sensor(
        name="removal_requests",
        jobs=list(jobs),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reads removal requests (YAML or JSON files) from the folder .tritter/removals of the "
            "project, and re-materialises what held the rows they cover."
        ),
    )
    def removal_requests(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        requests, problems = read_requests(folder)
        for problem in problems:
            context.log.error(problem)
        seen = hashlib.sha256(repr(requests).encode()).hexdigest()
        if not requests or context.cursor == seen:
            return dg.SkipReason("; ".join(problems) or "no new request files")
        opened = lake.open()
        for request in requests:
            request_removal(
                opened, request.kind, request.value, request.reason, request.requested_at
            )
        platform = Platform(settings=base.settings, catalog=base.catalog, lake=opened)
        return dg.SensorResult(run_requests=list(_requests(platform, graph, seen)), cursor=seen)

    return removal_requests


def _requests(platform: Platform, graph: Graph, key: str) -> Iterator[dg.RunRequest]:
    for contract in platform.catalog.active_sources():
        stage = graph.stages[f"verdicts/{contract.id}"]
        for shard in contract.shards:
            if graph.status(platform, stage, shard) is Status.STALE:
                yield dg.RunRequest(
                    job_name=source_job_name(contract.id),
                    run_key=f"{key}-{contract.id}-{shard}",
                    partition_key=shard,
                    asset_selection=[
                        asset_key(f"{room}/{contract.id}")
                        for room in ("verdicts", "filtered", "signatures")
                    ],
                )
    yield dg.RunRequest(
        job_name=DOWNSTREAM_JOB,
        run_key=f"{key}-downstream",
        asset_selection=[
            asset_key(stage.key) for stage in graph.stages.values() if stage.group in _AFTER_SOURCES
        ],
    )
