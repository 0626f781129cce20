"""compliance/*: the papers, each written from the stored tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tritter_assets.compliance import (
    croissant,
    dataset_cards,
    eu_summary,
    funnel,
    license_audit,
    name_audit,
    notice,
    osaid,
    retention,
    spdx_bom,
)
from tritter_assets.contracts.provider import provider_digest
from tritter_assets.defs.checks import (
    forgotten_is_absent_check,
    provider_stated_check,
    report_passed_check,
)
from tritter_assets.defs.mixes import held_back
from tritter_assets.defs.plots import stored_plot
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake import fingerprint_of
from tritter_assets.lake.artifacts import MANIFEST_SCHEMA


def compliance_stages(base: Platform, available: frozenset[str]) -> Iterable[Stage]:
    """Declares the reports; `available` holds the keys of the stages they may read."""
    catalog = base.catalog
    active = {contract.id for contract in catalog.active_sources()}

    def tables(*rooms: str) -> tuple[str, ...]:
        """Stages of some rooms; per source, only those of active sources."""
        per_source = ("raw", "verdicts", "filtered", "signatures")
        return tuple(
            key
            for key in sorted(available)
            if key.split("/", maxsplit=1)[0] in rooms
            and (key.split("/", maxsplit=1)[0] not in per_source or key.split("/")[1] in active)
        )

    def report(
        name: str,
        module: Any,
        write: Callable[..., Any],
        description: str,
        deps: tuple[str, ...],
        *,
        beside: Callable[[Platform], Any] = held_back,
    ) -> Stage:
        def work(step: Step) -> Any:
            summary = write(step.lake, catalog=step.catalog, fingerprint=step.fingerprint)
            return {
                "headline": summary.headline,
                **summary.counts,
                "problems": list(summary.problems),
                "warnings": list(summary.warnings),
                "files": list(summary.files),
            }

        checks = (
            report_passed_check(
                f"compliance/{name}", "report_passed", "Everything the report must show, it shows."
            ),
        )
        if name == "license_audit":
            checks = (*checks, forgotten_is_absent_check())
        if name == "eu_summary":
            checks = (*checks, provider_stated_check())
        return Stage(
            key=f"compliance/{name}",
            group=Group.COMPLIANCE,
            description=description,
            code_version=f"{module.STAGE_VERSION}.{policy_version}",
            work=work,
            deps=deps,
            extra_inputs=lambda platform, _: beside(platform),
            schema=MANIFEST_SCHEMA,
            kinds=frozenset({"html", "json"}),
            owner="team:compliance",
            checks=checks,
            plot=lambda platform: stored_plot(platform, f"compliance/{name}"),
        )

    policy_version = fingerprint_of(
        catalog.policy.digest,
        catalog.profile.use_profile,
        sorted((contract.id, contract.digest) for contract in catalog.active_sources()),
    )
    documents = tables("raw", "verdicts", "filtered", "functions", "synthetic")
    mixes = tables("mix")
    models = tables("model", "packed")
    yield report(
        "license_audit",
        license_audit,
        license_audit.write_license_audit,
        "Every row of every stage against the policy: counts, tokens and example rows with "
        "evidence, and whether each mix row may be trained on.",
        (*documents, *mixes, *models),
    )
    yield report(
        "notice",
        notice,
        notice.write_notice,
        "NOTICE: copyright lines and licence texts owed for what the mixes hold.",
        (*tables("filtered", "functions", "synthetic"), *mixes),
    )
    yield report(
        "croissant",
        croissant,
        croissant.write_croissant,
        "Croissant description of the training data and of what each checkpoint read, with the "
        "rows of the mixes; validated by mlcroissant.",
        (*tables("filtered"), *mixes, *models),
        beside=published,
    )
    yield report(
        "spdx_bom",
        spdx_bom,
        spdx_bom.write_spdx_bom,
        "SPDX 3 bill of materials of datasets, mixes, held-out sets and models.",
        (*tables("filtered"), *mixes, *models),
        beside=published,
    )
    yield report(
        "eu_summary",
        eu_summary,
        eu_summary.write_eu_summary,
        "Summary of training content as Article 53(1)(d) of the EU AI Act asks for it.",
        (*tables("filtered"), *mixes, *models),
        beside=published,
    )
    yield report(
        "osaid",
        osaid,
        osaid.write_osaid,
        "Data information as the Open Source AI Definition asks for it: all data, how it was made, "
        "and where to get it.",
        (*tables("filtered"), *mixes, *models),
        beside=published,
    )
    yield report(
        "dataset_cards",
        dataset_cards,
        dataset_cards.write_dataset_cards,
        "A Hugging Face data set card for each mix.",
        (*tables("filtered"), *mixes),
        beside=published,
    )
    yield report(
        "funnel",
        funnel,
        funnel.write_funnel,
        "How many documents each step left, by source, with the reasons.",
        (*documents, *tables("dedup"), *mixes),
    )
    yield report(
        "retention",
        retention,
        retention.write_retention,
        "Observed retention of each stage against the expected bands.",
        (*documents, *tables("dedup")),
    )
    yield report(
        "name_audit",
        name_audit,
        name_audit.write_name_audit,
        "How often people are named in comments and prose: an estimate from a fixed sample of each "
        "source, read by a local model. Says so where no model is installed.",
        tables("filtered"),
        beside=lambda platform: name_audit.models_at_hand(platform.catalog),
    )


def published(platform: Platform) -> list[str]:
    """What the papers show beside the tables: what is held back, and the provider's statements."""
    return [held_back(platform), provider_digest(platform.catalog.root)]
