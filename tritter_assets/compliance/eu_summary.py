"""The summary of training content under Article 53(1)(d) of the EU AI Act, in its three parts.

Follows the Commission's template (communication C(2025) 8311): general information, list of data
sources, data processing. What the tables know is filled in; what only the provider can say is
marked `TO_FILL`, so that an unfilled summary cannot be mistaken for a finished one.

Every source that trains is listed, not only the large ones. Sizes are of what trains, not of what
was fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import (
    UNDATED,
    DataFacts,
    SourceFacts,
    joined,
    read_data_facts,
)
from tritter_assets.compliance.funnel import measure_funnel
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import FileOrigin
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.record import HUMAN, Modality
from tritter_assets.verdict import Stage

STAGE_VERSION = "1"
ASSET = "compliance/eu_summary"

TO_FILL = "[to be stated by the provider]"

_TEXT_BANDS = (
    (1_000_000_000, "less than 1 billion tokens"),
    (10_000_000_000_000, "1 billion to 10 trillion tokens"),
)
_TEXT_TOP = "more than 10 trillion tokens"
_TEXTUAL = (Modality.CODE, Modality.TEXT, Modality.INSTRUCTION, Modality.PREFERENCE)


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_eu_summary(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the summary as the artifact set `compliance/eu_summary`; it is never a failed check.

    Its `warnings` list what the provider still has to state.
    """
    facts = read_data_facts(lake, catalog)
    summary = {
        "template": "Article 53(1)(d) of Regulation (EU) 2024/1689; communication C(2025) 8311",
        "general_information": _general(facts),
        "list_of_data_sources": _sources(facts, catalog),
        "data_processing": _processing(lake, catalog),
    }
    open_fields = sorted(_unfilled(summary))
    sources = summary["list_of_data_sources"]["publicly_available_datasets"]
    headline = f"{len(facts.trained_sources)} sources; {len(open_fields)} fields for the provider"
    return store_report(
        lake,
        ASSET,
        {"eu_summary.json": as_json(summary), "eu_summary.html": _page(summary, open_fields)},
        fingerprint=fingerprint,
        passed=True,
        headline=headline,
        counts={"sources": len(facts.trained_sources), "fields_to_fill": len(open_fields)},
        warnings=[f"{field}: to be stated by the provider" for field in open_fields],
        tables={"publicly_available_datasets": markdown_table(sources)},
    )


def _general(facts: DataFacts) -> dict[str, Any]:
    modalities = joined(mix.modalities for mix in facts.mixes)
    tokens = sum(mix.tokens for mix in facts.mixes)
    text = {key: rows for key, rows in modalities.items() if key in _TEXTUAL}
    other = {key: rows for key, rows in modalities.items() if key not in _TEXTUAL}
    band = next((name for limit, name in _TEXT_BANDS if tokens < limit), _TEXT_TOP)
    days = [source.as_of for source in facts.trained_sources if source.as_of != UNDATED]
    return {
        "provider": {"name": TO_FILL, "contact": TO_FILL, "authorised_representative": TO_FILL},
        "model": {
            "versions": [
                {"name": model.asset, "version": model.data_version} for model in facts.models
            ],
            "placed_on_the_market": TO_FILL,
        },
        "modalities": [
            {
                "modality": "text",
                "size": band,
                "estimated_tokens": tokens,
                "rows": sum(text.values()),
                "types_of_content": text,
            },
            *({"modality": key, "size": f"{rows} items"} for key, rows in other.items()),
        ],
        "languages": joined(mix.languages for mix in facts.mixes),
        "latest_date_of_collection": max(days).isoformat() if days else TO_FILL,
        "linguistic_and_demographic_characteristics": "Mostly source code and its documentation "
        "in English; programming languages as listed under 'languages'.",
    }


def _sources(facts: DataFacts, catalog: Catalog) -> dict[str, Any]:
    public, other = [], []
    for source in facts.trained_sources:
        is_file = source.contract is None or isinstance(source.contract.origin, FileOrigin)
        (other if is_file else public).append(_source(source))
    generators = joined(mix.generators for mix in facts.mixes)
    synthetic = [
        {
            "generator": key,
            "name": catalog.policy.generators[key].title
            if key in catalog.policy.generators
            else "",
            "rows": rows,
        }
        for key, rows in generators.items()
        if key != HUMAN
    ]
    return {
        "publicly_available_datasets": public,
        "private_datasets_licensed_by_rightsholders": [],
        "private_datasets_from_third_parties": [],
        "data_crawled_and_scraped": {
            "crawlers": [],
            "statement": "No crawler is run: every source is a published, pinned set of files.",
        },
        "user_data": {"used": False},
        "synthetic_data": synthetic,
        "other_sources": other,
    }


