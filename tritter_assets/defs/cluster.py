"""Stages of an engine that is not `local`: launched in the cluster's environment through Pipes.

The launcher decides what is stale and what each partition must record; the process
(`cluster_process.py`) only does the work, and this run reads the committed tables as ever. All
shards of a run go to the cluster at once, so backfill a range of shards in one run.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from tritter_assets.cluster.engine import LocalEngine
from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.cluster.tasks import ShardTask, rules_of
from tritter_assets.defs.stage import Platform, Step
from tritter_assets.defs.training import lake_environment
from tritter_assets.errors import ContractViolation

_FIND = "import importlib.util as u, sys; print(*(p for p in sys.argv[1:] if not u.find_spec(p)))"


def run_together(
    stage: str, source: str, base: Platform
) -> Callable[[Sequence[Step]], Sequence[Any]] | None:
    """Returns how a stage of a source does many shards at once; None where the engine is local."""
    if base.catalog.profile.engine == "local":
        return None

    def work(steps: Sequence[Step]) -> Sequence[Any]:
        platform = steps[0].platform
        # First, since looking for benchmarks may change what the fingerprint stands for.
        rules = rules_of(platform.settings, platform.catalog, stage, source)
        tasks = [
            ShardTask(
                stage=stage,
                source=source,
                shard=step.shard or "",
                fingerprint=step.current_fingerprint(),
                rules=rules,
            )
            for step in steps
        ]
        extras = {"tasks": [dataclasses.asdict(task) for task in tasks]}
        return _launch(steps[0], extras)["reports"]

    return work


def run_index_update(step: Step, update: IndexUpdate) -> Any:
    """Brings a duplicate index up to date by the engine of the profile; returns the report."""
    if step.catalog.profile.engine == "local":
        return LocalEngine().update_index(step.lake, update)
    return _launch(step, {"index": update.to_json()})["reports"][0]


def check_cluster(platform: Platform) -> str:
    """Returns the interpreter of the cluster's environment.

    Raises:
        ContractViolation: the profile's engine lacks its interpreter, packages or address.
    """
    settings, engine = platform.settings, platform.catalog.profile.engine
    blame = f"profile {settings.profile_name} says engine: {engine}"
    if not settings.cluster_python:
        raise ContractViolation(
            f"{blame}, and TRITTER_CLUSTER_PYTHON is not set: set it to the python of an "
            "environment made with constraints-cluster.txt, or write engine: local"
        )
    if engine == "ray" and not settings.ray_address:
        raise ContractViolation(
            f"{blame}, and TRITTER_RAY_ADDRESS is not set: set it, e.g. to head:6379, or "
            "write engine: local"
        )
    wanted = ["tritter_assets", "dagster_pipes", "daft", *(["ray"] if engine == "ray" else [])]
    try:
        found = subprocess.run(
            [settings.cluster_python, "-c", _FIND, *wanted],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ContractViolation(
            f"TRITTER_CLUSTER_PYTHON is {settings.cluster_python!r}, which does not run: {error}"
        ) from None
    if found.stdout.strip():
        raise ContractViolation(
            f"{blame}, and TRITTER_CLUSTER_PYTHON ({settings.cluster_python}) lacks "
            f"{found.stdout.strip().replace(' ', ', ')}: install constraints-cluster.txt there"
        )
    return settings.cluster_python


def _launch(step: Step, extras: dict[str, Any]) -> Any:
    python = check_cluster(step.platform)
    with warnings.catch_warnings():
        # Dagster warns of a preview function that it calls itself.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        completed = dg.PipesSubprocessClient().run(
            command=[python, "-m", "tritter_assets.defs.cluster_process"],
            context=step.context,
            extras={"engine": step.catalog.profile.engine, **extras},
            env={
                **os.environ,
                **lake_environment(step),
                "TRITTER_RAY_ADDRESS": step.platform.settings.ray_address,
            },
        )
    return completed.get_custom_messages()[-1]
