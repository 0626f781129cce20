"""Part 2 of the summary of training content: where the data came from.

| section | holds |
|---|---|
| 2.1 | data sets that others compiled and publish: origins `hub` and `http` |
| 2.2 | local files declared `licensed` or `private` in `policy/provider.yaml` |
| 2.3 | what this project compiled itself from online archives: `sdist`, `git`, `crate` |
| 2.4 | local files declared `user`, and the provider's two answers |
| 2.5 | rows that a model wrote: here (`synthetic/*`) or in a public data set |
| 2.6 | local files declared `own` |

Nothing crawls: a loader fetches pinned archives from addresses that a person wrote down. The
template still asks for the domains that content was taken from, so they are listed for 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from tritter_assets.compliance.data_facts import DataFacts, SourceFacts
from tritter_assets.compliance.eu_form import Field, Part, Section, computed, stated
from tritter_assets.compliance.model_facts import joined
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider
from tritter_assets.contracts.source import FileOrigin, HttpOrigin, HubOrigin
from tritter_assets.record import Modality

NOT_AI = frozenset({"human", "rule_based"})
"""Generator classes that are no AI model: people, and programs without a model."""

_LARGE_SHARE = 0.03
"""A public data set is large from this share of all of its modality, as the template has it."""
_DOMAIN_SHARE = 0.10
_DOMAIN_SHARE_SME = 0.05
_DOMAINS_SME = 1000

TEMPLATE_MODALITY = {
    Modality.CODE: "text",
    Modality.TEXT: "text",
    Modality.INSTRUCTION: "text",
    Modality.PREFERENCE: "text",
    Modality.IMAGE: "image",
    Modality.AUDIO: "audio",
}


def sources_part(facts: DataFacts, catalog: Catalog, provider: Provider) -> Part:
    """Fills part 2 of the template."""
    public = [s for s in facts.trained_sources if _kind(s, provider) == "public"]
    compiled = [s for s in facts.trained_sources if _kind(s, provider) == "compiled"]
    return Part(
        number="2",
        title="List of data sources",
        sections=[
            _public(public),
            *_private(facts, provider),
            _compiled(compiled, provider),
            _user_data(facts, provider),
            _synthetic(facts, catalog),
            _other(facts, provider),
        ],
    )


def _kind(source: SourceFacts, provider: Provider) -> str:
    """`public`, `compiled`, one of the kinds of local file, or `undeclared`."""
    if source.contract is None:
        return "undeclared"
    match source.contract.origin:
        case HubOrigin() | HttpOrigin():
            return "public"
        case FileOrigin():
            return provider.local_sources.get(source.id, "undeclared")
        case _:
            return "compiled"


def _modality(source: SourceFacts) -> str:
    return TEMPLATE_MODALITY[source.contract.modality] if source.contract else "text"


def _modalities(sources: Iterable[SourceFacts]) -> str:
    return ", ".join(sorted({_modality(source) for source in sources})) or "none"


def _tokens(source: SourceFacts) -> int:
    return sum(source.mix_tokens.values())


def _listed(sources: Sequence[SourceFacts]) -> list[dict[str, Any]]:
    return [
        {
            "name": source.title,
            "link": source.address,
            "revision": source.revision,
            "modality": _modality(source),
            "rows": sum(source.mix_rows.values()),
            "estimated_tokens": _tokens(source),
            "licences_of_the_rows": ", ".join(source.licences),
        }
        for source in sorted(sources, key=lambda s: (-_tokens(s), s.id))
    ]


def _public(sources: Sequence[SourceFacts]) -> Section:
    totals = joined({_modality(source): _tokens(source)} for source in sources)
    large = [s for s in sources if _tokens(s) > _LARGE_SHARE * totals[_modality(s)]]
    other = [s for s in sources if s not in large]
    fields = [
        computed(
            "used",
            "Have you used publicly available datasets to train the model?",
            bool(sources),
        )
    ]
    if sources:
        fields += [
            computed("modalities", "Modality(ies) of the content covered", _modalities(sources)),
            computed("large", "List of large publicly available datasets", _listed(large)),
            computed(
                "other_description",
                "General description of other publicly available datasets not listed above",
                f"{len(other)} smaller data sets, each listed below." if other else "None.",
            ),
        ]
    if other:
        fields.append(computed("other", "Other publicly available datasets", _listed(other)))
    return Section(number="2.1", title="Publicly available datasets", fields=fields)


def _private(facts: DataFacts, provider: Provider) -> list[Section]:
    licensed = [s for s in facts.trained_sources if _kind(s, provider) == "licensed"]
    private = [s for s in facts.trained_sources if _kind(s, provider) == "private"]
    first = [
        computed(
            "used",
            "Have you concluded transactional commercial licensing agreement(s) with "
            "rightsholder(s) or with their representatives?",
            bool(licensed),
        )
    ]
    second = [
        computed(
            "used",
            "Have you obtained private datasets from third parties that are not licensed as "
            "described in Section 2.2.1?",
            bool(private),
        )
    ]
    if licensed:
        first.append(
            computed("modalities", "Modality(ies) of the content covered", _modalities(licensed))
        )
    if private:
        second += [
            computed("modalities", "Modality(ies) of the content covered", _modalities(private)),
            computed("list", "List of private datasets", _listed(private)),
        ]
    undeclared = [s for s in facts.trained_sources if _kind(s, provider) == "undeclared"]
    second += [
        stated(source.id, f"Nature of the local source {source.title}", "", "local_sources")
        for source in undeclared
    ]
    return [
        Section(
            number="2.2.1",
            title="Datasets commercially licensed by rightsholders or their representatives",
            fields=first,
        ),
        Section(
            number="2.2.2",
            title="Private datasets obtained from other third parties",
            fields=second,
        ),
    ]


def _compiled(sources: Sequence[SourceFacts], provider: Provider) -> Section:
    fields = [
        computed("crawlers", "Were crawlers used by the provider or on its behalf?", False),
        computed("crawler_names", "Crawler name(s)/identifier(s)", "None."),
    ]
    if sources:
        newest = max(source.as_of for source in sources)
        fields += [
            computed(
                "purpose",
                "Purposes of the crawler(s)",
                "None. Archives of published software are fetched by name and version, to train "
                "on the files whose licence admits it.",
            ),
            computed(
                "behaviour",
                "General description of crawler behaviour",
                "No link is followed. A loader fetches the pinned archives that the source "
                "contracts name, checks their hashes and reads them without executing anything.",
            ),
            computed(
                "period",
                "Period of data collection",
                f"The pinned versions below; contracts as of {newest.isoformat()} or earlier.",
            ),
            computed(
                "content",
                "Comprehensive description of the type of content and online sources crawled",
                f"{len(sources)} published software packages and repositories: source code, "
                "its documentation, and the licence files that come with them.",
            ),
            computed("modalities", "Type of modality covered", _modalities(sources)),
            _domains(sources, provider),
            computed("archives", "Packages and repositories read", _listed(sources)),
        ]
    return Section(
        number="2.3", title="Data crawled and scraped from online sources", fields=fields
    )


def _domains(sources: Sequence[SourceFacts], provider: Provider) -> Field:
    """The domains with most content, as many as the template asks of an enterprise of this size."""
    totals = joined({source.domain: _tokens(source)} for source in sources if source.domain)
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    if provider.enterprise == "sme":
        wanted = min(math.ceil(_DOMAIN_SHARE_SME * len(ordered)), _DOMAINS_SME)
        rule = "top 5 % or 1,000"
    else:
        wanted, rule = math.ceil(_DOMAIN_SHARE * len(ordered)), "top 10 %"
    return computed(
        "domains",
        f"Summary of the most relevant domain names ({rule} of {len(ordered)}, by size of content)",
        [{"domain": name, "estimated_tokens": tokens} for name, tokens in ordered[:wanted]],
    )


def _user_data(facts: DataFacts, provider: Provider) -> Section:
    own = [s for s in facts.trained_sources if _kind(s, provider) == "user"]
    fields = [
        stated(
            "interactions",
            "Was data from user interactions with the AI model (e.g. user input and prompts) used "
            "to train the model?",
            provider.user_interactions,
            "user_interactions",
        ),
        stated(
            "services",
            "Was data collected from user interactions with the provider's other services or "
            "products used to train the model?",
            provider.other_services,
            "other_services",
        ),
    ]
    if provider.user_interactions or provider.other_services:
        fields.append(
            stated(
                "description",
                "General description of the provider's services or products that were used to "
                "collect the user data",
                provider.services,
                "services",
            )
        )
    if own:
        fields += [
            computed("modalities", "Type of modality covered", _modalities(own)),
            computed("list", "Sources declared as user data", _listed(own)),
        ]
    return Section(number="2.4", title="User data", fields=fields)


def _synthetic(facts: DataFacts, catalog: Catalog) -> Section:
    known = catalog.policy.generators
    here = _by_models(joined(mix.made_here for mix in facts.mixes), catalog)
    everywhere = _by_models(joined(mix.generators for mix in facts.mixes), catalog)
    programs = joined(mix.generators for mix in facts.mixes).get("rule_based", 0)
    models = [
        {
            "model": known[key].title if key in known else key,
            "terms": known[key].generator_class.replace("_", " ") if key in known else "unknown",
            "rows_made_by_the_provider": here.get(key, 0),
            "rows_in_public_data_sets": number - here.get(key, 0),
        }
        for key, number in everywhere.items()
    ]
    fields = [
        computed(
            "used",
            "Was synthetic AI-generated data created by the provider or on their behalf to train "
            "the model?",
            bool(here),
        ),
        computed("modalities", "Modality of the synthetic data", "text" if here else "none"),
        computed("models", "AI models whose output is among the training data", models),
        computed(
            "comments",
            "Additional comments",
            f"{programs:,} rows were written by programs without a model (rules over parsed code "
            "and its documentation); they are not AI-generated and inherit the licence of the "
            "documents they come from.",
        ),
    ]
    return Section(number="2.5", title="Synthetic data", fields=fields)


def _by_models(generators: dict[str, int], catalog: Catalog) -> dict[str, int]:
    known = catalog.policy.generators
    return {
        key: rows
        for key, rows in generators.items()
        if key not in known or known[key].generator_class not in NOT_AI
    }


def _other(facts: DataFacts, provider: Provider) -> Section:
    own = [s for s in facts.trained_sources if _kind(s, provider) == "own"]
    fields = [
        computed(
            "used",
            "Have data sources other than those described in Sections 2.1 to 2.5 been used to "
            "train the model?",
            bool(own),
        )
    ]
    if own:
        fields.append(computed("description", "Description of these sources", _listed(own)))
    return Section(number="2.6", title="Other sources of data", fields=fields)
