"""A stage of the graph, declared once: what the asset, the planner and the checks all read.

A stage's asset key is the name of its lake table. Freshness is decided by the lake alone: a
partition is fresh when its stored fingerprint equals the one expected from the stage's code
version and its inputs' data versions. Dagster shows the same versions; it does not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pyarrow as pa

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.dedup.index import ShardInput
from tritter_assets.lake import ArtifactStore, Lake, LakeSnapshot
from tritter_assets.settings import Settings


class Group(StrEnum):
    """Asset groups; the number keeps the catalogue in the order data flows."""

    RAW = "g01_raw"
    VERDICTS = "g02_verdicts"
    FILTERED = "g03_filtered"
    SIGNATURES = "g04_signatures"
    DEDUP = "g05_dedup"
    FUNCTIONS = "g06_functions"
    SYNTHETIC = "g07_synthetic"
    MIXES = "g08_mixes"
    PACKING = "g09_packing"
    TRAINING = "g10_training"
    COMPLIANCE = "g11_compliance"
    EXPORT = "g12_export"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What every stage may use: settings, contracts and the lake of this run."""

    settings: Settings
    catalog: Catalog
    lake: Lake

    @classmethod
    def open(cls, settings: Settings) -> Platform:
        """Opens the contracts and the lake of the settings."""
        return cls(settings=settings, catalog=settings.catalog(), lake=settings.lake())

    def frozen(self) -> Platform:
        """The same platform over a lake that is seen once; for planning, not for work."""
        return replace(self, lake=LakeSnapshot(self.lake.location))

    @property
    def artifacts(self) -> ArtifactStore:
        """The artifact store of this lake."""
        return self.settings.artifacts(self.lake)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of work: a stage, one of its partitions (or none), and what it must record."""

    platform: Platform
    key: str
    shard: str | None
    fingerprint: str
    shard_fingerprint: Callable[[ShardInput], str]
    """For stages sharded inside: the fingerprint of one (source, shard)."""
    expected_fingerprint: Callable[[str], str]
    """The fingerprint that another (unpartitioned) stage must carry to be current."""
    current_fingerprint: Callable[[], str]
    """`fingerprint` anew, for work that finds out what its extra inputs are."""
    context: Any
    """The Dagster execution context; only stages that launch a process use it."""

    @property
    def lake(self) -> Lake:
        """The lake of this run."""
        return self.platform.lake

    @property
    def catalog(self) -> Catalog:
        """The contracts of this run."""
        return self.platform.catalog


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What a check found, in stored tables only."""

    passed: bool
    warns_only: bool = False
    """When it did not pass: nothing that a blocking check must stop a run for."""
    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageCheck:
    """A check of a stage. `evaluate` reads stored tables, so it can be run again at any time."""

    name: str
    description: str
    evaluate: Callable[[Platform, Sequence[str]], CheckOutcome]
    """Takes the platform and the shards of this run (empty for an unpartitioned stage)."""
    blocking: bool = True


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One asset of the graph."""

    key: str
    group: Group
    description: str
    code_version: str
    work: Callable[[Step], Any]
    """Does the work of one partition and returns the room's report."""
    together: Callable[[Sequence[Step]], Sequence[Any]] | None = None
    """Does the work of many partitions at once (on a cluster) and returns their reports."""
    deps: tuple[str, ...] = ()
    shards: tuple[str, ...] = ()
    """Static partitions; empty for an unpartitioned asset."""
    inner_shards: Callable[[Platform], tuple[ShardInput, ...]] | None = None
    """For an unpartitioned asset whose table is partitioned by (source, shard) inside."""
    upstream_digest: Callable[[Platform, str], str] | None = None
    """Raw stages: the hash of what upstream says a shard's files are."""
    extra_inputs: Callable[[Platform, str | None], Any] | None = None
    """Inputs that are not assets, e.g. removal requests, as JSON-serialisable values."""
    schema: pa.Schema | None = None
    kinds: frozenset[str] = frozenset({"delta"})
    owner: str = "team:data-platform"
    tags: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Static metadata shown in the catalogue."""
    checks: tuple[StageCheck, ...] = ()
    plot: Callable[[Platform], str | None] | None = None
    """Returns Markdown with an embedded picture for the asset's metadata."""
    pool: str | None = None
    automated: bool = True
    """False for raw stages, which schedules drive, and for stages outside the profile."""