def _source(source: SourceFacts) -> dict[str, Any]:
    return {
        "name": source.title,
        "source": source.id,
        "address": source.address,
        "revision": source.revision,
        "rows": sum(source.mix_rows.values()),
        "estimated_tokens": sum(source.mix_tokens.values()),
        "licences": ", ".join(source.licences),
    }


def _processing(lake: Lake, catalog: Catalog) -> dict[str, Any]:
    removed = measure_funnel(lake).total.removed
    removals = read_removals(lake)
    kinds = removals.group_by("kind").agg(pl.len()).sort("kind")
    return {
        "reservation_of_rights": {
            "measures": "Only documents whose licence is concluded and admitted by the policy "
            f"(use profile {catalog.profile.use_profile!r}) train; opt-out lists and removal "
            "requests are applied to every document and followed to copies and derived rows.",
            "removal_requests": {str(kind): int(number) for kind, number in kinds.iter_rows()},
            "documents_removed_on_request": removed.get(Stage.OPT_OUT, 0),
            "documents_refused_by_licence": removed.get(Stage.LICENSE, 0),
        },
        "removal_of_illegal_content": {
            "measures": "Malware signatures, secrets and personal data are detected by pattern; "
            "malware is dropped, secrets and personal data are redacted or dropped.",
            "documents_dropped": {
                stage.value: removed.get(stage, 0)
                for stage in (Stage.PII, Stage.SECRETS, Stage.MALWARE)
            },
        },
        "other_processing": {
            "duplicates_removed": {
                stage.value: removed.get(stage, 0)
                for stage in (
                    Stage.EXACT_DUPLICATE,
                    Stage.NEAR_DUPLICATE,
                    Stage.SEMANTIC_DUPLICATE,
                )
            },
            "benchmark_overlap_removed": removed.get(Stage.DECONTAMINATION, 0),
        },
    }


def _unfilled(value: Any, path: str = "") -> list[str]:
    if value == TO_FILL:
        return [path]
    if isinstance(value, Mapping):
        return [
            f for k, v in value.items() for f in _unfilled(v, f"{path}.{k}" if path else str(k))
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [f for number, v in enumerate(value) for f in _unfilled(v, f"{path}[{number}]")]
    return []


def _page(summary: Mapping[str, Any], open_fields: list[str]) -> bytes:
    general = summary["general_information"]
    sources = summary["list_of_data_sources"]
    processing = summary["data_processing"]
    modalities = [
        {k: v for k, v in line.items() if k != "types_of_content"} for line in general["modalities"]
    ]
    return html.page(
        "Summary of training content (EU AI Act, Article 53(1)(d))",
        html.paragraph(summary["template"] + "."),
        html.paragraph("Still to be stated by the provider: " + (", ".join(open_fields) or "none")),
        html.heading("1. General information"),
        html.definitions({k.replace("_", " "): v for k, v in general["provider"].items()}),
        html.records(general["model"]["versions"], caption="Model versions"),
        html.records(modalities, caption="Modalities and size"),
        html.table(["language", "rows"], general["languages"].items(), caption="Languages"),
        html.definitions(
            {
                "latest date of collection": general["latest_date_of_collection"],
                "characteristics": general["linguistic_and_demographic_characteristics"],
            }
        ),
        html.heading("2. List of data sources"),
        html.records(sources["publicly_available_datasets"], caption="Publicly available datasets"),
        html.records(
            sources["private_datasets_licensed_by_rightsholders"],
            caption="Private datasets licensed by rightsholders",
        ),
        html.records(
            sources["private_datasets_from_third_parties"],
            caption="Private datasets from third parties",
        ),
        html.definitions(
            {
                "Crawled and scraped": sources["data_crawled_and_scraped"]["statement"],
                "User data": sources["user_data"]["used"],
            }
        ),
        html.records(sources["synthetic_data"], caption="Synthetic data"),
        html.records(sources["other_sources"], caption="Other sources"),
        html.heading("3. Data processing"),
        *(
            part
            for name, section in processing.items()
            for part in (
                html.heading(name.replace("_", " ").capitalize(), 3),
                html.definitions(
                    {
                        key.replace("_", " "): (
                            html.definitions(value) if isinstance(value, Mapping) else value
                        )
                        for key, value in section.items()
                    }
                ),
            )
        ),
    )
