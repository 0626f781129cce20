"""The stages of one shard as tasks that any worker can run, and run again.

A worker calls the same function as the local asset and commits the same partition, under the
fingerprint that the launcher computed. Since that fingerprint stands for code and policy as well,
a worker first compares its own: one that has other rules, packages or benchmarks refuses, and does
not commit its rows under a fingerprint that is not theirs.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from deltalake.exceptions import CommitFailedError

from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.errors import ContractViolation, TritterError
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.settings import Settings


class CommitLost(TritterError):
    """A commit lost against too many others of its table: the task is run again.

    delta-rs' own error names a module that no other process can import.
    """


SHARD_STAGES = ("verdicts", "filtered", "signatures")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardTask:
    """One shard of one stage; every field is text, so that it travels as JSON."""

    stage: str
    """One of `SHARD_STAGES`."""
    source: str
    shard: str
    fingerprint: str
    """What the partition must record."""
    rules: str
    """`rules_of` where the fingerprint was computed."""

    @property
    def name(self) -> str:
        """The partition, as logs name it."""
        return f"{self.stage}/{self.source}[{self.shard}]"


def rules_of(settings: Settings, catalog: Catalog, stage: str, source: str) -> str:
    """Returns a hash of the code and policy that this process would apply to a source.

    For verdicts it looks for the benchmarks first, as whoever fingerprints them has to.

    Raises:
        ContractViolation: the stage does not run shard by shard, or the source is not known.
    """
    from tritter_assets.dedup import signatures
    from tritter_assets.filters import apply, judge

    if stage == "filtered":
        return fingerprint_of(apply.code_version())
    if stage == "signatures":
        return fingerprint_of(signatures.code_version())
    if stage != "verdicts":
        raise ContractViolation(
            f"{stage!r} is no stage of the cluster: choose one of {', '.join(SHARD_STAGES)}"
        )
    policy, profile = catalog.policy, catalog.profile
    judge.load_benchmarks(policy, profile, settings.project_root, settings.cache)
    return fingerprint_of(
        judge.code_version(catalog.sources[source], policy, profile),
        judge.benchmarks_at_hand(policy, profile, settings.project_root, settings.cache),
    )


def run_task(settings: Settings, task: ShardTask) -> dict[str, Any]:
    """Makes one shard and returns its report; does nothing when it is already committed.

    Raises:
        ContractViolation: this worker's code, policy, packages or benchmarks are not those that
            the fingerprint stands for.
    """
    lake = settings.lake()
    table, partition = f"{task.stage}/{task.source}", {"shard": task.shard}
    if lake.is_fresh(table, task.fingerprint, partition):
        return {"already_committed": True}
    catalog = _catalog(settings)
    if rules_of(settings, catalog, task.stage, task.source) != task.rules:
        raise ContractViolation(
            f"{task.name}: this worker has other code, packages, contracts or benchmarks than the "
            "process that launched it: give both the same checkout, constraints and "
            "TRITTER_PROJECT"
        )
    try:
        report = _work(settings, catalog, lake, task)
    except CommitFailedError as error:
        raise CommitLost(f"{task.name}: {error}") from None
    return json.loads(json.dumps(dataclasses.asdict(report), default=str))


def _work(settings: Settings, catalog: Catalog, lake: Lake, task: ShardTask) -> Any:
    from tritter_assets.dedup import signatures
    from tritter_assets.filters import apply, judge
    from tritter_assets.lake.removals import read_removals

    if task.stage == "signatures":
        return signatures.sign_shard(lake, task.source, task.shard, fingerprint=task.fingerprint)
    if task.stage == "filtered":
        return apply.apply_shard(lake, task.source, task.shard, fingerprint=task.fingerprint)
    return judge.judge_shard(
        lake,
        task.source,
        task.shard,
        contract=catalog.sources[task.source],
        policy=catalog.policy,
        profile=catalog.profile,
        removals=read_removals(lake),
        fingerprint=task.fingerprint,
        cache=settings.cache,
    )


@lru_cache(maxsize=4)
def _read_catalog(contracts_root: str, profile_name: str) -> Catalog:
    return load_catalog(Path(contracts_root), profile_name=profile_name)


def _catalog(settings: Settings) -> Catalog:
    """Contracts, read once per process: reading takes longer than judging a small shard."""
    return _read_catalog(str(settings.contracts_root), settings.profile_name)
