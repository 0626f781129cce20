"""model/<phase>: each phase is trained in a process of its own, under the pool `gpu`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import dagster as dg

from tritter_assets.defs.audit import license_audit_check, require_admitted
from tritter_assets.defs.checks import loss_fell_check
from tritter_assets.defs.plots import training_plot
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake.artifacts import MANIFEST_SCHEMA
from tritter_assets.training import train


def training_stages(base: Platform) -> Iterable[Stage]:
    """Declares one checkpoint per phase; each starts from the one before."""
    profile = base.catalog.profile
    parent: str | None = None
    for phase in base.catalog.mixes:
        recipe = profile.training.get(phase)
        contexts = profile.contexts.get(phase, ())
        if recipe is None or not contexts:
            continue
        packed = f"packed/{phase}_{max(contexts)}"
        deps = ("tokenizer", packed, *(() if parent is None else (parent,)))
        yield Stage(
            key=f"model/{phase}",
            group=Group.TRAINING,
            description=(
                f"Ternary (BitNet b1.58) checkpoint after {phase}: "
                f"{recipe.steps:,} steps of {recipe.batch_sequences} sequences from {packed}."
            ),
            code_version=train.code_version(recipe),
            work=_train(phase, packed, parent),
            deps=deps,
            schema=MANIFEST_SCHEMA,
            kinds=frozenset({"pytorch"}),
            owner="team:training",
            tags={"phase": phase},
            checks=(license_audit_check(f"model/{phase}"), loss_fell_check(phase)),
            plot=lambda platform, phase=phase: training_plot(platform, phase),
            pool="gpu",
        )
        parent = f"model/{phase}"


def _train(phase: str, packed: str, parent: str | None) -> Any:
    def work(step: Step) -> dict[str, Any]:
        require_admitted(step.platform, packed)
        with warnings.catch_warnings():
            # Dagster warns of a preview function that it calls itself.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            completed = _run_process(step, phase, packed, parent)
        metadata = completed.get_materialize_result().metadata or {}
        return {key.removeprefix("tritter/"): _raw(value) for key, value in metadata.items()}

    return work


def _run_process(step: Step, phase: str, packed: str, parent: str | None) -> Any:
    return dg.PipesSubprocessClient().run(
        command=[sys.executable, "-m", "tritter_assets.defs.train_process"],
        context=step.context,
        extras={
            "phase": phase,
            "packed_table": packed,
            "parent": parent,
            "fingerprint": step.fingerprint,
        },
        env={**os.environ, **train.TRAINING_ENVIRONMENT, **lake_environment(step)},
    )


def _raw(value: Any) -> Any:
    return value.value if isinstance(value, dg.MetadataValue) else value


def lake_environment(step: Step) -> dict[str, str]:
    """Environment that makes a child process open the same lake with the same credentials."""
    location = step.lake.location
    return {
        "TRITTER_PROJECT": str(step.platform.settings.project_root),
        "TRITTER_PROFILE": step.platform.settings.profile_name,
        "TRITTER_LAKE": location.root,
        "TRITTER_CACHE": str(step.platform.settings.cache),
        **{
            name.upper(): value
            for name, value in location.storage_options.items()
            if name
            in {
                "aws_access_key_id",
                "aws_secret_access_key",
                "aws_session_token",
                "aws_region",
                "aws_endpoint_url",
            }
        },
    }
