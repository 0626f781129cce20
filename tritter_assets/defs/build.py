"""Builds the Dagster asset of a stage: one body for all, because freshness and metadata are one.

No postponed annotations in this module: Dagster reads those of the asset body as it is defined.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from tritter_assets.defs.automation import refresh_condition
from tritter_assets.defs.freshness import Graph, Status, inner_partition
from tritter_assets.defs.metadata import (
    column_lineage,
    license_counts,
    report_metadata,
    state_metadata,
    table_schema,
)
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.stage import CheckOutcome, Platform, Stage, StageCheck, Step
from tritter_assets.lake import PartitionState, fingerprint_of


def asset_key(key: str) -> dg.AssetKey:
    """Returns the Dagster key of a table name."""
    return dg.AssetKey(key.split("/"))


def build_asset(stage: Stage, graph: Graph, base: Platform) -> dg.AssetsDefinition:
    """Returns the asset of a stage."""
    static: dict[str, Any] = dict(stage.facts)
    if stage.schema is not None:
        static["dagster/column_schema"] = table_schema(
            stage.schema, base.catalog.table_contract(stage.key)
        )

    @dg.asset(
        key=asset_key(stage.key),
        deps=[asset_key(dep) for dep in stage.deps],
        group_name=stage.group.value,
        description=stage.description,
        owners=[stage.owner],
        tags=dict(stage.tags),
        kinds=set(stage.kinds),
        metadata=static,
        code_version=stage.code_version,
        partitions_def=dg.StaticPartitionsDefinition(list(stage.shards)) if stage.shards else None,
        # One run may take a range of shards; each shard is still its own commit.
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=refresh_condition() if stage.automated else None,
        check_specs=[
            dg.AssetCheckSpec(
                name=check.name,
                asset=asset_key(stage.key),
                description=check.description,
                blocking=check.blocking,
            )
            for check in stage.checks
        ],
        pool=stage.pool,
        output_required=True,
    )
    def stage_asset(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        platform = Platform(settings=base.settings, catalog=base.catalog, lake=lake.open())
        shards = tuple(context.partition_keys) if stage.shards else ()
        versions = refresh(stage, graph, platform, shards or (None,), context)
        return dg.MaterializeResult(
            metadata=_closing_metadata(stage, graph, platform, shards),
            data_version=dg.DataVersion(
                versions[0] if len(versions) == 1 else fingerprint_of(versions)
            ),
            check_results=[_check_result(stage, check, platform, shards) for check in stage.checks],
        )

    return stage_asset


def refresh(
    stage: Stage,
    graph: Graph,
    platform: Platform,
    shards: Sequence[str | None],
    context: dg.AssetExecutionContext,
) -> list[str]:
    """Makes the partitions that are not fresh and returns the data version of each."""
    if stage.together is None or stage.inner_shards is not None:
        return [_refresh(stage, graph, platform, shard, context) for shard in shards]
    steps: dict[str | None, Step] = {}
    for shard in shards:
        step = _stale_step(stage, graph, platform, shard, context)
        if step is not None:
            steps[shard] = step
    started = time.perf_counter()
    reports = stage.together(list(steps.values())) if steps else []
    seconds = round(time.perf_counter() - started, 3)
    made = {
        shard: {**report_metadata(report), "tritter/seconds_together": seconds}
        for shard, report in zip(steps, reports, strict=True)
    }
    return [_record(stage, platform, shard, made.get(shard), context) for shard in shards]


def _refresh(
    stage: Stage,
    graph: Graph,
    platform: Platform,
    shard: str | None,
    context: dg.AssetExecutionContext,
) -> str:
    step = _stale_step(stage, graph, platform, shard, context)
    if step is None:
        return _record(stage, platform, shard, None, context)
    started = time.perf_counter()
    made = report_metadata(stage.work(step))
    made["tritter/seconds"] = round(time.perf_counter() - started, 3)
    return _record(stage, platform, shard, made, context)


def _stale_step(
    stage: Stage,
    graph: Graph,
    platform: Platform,
    shard: str | None,
    context: dg.AssetExecutionContext,
) -> Step | None:
    """Returns the work that a partition needs; None when it is fresh."""
    before = platform.frozen()
    status, fingerprint = graph.assess(before, stage, shard)
    if status is Status.FRESH:
        return None
    return Step(
        platform=platform,
        key=stage.key,
        shard=shard,
        fingerprint=fingerprint,
        shard_fingerprint=lambda inner: graph.inner_fingerprint(before, stage, inner),
        expected_fingerprint=lambda key: graph.fingerprint(before, graph.stages[key], None),
        current_fingerprint=lambda: graph.fingerprint(before, stage, shard),
        context=context,
    )


def _record(
    stage: Stage,
    platform: Platform,
    shard: str | None,
    made: Mapping[str, Any] | None,
    context: dg.AssetExecutionContext,
) -> str:
    """Attaches what is stored of a partition to the run; returns its data version."""
    name = stage.key if shard is None else f"{stage.key}[{shard}]"
    metadata: dict[str, Any] = {"tritter/recomputed": made is not None, **(made or {})}
    states = _states(stage, platform, shard)
    metadata |= state_metadata(states, partitioned=shard is not None)
    if stage.schema is not None and stage.inner_shards is None:
        partition = {"shard": shard} if shard is not None else {}
        metadata |= license_counts(platform.lake, stage.key, partition, stage.schema)
    if made is None:
        context.log.info(f"{name}: fresh")
    else:
        rows = sum(state.num_rows for state in states)
        seconds = made.get("tritter/seconds", made.get("tritter/seconds_together", 0.0))
        context.log.info(f"{name}: {rows:,} rows in {seconds:.1f} s")
    if shard is None:
        context.add_asset_metadata(metadata)
    else:
        context.add_asset_metadata(metadata, partition_key=shard)
    versions = [state.data_version for state in states]
    return versions[0] if len(versions) == 1 else fingerprint_of(versions)


def _states(stage: Stage, platform: Platform, shard: str | None) -> list[PartitionState]:
    if stage.inner_shards is not None:
        partitions = [inner_partition(i) for i in stage.inner_shards(platform)]
    else:
        partitions = [{"shard": shard} if shard is not None else {}]
    found = (platform.lake.state(stage.key, partition) for partition in partitions)
    return [state for state in found if state is not None]


def _closing_metadata(
    stage: Stage, graph: Graph, platform: Platform, shards: tuple[str, ...]
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if stage.schema is not None:
        inputs = {
            dep: upstream.schema
            for dep in stage.deps
            if (upstream := graph.stages.get(dep)) is not None and upstream.schema is not None
        }
        lineage = column_lineage(stage.schema, inputs)
        if lineage is not None:
            metadata["dagster/column_lineage"] = lineage
    if stage.plot is not None:
        picture = stage.plot(platform)
        if picture:
            metadata["tritter/plot"] = dg.MetadataValue.md(picture)
    if shards:
        states = [platform.lake.state(stage.key, {"shard": shard}) for shard in stage.shards]
        made = [state for state in states if state is not None]
        metadata["dagster/row_count"] = sum(state.num_rows for state in made)
        metadata["tritter/shards_made"] = f"{len(made)} of {len(stage.shards)}"
    return metadata


def _check_result(
    stage: Stage, check: StageCheck, platform: Platform, shards: tuple[str, ...]
) -> dg.AssetCheckResult:
    outcome = check.evaluate(platform, shards)
    return dg.AssetCheckResult(
        asset_key=asset_key(stage.key),
        check_name=check.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR
        if check.blocking and not outcome.warns_only
        else dg.AssetCheckSeverity.WARN,
        description=outcome.summary or None,
        metadata=check_metadata(outcome),
    )


def check_metadata(outcome: CheckOutcome) -> dict[str, Any]:
    """Returns what a check found as Dagster metadata; what is empty is left out."""
    return {
        key: _as_metadata(value) for key, value in outcome.facts.items() if value not in ([], {})
    }


def _as_metadata(value: Any) -> Any:
    if isinstance(value, bool | int | float | str | dg.MetadataValue):
        return value
    return dg.MetadataValue.json(value)
