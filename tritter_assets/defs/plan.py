"""What is stale: the stages against the lake, without running anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tritter_assets.defs.freshness import Graph, Status
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform, Stage
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class PlannedAsset:
    """One partition of one asset, and whether it must be made."""

    key: str
    partition: str | None
    status: str
    reason: str


def plan_assets(settings: Settings) -> list[PlannedAsset]:
    """Lists every partition of the active profile with its status, inputs before consumers.

    A partition downstream of one that must be made is listed as stale as well, since its input's
    data version is not known yet.
    """
    platform = Platform.open(settings).frozen()
    return list(plan_graph(platform, build_graph(platform)))


def plan_graph(platform: Platform, graph: Graph) -> Iterator[PlannedAsset]:
    """Plans the stages of a graph that belong to the active profile."""
    pending: set[tuple[str, str | None]] = set()
    for stage in active_stages(platform, graph):
        for shard in stage.shards or (None,):
            planned = _plan(platform, graph, stage, shard, pending)
            if planned.status != Status.FRESH:
                pending.add((stage.key, shard))
            yield planned


def active_stages(platform: Platform, graph: Graph) -> Iterator[Stage]:
    """Yields the stages of active sources and everything global, inputs before consumers."""
    active = {contract.id for contract in platform.catalog.active_sources()}
    for stage in _walk(graph):
        if not stage.shards or stage.key.rsplit("/", 1)[-1] in active:
            yield stage


def _plan(
    platform: Platform,
    graph: Graph,
    stage: Stage,
    shard: str | None,
    pending: set[tuple[str, str | None]],
) -> PlannedAsset:
    waiting = [
        key
        for key in stage.deps
        if any(
            pending_key == key and (shard is None or pending_shard in (shard, None))
            for pending_key, pending_shard in pending
        )
    ]
    try:
        status = graph.status(platform, stage, shard)
    except UpstreamUnavailable as error:
        return PlannedAsset(stage.key, shard, "unavailable", str(error))
    if status is Status.FRESH and waiting:
        return PlannedAsset(stage.key, shard, Status.STALE.value, f"waits for {waiting[0]}")
    reasons = {
        Status.FRESH: "code version and inputs are unchanged",
        Status.MISSING: "never materialised",
        Status.STALE: "code version or an input's data version changed",
    }
    return PlannedAsset(stage.key, shard, status.value, reasons[status])


def _walk(graph: Graph) -> Iterator[Stage]:
    """Yields stages so that every stage comes after its inputs."""
    done: set[str] = set()

    def visit(stage: Stage) -> Iterator[Stage]:
        if stage.key in done:
            return
        done.add(stage.key)
        for dep in stage.deps:
            upstream = graph.stages.get(dep)
            if upstream is not None:
                yield from visit(upstream)
        yield stage

    for stage in graph.stages.values():
        yield from visit(stage)
