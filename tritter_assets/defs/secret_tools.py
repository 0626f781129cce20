"""A check of verdicts/<source>: other scanners over a sample, where the policy names any."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tritter_assets.defs.stage import CheckOutcome, Platform, StageCheck
from tritter_assets.filters.context import secret_formats_of
from tritter_assets.filters.secret_formats import NO_FORMATS, load_formats
from tritter_assets.filters.secret_tools import (
    FILE_NAME,
    cross_check,
    load_secret_tools,
    report_facts,
)


def secret_tools_checks(source: str, base: Platform) -> tuple[StageCheck, ...]:
    """Declares the check; none where `policy/secret_tools.yaml` names no tool."""
    policy = base.catalog.root / "policy"
    config = load_secret_tools(policy / FILE_NAME)
    if not config.tools:
        return ()

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        kept = (
            platform.lake.scan(f"verdicts/{source}")
            .filter(pl.col("terminal"), pl.col("action") == "keep")
            .select("id", "shard")
        )
        if shards:
            kept = kept.filter(pl.col("shard").is_in(list(shards)))
        ids = kept.collect()
        order = ids["id"].hash(config.seed).arg_sort()
        sample = ids["id"].gather(order[: config.documents_per_shard * max(len(shards), 1)])
        documents = (
            platform.lake.scan(f"raw/{source}")
            .filter(pl.col("id").is_in(sample.to_list()))
            .select("id", "path", "content")
            .sort("id")
            .collect()
        )
        formats = secret_formats_of(policy)
        reports = cross_check(documents, config, load_formats(formats) if formats else NO_FORMATS)
        return CheckOutcome(
            passed=not any(report.only_theirs for report in reports),
            warns_only=True,
            facts=report_facts(reports),
        )

    return (
        StageCheck(
            name="secret_scanners_agree",
            description=f"{', '.join(sorted(config.tools))} over a sample of kept documents: "
            "lines on which they find a credential and stage 11 does not.",
            evaluate=evaluate,
            blocking=False,
        ),
    )
