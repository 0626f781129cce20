"""mix/<phase>: what a phase trains on, as data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritter_assets.dedup.index import INDEXES
from tritter_assets.defs.audit import license_audit_check
from tritter_assets.defs.checks import mix_feasible_check
from tritter_assets.defs.plots import mix_plot
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake.removals import read_removals
from tritter_assets.mixes import build
from tritter_assets.sources.drift import blocked_sources


def mix_stages(base: Platform, available: frozenset[str]) -> Iterable[Stage]:
    """Declares the mixes; `available` holds the keys of the stages they may draw on."""
    catalog = base.catalog
    known = available | {f"mix/{phase}" for phase in catalog.mixes}
    for phase, mix in catalog.mixes.items():
        yield Stage(
            key=f"mix/{phase}",
            group=Group.MIXES,
            description=f"{mix.title}: the documents of this phase, sampled by hash at set rates.",
            code_version=build.code_version(
                mix, profile=catalog.profile, policy_digest=catalog.policy.digest
            ),
            work=_build(phase),
            deps=tuple(table for table in build.input_tables(mix, catalog) if table in known),
            extra_inputs=lambda platform, _: held_back(platform),
            schema=build.MIX_SCHEMA,
            owner="team:training",
            tags={"phase": phase},
            checks=(license_audit_check(f"mix/{phase}"), mix_feasible_check(phase)),
            plot=lambda platform, phase=phase: mix_plot(platform, phase),
        )


def _build(phase: str) -> Any:
    def work(step: Step) -> Any:
        return build.build_mix(
            step.lake,
            step.catalog.mixes[phase],
            catalog=step.catalog,
            fingerprint=step.fingerprint,
            expected_indexes={index: step.expected_fingerprint(index) for index in INDEXES},
        )

    return work


def held_back(platform: Platform) -> str:
    """Removal requests in force, and sources whose rights changed upstream."""
    blocked = blocked_sources(platform.lake, platform.catalog)
    return "|".join([_removals(platform), *blocked.values()])


def _removals(platform: Platform) -> str:
    requests = read_removals(platform.lake)
    return "" if requests.is_empty() else ",".join(sorted(requests["request"]))
