"""raw/<source>: one asset per contract, partitioned by shard."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from tritter_assets.contracts.source import SourceContract
from tritter_assets.contracts.yaml_file import ContractProblem
from tritter_assets.defs.audit import license_audit_check
from tritter_assets.defs.build import asset_key
from tritter_assets.defs.checks import quality_check
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.defs.upstream import (
    has_upstream,
    pinned_facts,
    settle,
    upstream_drift_check,
)
from tritter_assets.errors import ContractViolation, LicenseRefused
from tritter_assets.record import DOCUMENT_SCHEMA


def raw_stage(contract: SourceContract, base: Platform) -> Stage:
    """Declares the raw asset of a source."""
    from tritter_assets.sources import ingest
    from tritter_assets.sources.upstream import at_kept_revision

    def work(step: Step) -> Any:
        assert step.shard is not None
        settled, seen = settle(step, contract)
        report = ingest.ingest_shard(
            step.lake,
            settled,
            step.shard,
            policy=step.catalog.policy,
            cache=step.platform.settings.cache,
            project_root=step.platform.settings.project_root,
            fingerprint=step.fingerprint,
            # The rest of the limit is for the writer, the reader and the policy.
            memory_limit_bytes=step.catalog.profile.memory_limit_bytes // 4,
        )
        return {f.name: getattr(report, f.name) for f in dataclasses.fields(report)} | seen

    def upstream_digest(platform: Platform, shard: str) -> str:
        settings = platform.settings
        return ingest.upstream_digest(
            at_kept_revision(platform.lake, contract),
            shard,
            cache=settings.cache,
            project_root=settings.project_root,
        )

    return Stage(
        key=f"raw/{contract.id}",
        group=Group.RAW,
        description=f"{contract.title}. {contract.description}".strip(),
        code_version=ingest.code_version(contract, base.catalog.policy),
        work=work,
        shards=contract.shards,
        upstream_digest=upstream_digest,
        schema=DOCUMENT_SCHEMA,
        kinds=frozenset({"delta", contract.origin.kind}),
        owner=contract.owner,
        tags=source_tags(contract),
        facts=source_facts(contract),
        checks=(
            quality_check(contract),
            license_audit_check(f"raw/{contract.id}"),
            *((upstream_drift_check(contract),) if has_upstream(contract) else ()),
        ),
        plot=_crate_licences(contract) if contract.origin.kind == "crate" else None,
        pool={"hub": "hub", "git": "git"}.get(contract.origin.kind),
        automated=False,
    )


def _crate_licences(contract: SourceContract) -> Any:
    """Shows the licence filter per crate in the asset's metadata."""

    def table(platform: Platform) -> str:
        from tritter_assets.sources.crate_report import crate_table, license_by_crate

        profile = platform.catalog.profile.use_profile
        crates = license_by_crate(
            platform.lake, contract, policy=platform.catalog.policy, use_profile=profile
        )
        return crate_table(crates, profile)

    return table


def source_tags(contract: SourceContract) -> dict[str, str]:
    """Tags that all assets of a source carry."""
    return {
        "tier": str(contract.tier),
        "modality": contract.modality.value,
        "license_class": license_class(contract),
        **{f"topic_{tag}": "" for tag in contract.tags},
    }


def license_class(contract: SourceContract) -> str:
    """Says where a row's licence comes from, the first thing a compliance lead asks."""
    if contract.refusal is not None:
        return "refused"
    if contract.licence.row_column:
        return "per_row"
    return "declared" if contract.licence.content != "NOASSERTION" else "detected"


def source_facts(contract: SourceContract) -> dict[str, Any]:
    """Licence facts and origin, shown on every asset of the source."""
    licence = contract.licence
    return {
        "tritter/license_content": licence.content,
        "tritter/license_wrapper": licence.wrapper,
        "tritter/access_terms": licence.access_terms,
        "tritter/generator": licence.generator,
        "tritter/license_claimed": licence.claimed,
        "tritter/license_found": licence.found,
        "tritter/license_evidence": licence.evidence,
        "tritter/license_as_of": str(licence.as_of or "undated"),
        "tritter/contract": contract.file.name,
        **pinned_facts(contract),
        "tritter/origin": dg.MetadataValue.json(_origin(contract)),
    }


def _origin(contract: SourceContract) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(contract.origin).items()
    }


def refused_asset(contract: SourceContract) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition]:
    """A source that stands in the catalogue and can never be materialised."""
    assert contract.refusal is not None
    message = (
        f"source {contract.id!r} is refused: {contract.refusal.clause} "
        f"({contract.refusal.reason}); no use profile admits it. Use another source: "
        "the contracts of tier 1 are the place to look"
    )
    return _closed_asset(
        f"raw/{contract.id}",
        description=f"REFUSED. {contract.title}. {message}",
        error=LicenseRefused(message),
        owner=contract.owner,
        tags=source_tags(contract),
        metadata=source_facts(contract),
        check="license_is_admitted",
    )


def broken_asset(
    name: str, problems: Sequence[ContractProblem]
) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition]:
    """Stands for a source whose contract cannot be used; every other source works on."""
    message = "\n".join(str(problem) for problem in problems)
    return _closed_asset(
        f"raw/{_safe(name)}",
        description=f"BROKEN CONTRACT.\n\n{message}",
        error=ContractViolation(message),
        owner="team:data-platform",
        tags={"license_class": "broken_contract"},
        metadata={"tritter/problems": dg.MetadataValue.md(_problem_table(problems))},
        check="contract_is_valid",
    )


def _closed_asset(
    key: str,
    *,
    description: str,
    error: Exception,
    owner: str,
    tags: dict[str, str],
    metadata: dict[str, Any],
    check: str,
) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition]:
    @dg.asset(
        key=asset_key(key),
        group_name=Group.RAW.value,
        description=description,
        owners=[owner],
        tags=tags,
        metadata=metadata,
    )
    def closed_asset() -> dg.MaterializeResult:
        raise error

    @dg.asset_check(asset=asset_key(key), name=check, blocking=True, description=description)
    def closed_check() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, metadata={"reason": str(error)})

    return closed_asset, closed_check


def _problem_table(problems: Sequence[ContractProblem]) -> str:
    lines = ["| file | line | field | problem | fix |", "|---|---|---|---|---|"]
    for problem in problems:
        cells = (problem.file.name, problem.line, problem.field, problem.message, problem.fix)
        lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in Path(name).stem)
