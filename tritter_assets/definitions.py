"""What exists: every asset, job, schedule and sensor, made from the contracts.

Reading path: this file -> `defs/<room>.py` (what Dagster needs to know) -> `<room>/<stage>.py` (the
work) -> `data_contracts/` (the promise).
"""

from __future__ import annotations

import gc
import warnings

import dagster as dg

from tritter_assets.defs.audit_job import build_audit_job, build_audit_schedule
from tritter_assets.defs.automation import build_automation_sensor
from tritter_assets.defs.build import build_asset
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.progress import progress_logger
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.schedules import build_jobs, build_schedules
from tritter_assets.defs.sensors import build_removal_sensor
from tritter_assets.defs.sources import broken_asset, refused_asset
from tritter_assets.defs.stage import Platform
from tritter_assets.defs.upstream import build_observe_job, build_observe_schedule
from tritter_assets.settings import Settings, load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """The code location, for the settings of this process."""
    return build_definitions(load_settings())


def build_definitions(settings: Settings) -> dg.Definitions:
    """Builds the definitions for given settings; tests and tools call this."""
    # What is built here lives as long as the process; collecting in between costs 0.2 s a load.
    gc.disable()
    try:
        return _build(settings)
    finally:
        gc.enable()


def _build(settings: Settings) -> dg.Definitions:
    base = Platform.open(settings)
    graph = build_graph(base)
    with warnings.catch_warnings():
        # Backfill policies are marked beta; ranges of shards in one run are what we need them for.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [build_asset(stage, graph, base) for stage in graph.stages.values()]
    jobs = [*build_jobs(base), build_observe_job(base), build_audit_job(base, graph)]
    closed = [
        refused_asset(contract)
        for contract in base.catalog.sources.values()
        if contract.refusal is not None
    ] + [broken_asset(name, problems) for name, problems in base.catalog.problems.items()]
    return dg.Definitions(
        assets=[*assets, *(asset for asset, _ in closed)],
        asset_checks=[check for _, check in closed],
        jobs=jobs,
        schedules=[*build_schedules(base), build_observe_schedule(), build_audit_schedule()],
        sensors=[build_automation_sensor(), build_removal_sensor(base, graph, jobs)],
        resources={"lake": lake_resource(settings)},
        loggers={"console": progress_logger},
        # A step costs 12-30 ms in process against 3.4 CPU seconds in a process of its own;
        # heavy work starts its own process through Pipes.
        executor=dg.in_process_executor,
    )


def lake_resource(settings: Settings) -> LakeResource:
    """Returns the lake of the settings; dagster-aws is imported only for one on S3."""
    if settings.lake_root.startswith(("s3://", "s3a://")):
        from tritter_assets.defs.s3_resource import build_s3_lake_resource

        return build_s3_lake_resource(settings)
    return LakeResource(root=settings.lake_root)
