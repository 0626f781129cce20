"""`policy/provider.yaml`: what only the publisher of a model can say, for the papers.

Nothing in it decides what trains. A field left empty is not an error: it is *not stated*, and the
papers and a check say so by name, so that an unfinished paper cannot pass for a finished one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tritter_assets.contracts.fields import FieldReader, did_you_mean
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile

FILE = "provider.yaml"
ENTERPRISES = ("sme", "other")
LOCAL_KINDS = ("licensed", "private", "user", "own")


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """Who publishes, and what they state; None or an empty text is not stated."""

    name: str = ""
    contact: str = ""
    website: str = ""
    authorised_representative: str = ""
    placed_on_market: date | None = None
    enterprise: str = ""
    """One of `ENTERPRISES`."""
    code_of_practice: bool | None = None
    user_interactions: bool | None = None
    other_services: bool | None = None
    services: str = ""
    local_sources: Mapping[str, str] = field(default_factory=dict)
    """Source id -> one of `LOCAL_KINDS`."""
    weights_license: str = ""
    weights_license_name: str = ""
    weights_license_link: str = ""
    summary_version: str = ""
    summary_date: date | None = None
    earlier_versions: str = ""
    intended_use: str = ""
    linguistic_characteristics: str = ""
    other_characteristics: str = ""
    illegal_content_measures: str = ""
    comments: str = ""

    def missing(self) -> tuple[str, ...]:
        """Returns the fields that the template asks for and that are not stated."""
        wanted = {
            "name": self.name,
            "contact": self.contact,
            "authorised_representative": self.authorised_representative,
            "placed_on_market": self.placed_on_market,
            "enterprise": self.enterprise,
            "code_of_practice": self.code_of_practice,
            "user_interactions": self.user_interactions,
            "other_services": self.other_services,
            "weights_license": self.weights_license,
            "summary_version": self.summary_version,
            "summary_date": self.summary_date,
        }
        missing = [name for name, value in wanted.items() if value is None or value == ""]
        if (self.user_interactions or self.other_services) and not self.services:
            missing.append("services")
        return tuple(missing)


def read_provider(contracts_root: Path) -> Provider:
    """Reads `policy/provider.yaml`; without the file nothing is stated.

    Args:
        contracts_root: The folder `data_contracts`.

    Raises:
        ContractProblems: a field is unknown or of the wrong kind.
    """
    path = contracts_root / "policy" / FILE
    if not path.exists():
        return Provider()
    file = YamlFile(path)
    problems: list[ContractProblem] = []
    reader = FieldReader(file, (), file.data, problems)
    found = Provider(
        name=reader.text("name", ""),
        contact=reader.text("contact", ""),
        website=reader.text("website", ""),
        authorised_representative=reader.text("authorised_representative", ""),
        placed_on_market=reader.day("placed_on_market", None),
        enterprise=reader.choice("enterprise", ENTERPRISES, ""),
        code_of_practice=_answer(reader, "code_of_practice"),
        user_interactions=_answer(reader, "user_interactions"),
        other_services=_answer(reader, "other_services"),
        services=reader.text("services", ""),
        local_sources=_local_sources(reader),
        weights_license=reader.text("weights_license", ""),
        weights_license_name=reader.text("weights_license_name", ""),
        weights_license_link=reader.text("weights_license_link", ""),
        summary_version=reader.text("summary_version", ""),
        summary_date=reader.day("summary_date", None),
        earlier_versions=reader.text("earlier_versions", ""),
        intended_use=reader.text("intended_use", ""),
        linguistic_characteristics=reader.text("linguistic_characteristics", ""),
        other_characteristics=reader.text("other_characteristics", ""),
        illegal_content_measures=reader.text("illegal_content_measures", ""),
        comments=reader.text("comments", ""),
    )
    if found.weights_license == "other" and not found.weights_license_link:
        reader.problem(
            "weights_license_link",
            "is empty although weights_license is 'other'",
            "give the address of the licence's text",
        )
    reader.done()
    if problems:
        raise ContractProblems(problems)
    return found


def provider_digest(contracts_root: Path) -> str:
    """Returns the file's SHA-256, or nothing without it: part of the fingerprint of the papers."""
    path = contracts_root / "policy" / FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _answer(reader: FieldReader, name: str) -> bool | None:
    if not reader.has(name):
        reader.skip(name)
        return None
    return reader.boolean(name)


def _local_sources(reader: FieldReader) -> dict[str, str]:
    found: dict[str, str] = {}
    for source, kind in reader.mapping("local_sources", {}).items():
        if kind not in LOCAL_KINDS:
            reader.problem(
                "local_sources",
                f"says {source}: {kind!r}",
                did_you_mean(str(kind), LOCAL_KINDS),
            )
        found[str(source)] = str(kind)
    return found
