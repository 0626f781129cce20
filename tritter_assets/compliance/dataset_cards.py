"""A Hub data set card for each mix.

| file | content |
|---|---|
| <phase>/README.md | front matter that the Hub reads, then the card |
| dataset_cards.html | all cards for a person |

The rows keep their own licences, so the front matter says `other` and points to the notice: one
licence for the whole would be a claim that no row supports.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import DataFacts, MixFacts, SourceFacts, read_data_facts
from tritter_assets.compliance.hub_card import (
    card_languages,
    hub_datasets,
    render_card,
    size_category,
)
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider, read_provider
from tritter_assets.lake import Lake
from tritter_assets.record import HUMAN

STAGE_VERSION = "1"
ASSET = "compliance/dataset_cards"

_TASKS = {
    "phase1_base": ["text-generation"],
    "phase2_domain": ["text-generation"],
    "phase3_instruct": ["text-generation", "question-answering"],
    "phase4_align": ["text-generation", "reinforcement-learning"],
}
_LISTED = 200


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_dataset_cards(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the cards as the artifact set `compliance/dataset_cards`.

    Raises:
        ContractProblems: `policy/provider.yaml` is wrong.
        ContractViolation: the Hub would refuse a card; nothing is stored.
    """
    provider = read_provider(catalog.root)
    facts = read_data_facts(lake, catalog)
    cards = {mix.phase: _card(mix, facts, catalog, provider) for mix in facts.mixes}
    files = {f"{phase}/README.md": text.encode() for phase, text in cards.items()}
    mixes = [_mix_row(mix) for mix in facts.mixes]
    return store_report(
        lake,
        ASSET,
        {**files, "dataset_cards.html": _page(facts, catalog)},
        fingerprint=fingerprint,
        passed=True,
        headline=f"{len(cards)} data set cards",
        counts={"cards": len(cards)},
        tables={"mixes": markdown_table(mixes)},
    )


def _mix_row(mix: MixFacts) -> dict[str, Any]:
    return {
        "mix": mix.phase,
        "rows": mix.rows,
        "estimated_tokens": mix.unique_tokens,
        "sources": len(mix.sources),
        "licences": len(mix.licences),
        "size_category": size_category(mix.rows),
    }


def _card(mix: MixFacts, facts: DataFacts, catalog: Catalog, provider: Provider) -> str:
    from huggingface_hub import DatasetCardData

    sources = _sources_of(mix, facts)
    written = [key for key in mix.generators if key != HUMAN]
    hub = hub_datasets([source.address for source in sources])
    data = DatasetCardData(
        language=card_languages(mix.languages),
        license="other",
        annotations_creators=["no-annotation"],
        language_creators=["found", "machine-generated"] if written else ["found"],
        size_categories=[size_category(mix.rows)],
        source_datasets=[f"extended|{name}" for name in hub] if hub else ["original"],
        task_categories=_TASKS.get(mix.phase, ["text-generation"]),
        pretty_name=mix.title,
        license_name="see-notice",
        license_link="NOTICE.txt",
        tags=["code", "licence-provenance"],
    )
    mix_definition = catalog.mixes.get(mix.phase)
    body = [
        f"# {mix.title}\n",
        mix_definition.description if mix_definition else "",
        f"\n`mix/{mix.phase}`, data version `{mix.data_version}`: {mix.rows:,} rows, about "
        f"{mix.unique_tokens:,} tokens ({mix.tokens:,} with repeated epochs).\n",
        "## Licence\n",
        "Each row keeps its own licence, concluded from its own evidence and stored with it; no "
        "licence is granted on the whole. Copyright lines and licence texts are in `NOTICE.txt`.\n",
        markdown_table(licence_rows(mix)),
        "\n## Obligations\n",
        "Joined over all rows:\n",
        markdown_table(obligation_rows(mix, catalog)),
        "\n## Sources\n",
        markdown_table(source_rows(mix, sources), limit=_LISTED),
        "\n## Composition\n",
        markdown_table(component_rows(mix, catalog)),
        "\n" + markdown_table(_named("language", mix.languages.items())),
        "\n"
        + markdown_table([{"written_by": k, "rows": n} for k, n in generator_rows(mix, catalog)]),
        "\n## How it was made\n",
        "Rows are the survivors of filters (language, licence, length, generated code, comment "
        "ratio, personal data, secrets, malware, opt-out, benchmarks) and of exact and near "
        "duplicate removal. A component takes rows by a hash of (id, seed) against a rate.\n",
        "## Personal and sensitive information\n",
        "Personal data and secrets are found by pattern and redacted, or the document is dropped; "
        "names of persons are not searched for. Authors can ask for removal"
        + (f": {provider.contact}." if provider.contact else ".")
        + "\n",
        "## Limits\n",
        "Detection is by evidence and pattern, and none of it is perfect. The natural language of "
        "comments and documentation is not measured. Nothing here is legal advice.\n",
    ]
    return render_card(data, "\n".join(part for part in body if part), catalog.root)


