"""Expected fingerprints against stored ones: is a partition what its inputs now ask for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tritter_assets.dedup.index import ShardInput
from tritter_assets.defs.stage import Platform, Stage
from tritter_assets.functions.shards import left_shards
from tritter_assets.lake import PartitionState, fingerprint_of

ABSENT = "absent"
"""Stands for the data version of an input that was never materialised."""


class Status(StrEnum):
    """What the planner says of one partition."""

    FRESH = "fresh"
    MISSING = "missing"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Graph:
    """All stages by key, with the questions one asks of them."""

    stages: Mapping[str, Stage]

    def data_versions(
        self, platform: Platform, key: str, shard: str | None
    ) -> list[tuple[str, str]]:
        """Returns (partition, data version) pairs of an input as a consumer sees it.

        A partitioned consumer (`shard` given) reads the same shard of a partitioned input; any
        other consumer reads all of it.
        """
        stage = self.stages.get(key)
        lake = platform.lake
        if stage is None or (not stage.shards and stage.inner_shards is None):
            return [("table", _version(lake.state(key)))]
        if stage.inner_shards is not None:
            return [
                (f"{i.source}/{i.shard}", _version(lake.state(key, inner_partition(i))))
                for i in stage.inner_shards(platform)
            ]
        shards = (shard,) if shard in stage.shards else stage.shards
        return [(s, _version(lake.state(key, {"shard": s}))) for s in shards]

    def fingerprint(self, platform: Platform, stage: Stage, shard: str | None) -> str:
        """Returns what the partition would record if it were made now."""
        inputs = {key: self.data_versions(platform, key, shard) for key in stage.deps}
        upstream = (
            stage.upstream_digest(platform, shard)
            if stage.upstream_digest is not None and shard is not None
            else ""
        )
        extra = stage.extra_inputs(platform, shard) if stage.extra_inputs is not None else ""
        return fingerprint_of(stage.key, stage.code_version, inputs, upstream, extra)

    def inner_fingerprint(self, platform: Platform, stage: Stage, inner: ShardInput) -> str:
        """Returns what one (source, shard) of a stage sharded inside would record now.

        Only the inputs' rows of that (source, shard) count, so a new shard elsewhere leaves this
        one fresh.
        """
        versions: dict[str, str] = {}
        for key in stage.deps:
            upstream = self.stages.get(key)
            if upstream is None:
                continue
            if upstream.inner_shards is not None:
                versions[key] = _version(platform.lake.state(key, inner_partition(inner)))
            elif upstream.shards and key.rsplit("/", 1)[-1] == inner.source:
                versions[key] = _version(platform.lake.state(key, {"shard": inner.shard}))
        return fingerprint_of(stage.key, stage.code_version, versions)

    def assess(self, platform: Platform, stage: Stage, shard: str | None) -> tuple[Status, str]:
        """Compares the stored fingerprint with the expected one, and returns that one as well."""
        expected = self.fingerprint(platform, stage, shard)
        lake = platform.lake
        if stage.inner_shards is not None:
            found = [
                _compare(
                    lake.state(stage.key, inner_partition(inner)),
                    self.inner_fingerprint(platform, stage, inner),
                )
                for inner in stage.inner_shards(platform)
            ]
            if left_shards(lake, stage.key, platform.catalog.open_sources()):
                found.append(Status.STALE)  # a source left the catalogue, its rows are to go
            for status in (Status.STALE, Status.MISSING):
                if status in found:
                    return status, expected
            return (Status.FRESH if lake.exists(stage.key) else Status.MISSING), expected
        state = lake.state(stage.key, {"shard": shard} if shard is not None else {})
        return _compare(state, expected), expected

    def status(self, platform: Platform, stage: Stage, shard: str | None) -> Status:
        """Says whether a partition is what its inputs now ask for."""
        return self.assess(platform, stage, shard)[0]


def inner_partition(inner: ShardInput) -> dict[str, str]:
    """Partition columns of a table that is sharded inside its asset."""
    return {"source": inner.source, "shard": inner.shard}


def _version(state: PartitionState | None) -> str:
    return ABSENT if state is None else state.data_version


def _compare(state: PartitionState | None, expected: str) -> Status:
    if state is None:
        return Status.MISSING
    return Status.FRESH if state.fingerprint == expected else Status.STALE
