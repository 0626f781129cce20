"""verdicts/<source> and filtered/<source>: annotate, then apply once."""

from __future__ import annotations

from typing import Any

import polars as pl

from tritter_assets.contracts.source import SourceContract
from tritter_assets.defs.audit import license_audit_check
from tritter_assets.defs.checks import (
    every_document_judged_check,
    retention_check,
)
from tritter_assets.defs.cluster import run_together
from tritter_assets.defs.funnel_plot import funnel_plot, funnel_table
from tritter_assets.defs.secret_tools import secret_tools_checks
from tritter_assets.defs.sources import source_facts, source_tags
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake import fingerprint_of
from tritter_assets.lake.removals import read_removals
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.removal import covered_by
from tritter_assets.verdict import VERDICT_SCHEMA

_KEYS_OF_REMOVAL = (
    "id",
    "repo",
    "owner",
    "author_emails",
    "content_sha256",
    "revision",
    "derived_from",
)


def verdicts_stage(contract: SourceContract, base: Platform) -> Stage:
    """Declares the verdicts of a source."""
    from tritter_assets.filters import judge

    def work(step: Step) -> Any:
        assert step.shard is not None
        # A benchmark that cannot be had is found missing here, and the verdicts say so.
        settings = step.platform.settings
        catalog = step.catalog
        judge.load_benchmarks(
            catalog.policy, catalog.profile, settings.project_root, settings.cache
        )
        return judge.judge_shard(
            step.lake,
            contract.id,
            step.shard,
            contract=contract,
            policy=step.catalog.policy,
            profile=step.catalog.profile,
            removals=read_removals(step.lake),
            fingerprint=step.current_fingerprint(),
            cache=step.platform.settings.cache,
            workers=step.catalog.profile.workers,
        )

    def beside_raw(platform: Platform, shard: str | None) -> str:
        """Requests that cover rows of this shard, what ingestion skipped, benchmarks at hand."""
        from tritter_assets.sources.ledger import ledger_version

        assert shard is not None
        skipped = ledger_version(platform.lake, contract.id, shard)
        benchmarks = judge.benchmarks_at_hand(
            platform.catalog.policy,
            platform.catalog.profile,
            platform.settings.project_root,
            platform.settings.cache,
        )
        return fingerprint_of(removed_here(platform, shard), skipped, benchmarks)

    def removed_here(platform: Platform, shard: str) -> str:
        """Only requests that cover rows of this shard make it stale."""
        requests = read_removals(platform.lake)
        table = f"raw/{contract.id}"
        if requests.is_empty() or not platform.lake.exists(table):
            return ""
        rows = platform.lake.scan(table).filter(pl.col("shard") == shard)
        covered = rows.select(_KEYS_OF_REMOVAL).filter(covered_by(requests)).select("id").collect()
        return "" if covered.is_empty() else fingerprint_of(sorted(covered["id"]))

    return Stage(
        key=f"verdicts/{contract.id}",
        group=Group.VERDICTS,
        description=(
            f"What each filter stage says of every document of {contract.title}, with reason, "
            "evidence and stage version. Nothing is deleted here."
        ),
        code_version=judge.code_version(contract, base.catalog.policy, base.catalog.profile),
        work=work,
        together=run_together("verdicts", contract.id, base),
        deps=(f"raw/{contract.id}",),
        shards=contract.shards,
        extra_inputs=beside_raw,
        schema=VERDICT_SCHEMA,
        plot=lambda platform: funnel_plot(platform, contract.id),
        owner=contract.owner,
        tags=source_tags(contract),
        facts=source_facts(contract),
        checks=(
            every_document_judged_check(contract.id),
            retention_check(contract.id),
            *secret_tools_checks(contract.id, base),
        ),
        automated=_active(contract, base),
    )


def filtered_stage(contract: SourceContract, base: Platform) -> Stage:
    """Declares the documents that passed, redactions applied."""
    from tritter_assets.filters import apply

    def work(step: Step) -> Any:
        assert step.shard is not None
        return apply.apply_shard(step.lake, contract.id, step.shard, fingerprint=step.fingerprint)

    return Stage(
        key=f"filtered/{contract.id}",
        group=Group.FILTERED,
        description=f"Documents of {contract.title} that every filter kept, redacted.",
        code_version=apply.code_version(),
        work=work,
        together=run_together("filtered", contract.id, base),
        deps=(f"raw/{contract.id}", f"verdicts/{contract.id}"),
        shards=contract.shards,
        schema=DOCUMENT_SCHEMA,
        owner=contract.owner,
        tags=source_tags(contract),
        facts=source_facts(contract),
        checks=(license_audit_check(f"filtered/{contract.id}"),),
        plot=lambda platform: funnel_table(platform, contract.id),
        automated=_active(contract, base),
    )


def _active(contract: SourceContract, base: Platform) -> bool:
    return base.catalog.profile.name in contract.profiles