def _named(key: str, counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{key: name, "rows": rows} for name, rows in counts]


def _sources_of(mix: MixFacts, facts: DataFacts) -> list[SourceFacts]:
    return [source for source in facts.trained_sources if source.id in mix.sources]


def licence_rows(mix: MixFacts) -> list[dict[str, Any]]:
    """Concluded expressions with their rows, most rows first."""
    return [{"licence": key, "rows": rows} for key, rows in mix.licences.items()]


def obligation_rows(mix: MixFacts, catalog: Catalog) -> list[dict[str, Any]]:
    """What the rows ask, what it means and how it is met."""
    known = catalog.policy.obligations
    return [
        {
            "obligation": key,
            "means": known[key].title if key in known else "",
            "discharged_by": known[key].discharged_by if key in known else "",
            "rows": rows,
        }
        for key, rows in mix.obligations.items()
    ]


def source_rows(mix: MixFacts, sources: list[SourceFacts]) -> list[dict[str, Any]]:
    """Sources of one mix with their pin."""
    return [
        {
            "source": source.title,
            "address": source.address,
            "revision": source.revision,
            "rows": source.mix_rows.get(mix.phase, 0),
            "licences": ", ".join(source.phase_licences.get(mix.phase, {})),
        }
        for source in sources
    ]


def component_rows(mix: MixFacts, catalog: Catalog) -> list[dict[str, Any]]:
    """Components with the share they were to have and the rows they took."""
    definition = catalog.mixes.get(mix.phase)
    return [
        {
            "component": component.title,
            "wanted_share": component.weight,
            "rows": mix.components.get(component.name, 0),
        }
        for component in (definition.components if definition else ())
    ]


def generator_rows(mix: MixFacts, catalog: Catalog) -> list[tuple[str, int]]:
    """Who or what wrote the rows, by its title."""
    known = catalog.policy.generators
    return [
        (known[key].title if key in known else key, rows) for key, rows in mix.generators.items()
    ]


def _page(facts: DataFacts, catalog: Catalog) -> bytes:
    parts = [
        html.paragraph(
            "Each mix has a card of its own in this set, <phase>/README.md, with front matter that "
            "the Hub reads. Each row keeps its own licence; none is granted on the whole."
        ),
        html.records([_mix_row(mix) for mix in facts.mixes], caption="Mixes"),
    ]
    for mix in facts.mixes:
        parts += [
            html.heading(mix.title),
            html.records(obligation_rows(mix, catalog), caption="Obligations"),
            html.records(licence_rows(mix), caption="Licences of the rows"),
            html.records(component_rows(mix, catalog), caption="Components"),
            html.table(["written by", "rows"], generator_rows(mix, catalog), caption="Generators"),
            html.records(source_rows(mix, _sources_of(mix, facts)), caption="Sources"),
        ]
    return html.page("Data set cards of the training mixes", *parts)
