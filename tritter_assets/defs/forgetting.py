"""Which runs make removal requests true: the shards that hold covered rows, then what is after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from tritter_assets.defs.build import asset_key
from tritter_assets.defs.freshness import Graph, Status
from tritter_assets.defs.schedules import DOWNSTREAM_JOB, source_job_name
from tritter_assets.defs.stage import Group, Platform
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lineage.inventory import tables_under

REMOVALS_FOLDER = "removals"

Shard = tuple[str, str]
"""Source and shard."""

_ROOMS = ("verdicts", "filtered", "signatures")
_AFTER_SOURCES = (
    Group.DEDUP,
    Group.FUNCTIONS,
    Group.SYNTHETIC,
    Group.MIXES,
    Group.PACKING,
    Group.COMPLIANCE,
)
"""Training is not started: checkpoints that saw removed documents are marked, a person decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run that somebody should start."""

    job: str
    partition: str | None
    assets: tuple[dg.AssetKey, ...]

    def request(self, key: str) -> dg.RunRequest:
        """Returns it as a sensor asks for it; the same key is not asked for twice."""
        return dg.RunRequest(
            job_name=self.job,
            run_key=f"{key}-{self.job}-{self.partition or 'all'}",
            partition_key=self.partition,
            asset_selection=list(self.assets),
        )


def removals_folder(project_root: Path) -> Path:
    """Returns where people leave request files."""
    return project_root / ".tritter" / REMOVALS_FOLDER


def stale_shards(platform: Platform, graph: Graph) -> list[Shard]:
    """Returns the shards of active sources that have to be judged again, or applied, or signed."""
    frozen = platform.frozen()
    return [
        (contract.id, shard)
        for contract in platform.catalog.active_sources()
        for shard in contract.shards
        if any(
            graph.status(frozen, graph.stages[f"{room}/{contract.id}"], shard) is Status.STALE
            for room in _ROOMS
        )
    ]


def source_runs(shards: Sequence[Shard]) -> Iterator[Run]:
    """Yields a run per shard, from its verdicts on; raw rows are not fetched again."""
    for source, shard in shards:
        yield Run(
            job=source_job_name(source),
            partition=shard,
            assets=tuple(asset_key(f"{room}/{source}") for room in _ROOMS),
        )


def downstream_run(graph: Graph) -> Run:
    """Returns the run over everything after the sources; what is fresh is left as it is."""
    assets = [asset_key(s.key) for s in graph.stages.values() if s.group in _AFTER_SOURCES]
    return Run(job=DOWNSTREAM_JOB, partition=None, assets=tuple(assets))


def raw_version(lake: Lake) -> str:
    """Returns what changes when any raw table does: copies of removed documents may have come."""
    return fingerprint_of([(t, lake.table_version(t)) for t in tables_under(lake, "raw")])
