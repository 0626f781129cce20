"""Sensors: removal requests that people leave as files in a folder."""

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg

from tritter_assets.defs.forgetting import (
    Run,
    downstream_run,
    raw_version,
    removals_folder,
    source_runs,
    stale_shards,
)
from tritter_assets.defs.freshness import Graph
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.stage import Platform
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.drop_folder import REJECTED, read_requests, set_aside
from tritter_assets.lineage.forget import request_removals


def build_removal_sensor(base: Platform, graph: Graph, jobs: Iterable[Any]) -> dg.SensorDefinition:
    """Reads request files, records them, and requests the runs that make them true.

    Only shards that hold a covered row are requested, and what comes after them once they are done.
    When a raw table changed, what its rows add to earlier requests is recorded too.
    """
    folder = removals_folder(base.settings.project_root)

    @dg.sensor(
        name="removal_requests",
        jobs=list(jobs),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reads removal requests (YAML or JSON files) from the folder .tritter/removals of the "
            "project, and re-materialises what held the rows they cover. Files with mistakes are "
            "moved to .tritter/removals/rejected."
        ),
    )
    def removal_requests(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        found = read_requests(folder)
        for problem in found.lines:
            context.log.error(problem)
        opened = lake.open()
        platform = Platform(settings=base.settings, catalog=base.catalog, lake=opened)
        before = _cursor(context.cursor)
        pending = before["pending"]
        files = fingerprint_of([request.row() for request in found.requests])
        raw = raw_version(opened) if found.requests or _anyone_asked(opened) else ""
        if (files, raw) != (before["files"], before["raw"]):
            report = request_removals(opened, found.requests)
            pending = pending or bool(report.num_new or report.num_followers)
        # Only now: what was right in a bad file is recorded.
        moved = set_aside(folder, found)
        if moved:
            context.log.error(f"moved to {folder / REJECTED}: {', '.join(moved)}")
            files = fingerprint_of([r.row() for r in read_requests(folder).requests])
        runs: list[Run] = []
        if pending:
            runs = list(source_runs(stale_shards(platform, graph)))
            pending = bool(runs)
            runs = runs or [downstream_run(graph)]
        cursor = json.dumps({"files": files, "raw": raw, "pending": pending})
        key = fingerprint_of(read_removals(opened)["request"].to_list(), raw)
        if runs:
            asked = [run.request(key) for run in runs]
            return dg.SensorResult(run_requests=asked, cursor=cursor)
        context.update_cursor(cursor)
        return dg.SkipReason("; ".join(found.lines) or "no new request, no new copy")

    return removal_requests


def _anyone_asked(lake: Lake) -> bool:
    return not read_removals(lake).is_empty()


def _cursor(text: str | None) -> dict[str, Any]:
    try:
        stored = json.loads(text or "")
    except ValueError:
        stored = None
    empty = {"files": fingerprint_of([]), "raw": "", "pending": False}
    return stored if isinstance(stored, dict) and stored.keys() == empty.keys() else empty
