"""The data information for a person: the page of `osaid`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tritter_assets.compliance import html


def osaid_page(document: Mapping[str, Any], headline: str) -> bytes:
    """Returns the page of one data information document."""
    described = document["description"]
    selection = described["selection"]
    components = [
        {"mix": mix["mix"], **component}
        for mix in selection["mixes"]
        for component in mix["components"]
    ]
    scope = [
        {
            "mix": row["title"],
            "rows": row["rows"],
            "estimated_tokens": row["estimated_tokens"],
            "modalities": _counts(row["modalities"]),
            "languages": _counts(row["languages"]),
            "generators": _counts(row["generators"]),
        }
        for row in described["scope_and_characteristics"]
    ]
    sources = [
        {
            "source": row["title"],
            "what_it_is": row["description"],
            "how_obtained": row["how_obtained"],
            "claimed": row["license_claimed"],
            "access_terms": row["access_terms"],
            "rows_that_train": row["rows_that_train"],
            "licences_of_the_rows": _counts(row["licences_of_the_rows"]),
        }
        for row in described["provenance"]
    ]
    parts: list[html.Fragment] = [
        html.paragraph(f"{document['definition']}. {headline}."),
        *_verdict(document["problems"]),
        html.definitions(
            {
                "Provider": document["provider"] or html.tag("not stated", is_open=True),
                "Code": f"{document['code']['package']} {document['code']['version']}",
                "Use profile": selection["use_profile"],
                "Policy": selection["policy_digest"],
            }
        ),
        html.heading("1. All data used for training"),
        html.heading("Provenance", 3),
        html.records(sources),
        html.heading("Scope and characteristics", 3),
        html.records(scope),
        html.heading("How data was obtained and selected", 3),
        html.paragraph(selection["rule"]),
        html.records(components, caption="Components of the mixes"),
        html.heading("Labelling", 3),
        html.definitions(described["labelling"]),
        html.heading("Processing and filtering", 3),
        html.records(described["processing_and_filtering"], caption="Documents left by each step"),
    ]
    for number, (title, key) in enumerate(
        (
            ("Publicly available data and where to get it", "publicly_available"),
            ("Data obtainable from third parties", "obtainable_from_third_parties"),
            ("Data that cannot be obtained", "not_obtainable"),
        ),
        start=2,
    ):
        parts += [html.heading(f"{number}. {title}"), html.records(document[key])]
    parts += [
        html.heading("5. What each checkpoint read"),
        html.records(document["training"], caption="Phase by phase, ancestors included"),
        html.heading("6. Obligations"),
        html.records(document["obligations"], caption="Joined over each mix and checkpoint"),
    ]
    return html.page("Data information of the training data and models", *parts)


def _verdict(problems: Sequence[str]) -> list[html.Fragment]:
    if problems:
        badge = html.verdict_badge(False, "the description is not complete")
        return [badge, html.listing(problems)]
    text = "every source that trains is pinned and every document read is described"
    return [html.verdict_badge(True, text)]


def _counts(counts: Mapping[str, int]) -> Sequence[str]:
    return [f"{key} ({number:,})" for key, number in counts.items()]
