"""Part 1 of the summary of training content: who, which model, how much of what."""

from __future__ import annotations

from collections.abc import Mapping

from tritter_assets.compliance.data_facts import UNDATED, DataFacts
from tritter_assets.compliance.eu_form import Field, Part, Section, computed, optional, stated
from tritter_assets.compliance.eu_sources import TEMPLATE_MODALITY
from tritter_assets.compliance.model_facts import joined
from tritter_assets.contracts.provider import Provider
from tritter_assets.record import Modality

_BANDS = {
    "text": (
        (1_000_000_000, "Less than 1 billion tokens"),
        (10_000_000_000_000, "1 billion to 10 trillion tokens"),
        (None, "More than 10 trillion tokens"),
    ),
    "image": (
        (1_000_000, "Less than 1 million images"),
        (1_000_000_000, "1 million to 1 billion images"),
        (None, "More than 1 billion images"),
    ),
}
_CONTENT = {
    Modality.CODE: "source code",
    Modality.TEXT: "documentation and prose",
    Modality.INSTRUCTION: "instructions with answers",
    Modality.PREFERENCE: "pairs of answers of which one is preferred",
    Modality.IMAGE: "images",
    Modality.AUDIO: "speech and other audio",
}
_TEMPLATE_MODALITIES = ("text", "image", "audio", "video", "other")

_LISTED_LICENCES = 12


def about_part(provider: Provider) -> Part:
    """Fills the head of the template: which version of the summary this is."""
    fields = [
        stated("version", "Version of the Summary", provider.summary_version, "summary_version"),
        stated("last_update", "Last update", provider.summary_date, "summary_date"),
        *optional("earlier", "Earlier versions", provider.earlier_versions, "earlier_versions"),
    ]
    title = "About this summary"
    return Part(number="0", title=title, sections=[Section(number="0", title=title, fields=fields)])


def general_part(facts: DataFacts, provider: Provider) -> Part:
    """Fills part 1 of the template."""
    provider_fields = [
        stated("provider", "Provider name", provider.name, "name"),
        stated("contact", "Contact details", provider.contact, "contact"),
        *optional("website", "Website", provider.website, "website"),
        stated(
            "representative",
            "Authorised representative name and contact details",
            provider.authorised_representative,
            "authorised_representative",
        ),
    ]
    return Part(
        number="1",
        title="General information",
        sections=[
            Section(number="1.1", title="Provider identification", fields=provider_fields),
            Section(number="1.2", title="Model identification", fields=_models(facts, provider)),
            Section(
                number="1.3",
                title="Modalities, overall training data size and other characteristics",
                fields=_characteristics(facts, provider),
            ),
        ],
    )


def _models(facts: DataFacts, provider: Provider) -> list[Field]:
    names = [
        {
            "model": model.asset,
            "version": model.data_version,
            "continues": model.parent or "random weights",
        }
        for model in facts.models
    ]
    return [
        computed("names", "Versioned model name(s)", names)
        if names
        else computed("names", "Versioned model name(s)", "No checkpoint has been trained yet."),
        computed(
            "dependencies",
            "Model dependencies",
            "None outside this list: the first checkpoint starts from random weights and each "
            "later one continues the one named.",
        ),
        stated(
            "placed",
            "Date of placement of the model on the Union market",
            provider.placed_on_market,
            "placed_on_market",
        ),
    ]


def _characteristics(facts: DataFacts, provider: Provider) -> list[Field]:
    tokens = sum(mix.unique_tokens for mix in facts.mixes)
    rows = joined(mix.modalities for mix in facts.mixes)
    sizes = []
    for modality in _TEMPLATE_MODALITIES:
        mine = {key: n for key, n in rows.items() if _template_modality(key) == modality}
        sizes.append(
            {
                "modality": modality.capitalize(),
                "present": bool(mine),
                "training_data_size": _size(modality, tokens, sum(mine.values())) if mine else "",
                "types_of_content": ", ".join(
                    f"{_content(k)} ({n:,} rows)" for k, n in mine.items()
                ),
            }
        )
    days = [source.as_of for source in facts.trained_sources if source.as_of != UNDATED]
    languages = joined(mix.language_tokens for mix in facts.mixes)
    ordered = sorted(languages.items(), key=lambda item: (-item[1], item[0]))
    shares = ", ".join(f"{name} {100 * number / max(tokens, 1):.1f} %" for name, number in ordered)
    return [
        computed("modalities", "Modalities, training data size and types of content", sizes),
        computed("tokens", "Estimated tokens, each row of a mix counted once", tokens),
        computed(
            "latest",
            "Latest date of data acquisition/collection for model training (MM/YYYY)",
            f"{max(days):%m/%Y}, the month of the newest source contract; only what contracts pin "
            "is fetched"
            if days
            else "no source trains",
        ),
        computed(
            "continuous",
            "Is the model continuously trained on new data after this date?",
            False,
        ),
        computed(
            "linguistic",
            "Description of the linguistic characteristics of the overall training data",
            f"Languages of the documents by share of tokens: {shares or 'none'}. The natural "
            "language of comments and documentation is not measured.",
        ),
        *optional(
            "linguistic_stated",
            "Linguistic characteristics, as the provider describes them",
            provider.linguistic_characteristics,
            "linguistic_characteristics",
        ),
        computed(
            "other",
            "Other relevant characteristics of the overall training data",
            "Documents whose licence is concluded one by one; "
            + _shares("licences", facts.licences()),
        ),
        *optional(
            "other_stated",
            "Other relevant characteristics, as the provider describes them",
            provider.other_characteristics,
            "other_characteristics",
        ),
    ]


def _template_modality(key: str) -> str:
    return TEMPLATE_MODALITY[Modality(key)] if key in set(Modality) else "other"


def _content(key: str) -> str:
    return _CONTENT[Modality(key)] if key in set(Modality) else key


def _size(modality: str, tokens: int, rows: int) -> str:
    """The template's range; audio and video are asked for in hours, which no table holds."""
    if modality not in _BANDS:
        return f"{rows:,} rows; hours are not measured"
    number = tokens if modality == "text" else rows
    return next(name for limit, name in _BANDS[modality] if limit is None or number < limit)


def _shares(what: str, counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{key} ({number:,} rows)" for key, number in ordered[:_LISTED_LICENCES])
    rest = len(ordered) - _LISTED_LICENCES
    more = f" and {rest} more" if rest > 0 else ""
    return f"{what}: {shown or 'none'}{more}."
