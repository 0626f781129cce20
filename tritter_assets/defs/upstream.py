"""Upstream drift: the check on raw/<source>, and the job that looks at every upstream once a day.

No postponed annotations in this module: Dagster reads those of the op's body as it is defined.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from tritter_assets.contracts.source import FileOrigin, HubOrigin, SourceContract
from tritter_assets.defs.build import asset_key
from tritter_assets.defs.resources import LakeResource
from tritter_assets.defs.stage import CheckOutcome, Platform, StageCheck, Step
from tritter_assets.errors import TritterError
from tritter_assets.sources.upstream import Observation

OBSERVE_JOB = "observe_upstream"
CHECK = "upstream_drift"


def has_upstream(contract: SourceContract) -> bool:
    """Whether somebody else can change the source: a local file is ours."""
    return not isinstance(contract.origin, FileOrigin)


def pinned_facts(contract: SourceContract) -> dict[str, str]:
    """What the contract pins and claims of its upstream, for the catalogue."""
    from tritter_assets.sources.upstream import pinned_revision

    if not has_upstream(contract):
        return {}
    claim = contract.upstream
    return {
        "tritter/revision": pinned_revision(contract),
        "tritter/license_tag_pinned": (claim.licence_tag if claim else "") or "not recorded",
    }


def upstream_drift_check(contract: SourceContract) -> StageCheck:
    """Licence tag, gate, card and columns of upstream against the contract, from stored facts."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.sources.drift import assess
        from tritter_assets.sources.upstream import MAIN, read_observations

        del shards
        catalog = platform.catalog
        seen = read_observations(platform.lake, contract.id)
        found = assess(contract, seen, catalog.policy, catalog.profile.use_profile)
        facts: dict[str, Any] = {"errors": len(found.errors), "warnings": len(found.warnings)}
        used = [o for o in seen if o.observer != MAIN]
        facts |= upstream_facts(used[-1]) if used else {}
        if found.drifts:
            facts["drift"] = dg.MetadataValue.md(found.table())
        return CheckOutcome(
            passed=not found.errors and not found.warnings,
            warns_only=not found.errors,
            summary=found.summary(),
            facts=facts,
        )

    return StageCheck(
        name=CHECK,
        description="Upstream's licence tag, gate, card and columns are those the contract was "
        "written for; from what was observed last, without asking upstream.",
        evaluate=evaluate,
    )


def settle(step: Step, contract: SourceContract) -> tuple[SourceContract, dict[str, Any]]:
    """Puts on record what a shard is read at; returns the contract at that revision, and facts."""
    from tritter_assets.sources.upstream import settle as settle_revision

    if not isinstance(contract.origin, HubOrigin):
        return contract, {}
    settings = step.platform.settings
    settled, seen = settle_revision(
        contract,
        step.lake,
        cache=settings.cache,
        project_root=settings.project_root,
    )
    return settled, upstream_facts(seen)


def upstream_facts(seen: Observation) -> dict[str, Any]:
    """What upstream says, for the metadata of raw/<source>."""
    facts = seen.facts
    found = {
        "upstream_revision": facts.revision,
        "upstream_license_tag": facts.license_tag,
        "upstream_gate": facts.gate,
        "upstream_readme_sha256": facts.readme_sha256,
        "upstream_newest": facts.newest,
        "upstream_last_modified": facts.last_modified,
        "upstream_status": facts.status,
        "upstream_note": facts.note,
        "upstream_observed_at": seen.observed_at,
    }
    return {name: value for name, value in found.items() if value}


class ObserveConfig(dg.Config):
    """Which sources to look at."""

    sources: list[str] = []  # noqa: RUF012 (pydantic copies it)
    """Ids; empty means every source of the profile."""


def build_observe_job(base: Platform) -> dg.JobDefinition:
    """A job that records what every upstream says today; one that gives no answer hides no other.

    It is one step, not one per source: sixty steps would cost every load of the definitions.
    """

    @dg.op(
        name="look_at_upstreams",
        description="Asks every upstream of the profile for its licence tag, gate, card and "
        "columns, and stores what changed in upstream/<source>.",
        pool="hub",
    )
    def look_at_upstreams(
        context: dg.OpExecutionContext, lake: LakeResource, config: ObserveConfig
    ) -> None:
        platform = Platform(settings=base.settings, catalog=base.catalog, lake=lake.open())
        active = [c for c in platform.catalog.active_sources() if has_upstream(c)]
        unknown = sorted(set(config.sources) - {contract.id for contract in active})
        failed = dict.fromkeys(unknown, "is no source of this profile with an upstream")
        for contract in active:
            if config.sources and contract.id not in config.sources:
                continue
            try:
                seen, summary, table = _observe(platform, contract)
            except TritterError as error:
                failed[contract.id] = str(error)
                context.log.error(f"{contract.id}: {error}")
                continue
            context.log.info(f"{contract.id}: {summary}")
            context.log_event(
                dg.AssetObservation(
                    asset_key=asset_key(f"raw/{contract.id}"),
                    description=summary,
                    metadata={f"tritter/{k}": v for k, v in upstream_facts(seen).items()} | table,
                )
            )
        if failed:
            raise dg.Failure(
                description=f"{len(failed)} upstreams gave no answer; the others are recorded",
                metadata={name: dg.MetadataValue.text(why) for name, why in failed.items()},
            )

    @dg.job(
        name=OBSERVE_JOB,
        description="Looks at every upstream of the profile and records what it says today.",
    )
    def observe_upstream() -> None:
        look_at_upstreams()

    return observe_upstream


def build_observe_schedule() -> dg.ScheduleDefinition:
    """Every night, an hour before the sources are ingested; starts stopped like they do."""
    return dg.ScheduleDefinition(
        name=f"nightly_{OBSERVE_JOB}",
        job_name=OBSERVE_JOB,
        cron_schedule="0 1 * * *",
        description="Records what every upstream says, so that the night's checks know of it.",
    )


def _observe(
    platform: Platform, contract: SourceContract
) -> tuple[Observation, str, dict[str, Any]]:
    from tritter_assets.sources.drift import assess
    from tritter_assets.sources.upstream import observe_now, read_observations

    settings, catalog = platform.settings, platform.catalog
    seen = observe_now(
        contract, platform.lake, cache=settings.cache, project_root=settings.project_root
    )
    found = assess(
        contract,
        read_observations(platform.lake, contract.id),
        catalog.policy,
        catalog.profile.use_profile,
    )
    table = {"drift": dg.MetadataValue.md(found.table())} if found.drifts else {}
    return seen, found.summary(), table
