"""Who does the work of many shards: this process, Daft in this process, or a Ray cluster.

Whatever the engine, the same functions write the same rows under the same fingerprints, so a lake
may be made by one engine and continued by another; the parity tests compare the tables.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.cluster.tasks import CommitLost, ShardTask, run_task
from tritter_assets.dedup.index import EXACT_INDEX, IndexReport
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets.settings import Settings

MAX_RETRIES = 20
"""How often a task may lose its worker; one that kills every worker it gets has to end."""


class Engine(Protocol):
    """What a cluster has to be able to do."""

    def map_shards(
        self, settings: Settings, tasks: Sequence[ShardTask]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Runs tasks and yields (position of the task, its report) as each is committed."""
        ...

    def update_index(self, lake: Lake, update: IndexUpdate) -> IndexReport:
        """Brings a duplicate index up to date with the signatures."""
        ...


class LocalEngine:
    """One task after the other in this process; indexes by caches beside the lake."""

    def map_shards(
        self, settings: Settings, tasks: Sequence[ShardTask]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """See `Engine`."""
        for number, task in enumerate(tasks):
            yield number, run_task(settings, task)

    def update_index(self, lake: Lake, update: IndexUpdate) -> IndexReport:
        """See `Engine`."""
        from tritter_assets.dedup.exact import update_exact_index
        from tritter_assets.dedup.near import update_near_index

        made_from = {"families": update.families, "fingerprint": update.fingerprint}
        if update.index == EXACT_INDEX:
            return update_exact_index(lake, update.inputs, **made_from)
        return update_near_index(
            lake,
            update.inputs,
            threshold=update.threshold,
            memory_limit_bytes=update.memory_limit_bytes,
            **made_from,
        )


@dataclass(frozen=True, slots=True)
class DaftEngine:
    """Set-wise steps as Daft frames, tasks by Ray.

    Args:
        address: Of the Ray cluster, `host:6379` or `auto`; this process stands on one of its
            machines (Ray's client, `ray://`, is not what the tests run). None: Daft's native
            runner in this process, tasks one after the other.
    """

    address: str | None

    def map_shards(
        self, settings: Settings, tasks: Sequence[ShardTask]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """See `Engine`."""
        self.connect()
        yield from self.run_all(run_task, [(settings, task) for task in tasks])

    def update_index(self, lake: Lake, update: IndexUpdate) -> IndexReport:
        """See `Engine`."""
        from tritter_assets.cluster.exact import update_exact_index
        from tritter_assets.cluster.near import update_near_index

        self.connect()
        work = update_exact_index if update.index == EXACT_INDEX else update_near_index
        return work(lake, update, run_all=self.run_all)

    def connect(self) -> None:
        """Chooses Daft's runner and joins the cluster; does nothing the second time."""
        _connect(self.address)

    def run_all(self, function: Any, calls: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Calls a function once per tuple of arguments, and yields results as they come.

        The function must do nothing the second time it is called with the same arguments that it
        did not do the first time: a call that a worker took along is made again.
        """
        if self.address is None:
            for number, arguments in enumerate(calls):
                yield number, function(*arguments)
            return
        import ray

        # A worker may die as often as machines are taken back; a commit may lose against many
        # other shards of its table. Anything else that is raised is a defect, and not retried.
        remote = ray.remote(num_cpus=1, max_retries=MAX_RETRIES, retry_exceptions=[CommitLost])(
            function
        )
        pending = {remote.remote(*arguments): number for number, arguments in enumerate(calls)}
        while pending:
            done, _ = ray.wait(list(pending), num_returns=1)
            for reference in done:
                yield pending.pop(reference), ray.get(reference)


@cache
def _connect(address: str | None) -> None:
    """Daft takes one runner per process, and says so when another is asked for."""
    import daft

    # Small files are read together. Left apart, each join leaves as many files as both sides had
    # tasks: four rounds of stars grew 4 files to 94, and a round of 400 edges took 140 s.
    daft.set_execution_config(enable_scan_task_split_and_merge=True)
    if address is None:
        daft.set_runner_native()
        return
    import ray

    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False)
    daft.set_runner_ray(noop_if_initialized=True)


def open_engine(name: str, address: str | None) -> Engine:
    """Returns the engine of a profile.

    Raises:
        ContractViolation: no such engine, no address for Ray, or the extra `cluster` is missing.
    """
    if name == "local":
        return LocalEngine()
    if name not in ("daft", "ray"):
        raise ContractViolation(f"no engine {name!r}: set engine to local, daft or ray")
    if name == "ray" and not address:
        raise ContractViolation(
            "engine ray has no address: set TRITTER_RAY_ADDRESS, e.g. to head:6379, or "
            "engine: local in the profile"
        )
    missing = [
        package
        for package in ("daft", *(("ray",) if name == "ray" else ()))
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        raise ContractViolation(
            f"engine {name} needs {' and '.join(missing)}: run it in an environment made with "
            "constraints-cluster.txt (extra `cluster`)"
        )
    return DaftEngine(address if name == "ray" else None)
