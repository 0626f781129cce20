"""The public summary of training content under Article 53(1)(d) of the EU AI Act.

| file | content |
|---|---|
| eu_summary.json | the three parts of the Commission's template, field by field |
| eu_summary.html | the same for a person |

Parts, sections and fields are those of the template (communication C(2025) 8311 of 5 December
2025). What the stored tables know is computed; what only the provider can say comes from
`policy/provider.yaml`, and a field that nobody has stated says so and names its setting. Once the
lake holds checkpoints, the summary is of the mixes that they were trained on; before that, of all.

Every source that trains is listed, not only the large ones. Sizes are of what trains, not of what
was fetched.
"""

from __future__ import annotations

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import DataFacts, read_data_facts
from tritter_assets.compliance.eu_form import Part, form_html, form_json, open_fields
from tritter_assets.compliance.eu_general import about_part, general_part
from tritter_assets.compliance.eu_processing import processing_part
from tritter_assets.compliance.eu_sources import sources_part
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider, read_provider
from tritter_assets.lake import Lake

STAGE_VERSION = "2"
"""2: every field of the template, and where its value comes from."""

ASSET = "compliance/eu_summary"

TITLE = "Public Summary of Training Content for General-Purpose AI models"
TEMPLATE = (
    "Template for the Public Summary of Training Content, Article 53(1)(d) of Regulation (EU) "
    "2024/1689 (AI Act), communication C(2025) 8311 of 5 December 2025"
)


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_eu_summary(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the summary as the artifact set `compliance/eu_summary`; it is never a failed check.

    Its `warnings` list what the provider still has to state.

    Raises:
        ContractProblems: `policy/provider.yaml` is wrong.
    """
    provider = read_provider(catalog.root)
    facts = read_data_facts(lake, catalog)
    if facts.models:
        facts = facts.trained()
    parts = fill_form(lake, facts, catalog, provider)
    missing = open_fields(parts)
    summary = {"title": TITLE, "template": TEMPLATE, "parts": form_json(parts)}
    listed = [
        {"source": source.title, "tokens": sum(source.mix_tokens.values())}
        for source in facts.trained_sources
    ]
    return store_report(
        lake,
        ASSET,
        {"eu_summary.json": as_json(summary), "eu_summary.html": _page(parts)},
        fingerprint=fingerprint,
        passed=True,
        headline=f"{len(facts.trained_sources)} sources; {len(missing)} fields for the provider",
        counts={"sources": len(facts.trained_sources), "fields_to_fill": len(missing)},
        warnings=[
            f"{number} {field.label}: state it as {field.setting!r} in policy/provider.yaml"
            for number, field in missing
        ],
        tables={"sources": markdown_table(listed)},
    )


def fill_form(lake: Lake, facts: DataFacts, catalog: Catalog, provider: Provider) -> list[Part]:
    """Fills the template from the tables and the provider's statements."""
    return [
        about_part(provider),
        general_part(facts, provider),
        sources_part(facts, catalog, provider),
        processing_part(lake, facts, catalog, provider),
    ]


def _page(parts: list[Part]) -> bytes:
    missing = open_fields(parts)
    remark = (
        [
            html.paragraph(
                f"{len(missing)} fields are not stated yet. They are marked below, each with the "
                "setting that states it; everything else is computed from the stored tables, "
                "unless it is marked as stated by the provider."
            ),
        ]
        if missing
        else [html.paragraph("Every field is computed from the tables or stated by the provider.")]
    )
    return html.page(TITLE, html.paragraph(TEMPLATE + "."), *remark, *form_html(parts))
