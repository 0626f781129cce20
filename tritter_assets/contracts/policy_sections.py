"""Readers of the policy files' sections. Each collects its problems, so that all are reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritter_assets.contracts.policy_model import (
    UNKNOWN,
    UNREVIEWED,
    AccessTerms,
    Category,
    GeneratorTerms,
    Obligation,
    scancode_category,
)
from tritter_assets.contracts.yaml_file import ContractProblem, FieldPath, YamlFile

_LANES = ("open", "share_alike", "closed")
_SCANCODE_CLOSED = frozenset(
    {"Copyleft", "Copyleft Limited", "Source-available", "Proprietary Free", "Commercial"}
)


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One policy file and where its problems go."""

    yaml: YamlFile
    fatal: list[ContractProblem]
    """Problems that stop the policy: with them it could admit too much."""
    problems: list[ContractProblem] = field(default_factory=list)
    """Problems that only take something away, such as an expired decision."""

    def refuse(self, where: FieldPath, message: str, fix: str) -> None:
        """Records a problem that stops the policy from loading."""
        self.fatal.append(self.yaml.problem(where, message, fix))

    def mapping(self, key: str) -> dict[str, Any]:
        """Returns a section that must be a mapping."""
        value = self.yaml.data.get(key)
        if isinstance(value, dict):
            return {str(name): entry for name, entry in value.items()}
        self.refuse((key,), "not a mapping", f"write '{key}:' with lines below it")
        return {}

    def records(self, key: str) -> dict[str, dict[str, Any]]:
        """Returns a section whose entries must be mappings themselves."""
        found: dict[str, dict[str, Any]] = {}
        for name, entry in self.mapping(key).items():
            if isinstance(entry, dict):
                found[name] = entry
            else:
                self.refuse((key, name), f"{entry!r} is no mapping", "write {field: value, ...}")
        return found

    def names(
        self, where: FieldPath, value: Any, known: Iterable[str] | None = None
    ) -> tuple[str, ...]:
        """Returns a list of names, sorted, each of which must be known."""
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(where, f"{value!r} is no list", "write [one, two]")
            return ()
        found = tuple(sorted(str(item) for item in value))
        if known is not None:
            listed = sorted(known)
            for item in found:
                if item not in listed:
                    self.refuse(where, f"{item!r} is not known", f"one of {', '.join(listed)}")
        return found

    def number(self, where: FieldPath, value: Any, default: float) -> float:
        """Returns a number."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        self.refuse(where, f"{value!r} is no number", "write a number")
        return default


def read_categories(file: PolicyFile) -> dict[str, Category]:
    """Reads `categories`; an open category may not hold what the SPDX index calls closed."""
    categories: dict[str, Category] = {}
    seen: dict[str, str] = {}
    for key, value in file.records("categories").items():
        where = ("categories", key)
        lane = str(value.get("lane"))
        if lane not in _LANES:
            file.refuse((*where, "lane"), f"{lane!r}", f"one of {', '.join(_LANES)}")
        licenses = file.names((*where, "licenses"), value.get("licenses"))
        for spdx in licenses:
            if spdx in seen:
                file.refuse(where, f"{spdx} also stands in {seen[spdx]}", "keep one of the two")
            seen[spdx] = key
            if lane == "open" and scancode_category(spdx) in _SCANCODE_CLOSED:
                file.refuse(
                    where,
                    f"{spdx} is {scancode_category(spdx)} in the SPDX index",
                    "move it to its own category; a decision can admit it by name",
                )
        categories[key] = Category(
            key=key,
            rank=int(file.number((*where, "rank"), value.get("rank"), 99)),
            lane=lane,
            title=str(value.get("title", "")),
            licenses=frozenset(licenses),
        )
    for key in (UNREVIEWED, UNKNOWN):
        if key not in categories:
            file.refuse(("categories",), f"no category {key!r}", f"restore '{key}'")
    return categories


def read_fallback(file: PolicyFile, categories: Mapping[str, Category]) -> dict[str, str]:
    """Reads `fallback`; only closed categories may catch an id that nobody has judged."""
    fallback = {name: str(key) for name, key in file.mapping("fallback").items()}
    for name, key in fallback.items():
        if key not in categories or categories[key].lane != "closed":
            file.refuse(("fallback", name), f"{key!r} is not closed", "name a closed category")
    return fallback


def read_obligations(file: PolicyFile) -> dict[str, Obligation]:
    """Reads the obligations themselves."""
    return {
        key: Obligation(
            key=key,
            title=str(value.get("title", "")),
            discharged_by=str(value.get("discharged_by", "")),
        )
        for key, value in file.records("obligations").items()
    }


def read_obligation_lists(
    file: PolicyFile, key: str, known: Mapping[str, Obligation], required: Iterable[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Reads `by_category` or `by_license`."""
    lists = {
        name: file.names((key, name), value, known) for name, value in file.mapping(key).items()
    }
    for name in required:
        if name not in lists:
            file.refuse((key,), f"{name!r} has no line", f"add '{name}: [...]'")
    return lists


def read_generators(
    file: PolicyFile, obligations: Mapping[str, Obligation]
) -> tuple[dict[str, int], dict[str, GeneratorTerms]]:
    """Reads `classes` and `generators`."""
    classes = {
        key: int(file.number(("classes", key, "rank"), value.get("rank"), 99))
        for key, value in file.records("classes").items()
    }
    generators: dict[str, GeneratorTerms] = {}
    for key, value in file.records("generators").items():
        where = ("generators", key)
        name = str(value.get("class"))
        if name not in classes:
            file.refuse(where, f"class {name!r} unknown", f"one of {', '.join(classes)}")
        generators[key] = GeneratorTerms(
            key=key,
            generator_class=name,
            rank=classes.get(name, 99),
            title=str(value.get("title", "")),
            obligations=file.names(where, value.get("obligations"), obligations),
        )
    for key in ("human", "rule_based", "undisclosed"):
        if key not in generators:
            file.refuse(("generators",), f"no generator {key!r}", f"restore '{key}'")
    return classes, generators


def read_access(file: PolicyFile, obligations: Mapping[str, Obligation]) -> dict[str, AccessTerms]:
    """Reads `access_terms`; terms need acceptance unless they say plainly that they do not."""
    return {
        key: AccessTerms(
            key=key,
            title=str(value.get("title", "")),
            needs_acceptance=value.get("needs_acceptance") is not False,
            obligations=file.names(("access_terms", key), value.get("obligations"), obligations),
            warning=str(value.get("warning", "")),
        )
        for key, value in file.records("access_terms").items()
    }
