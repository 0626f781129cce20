"""Front matter of cards as the Hugging Face Hub reads it, checked before a card is stored.

A card is written with `huggingface_hub`'s own card classes and read back with them; what they do
not check (the Hub does, when a card is pushed) is checked here: the licence id, the size category
and the language codes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tritter_assets.contracts.fields import did_you_mean
from tritter_assets.contracts.yaml_file import YamlFile
from tritter_assets.errors import ContractViolation

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
)
_LARGEST = "n>1T"

LICENSES_FILE = "hub_licenses.yaml"

# What the rows are written in, where a language of the Hub names it; the rest is code.
_NATURAL = {"markdown": "en", "restructuredtext": "en", "text": "en", "english": "en"}
_LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")


def size_category(rows: int) -> str:
    """Returns the Hub's size category of a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), _LARGEST)


def card_languages(languages: Collection[str]) -> list[str]:
    """Returns the Hub's language codes of document languages; `code` for programming languages."""
    return sorted({_NATURAL.get(language.lower(), "code") for language in languages}) or ["code"]


def hub_datasets(addresses: Collection[str]) -> list[str]:
    """Returns the ids of those addresses that are data sets of the Hub."""
    prefix = "https://huggingface.co/datasets/"
    return sorted({a.removeprefix(prefix) for a in addresses if a.startswith(prefix)})


def render_card(data: Any, body: str, contracts_root: Path) -> str:
    """Returns the card's text: the front matter of `data`, then `body`.

    Args:
        data: `DatasetCardData` or `ModelCardData`.
        body: Markdown.
        contracts_root: The folder `data_contracts`, for the Hub's licence ids.

    Raises:
        ContractViolation: the card, read back, is not what was written, or the Hub would refuse it.
    """
    from huggingface_hub import DatasetCard, DatasetCardData, ModelCard

    text = f"---\n{data.to_yaml()}\n---\n\n{body}"
    kind = DatasetCard if isinstance(data, DatasetCardData) else ModelCard
    try:
        card: Any = kind(text)
    except (ValueError, TypeError) as error:
        raise ContractViolation(f"the card's front matter is not valid: {error}") from None
    if card.data.to_dict() != data.to_dict():
        raise ContractViolation("the card's front matter does not read back as it was written")
    known = YamlFile(contracts_root / "policy" / LICENSES_FILE).data["ids"]
    problems = front_matter_problems(data.to_dict(), known)
    if problems:
        raise ContractViolation("the Hub would refuse the card: " + "; ".join(problems))
    return text


def front_matter_problems(front: Mapping[str, Any], licenses: Collection[str]) -> list[str]:
    """Returns what the Hub would object to when the card is pushed.

    Args:
        front: The front matter.
        licenses: Ids that the Hub accepts as `license`.
    """
    problems = []
    licence = front.get("license")
    if licence not in licenses:
        near = did_you_mean(str(licence), licenses)
        problems.append(f"license {licence!r} is not an id of the Hub: {near}")
    if licence == "other" and not (front.get("license_name") and front.get("license_link")):
        problems.append("license 'other' needs license_name and license_link")
    problems += [
        f"language {language!r} is not a code of ISO 639, or 'code'"
        for language in _several(front.get("language"))
        if not _LANGUAGE.fullmatch(language)
    ]
    known = {name for _, name in SIZES} | {_LARGEST}
    problems += [
        f"size_categories {size!r} is not one of the Hub's"
        for size in _several(front.get("size_categories"))
        if size not in known
    ]
    return problems


def _several(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
