"""Use profiles: what each admits once limits and decisions are applied; proves them nested."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tritter_assets.contracts.policy_model import (
    PROFILE_ORDER,
    UNKNOWN,
    UNREVIEWED,
    AccessTerms,
    Category,
    Decision,
    DecisionKind,
    GeneratorTerms,
    UseProfile,
)
from tritter_assets.contracts.policy_sections import PolicyFile
from tritter_assets.contracts.strict_limits import STRICT_CONFIDENCE, STRICT_LIMITS

_WRAPPER_ORDER = ("quarantine", "warn")
_UNLISTED = frozenset({UNREVIEWED, "weak_copyleft", "copyleft", "non_commercial", "use_restricted"})
"""Categories that the SPDX index can give to an id without a line of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What the other files define."""

    categories: Mapping[str, Category]
    classes: Mapping[str, int]
    generators: Mapping[str, GeneratorTerms]
    access: Mapping[str, AccessTerms]
    decisions: tuple[Decision, ...]


def read_use_profiles(file: PolicyFile, known: Vocabulary) -> dict[str, UseProfile]:
    """Reads `use_profiles`, clips `strict`, applies decisions, proves that profiles are nested."""
    profiles: dict[str, UseProfile] = {}
    raw = file.records("use_profiles")
    for name in PROFILE_ORDER:
        if name not in raw:
            file.refuse(("use_profiles", name), "missing", "restore the profile")
            continue
        profile = _read(file, name, raw[name], known)
        if name == "strict":
            profile = _clip(profile, file)
        profiles[name] = _decide(profile, known.decisions)
    for narrow, wide in itertools.pairwise(PROFILE_ORDER):
        if narrow in profiles and wide in profiles:
            for what in _not_contained(profiles[narrow], profiles[wide]):
                file.refuse(("use_profiles", wide), f"only {narrow} admits {what}", "widen it")
    return profiles


def _read(file: PolicyFile, name: str, value: Mapping[str, Any], known: Vocabulary) -> UseProfile:
    where = ("use_profiles", name)

    def names(key: str, allowed: Iterable[str] | None = None) -> frozenset[str]:
        return frozenset(file.names((*where, key), value.get(key), allowed))

    wanted = names("admit_categories", known.categories)
    if wanted & {UNKNOWN, "proprietary"}:
        file.refuse((*where, "admit_categories"), "unknown is never admitted", "take it out")
    wrapper = value.get("unknown_wrapper")
    if wrapper not in _WRAPPER_ORDER:
        file.refuse((*where, "unknown_wrapper"), f"{wrapper!r}", "quarantine or warn")
        wrapper = "quarantine"
    refused = names("refuse_licenses")
    classes = names("admit_generator_classes", known.classes)
    by_category = {
        spdx for key in wanted & known.categories.keys() for spdx in known.categories[key].licenses
    }
    return UseProfile(
        name=name,
        title=str(value.get("title", "")),
        admit_licenses=frozenset(by_category) - refused,
        admit_unlisted_categories=wanted & _UNLISTED,
        refuse_licenses=refused,
        admit_methods=names("admit_methods"),
        min_confidence=file.number((*where, "min_confidence"), value.get("min_confidence"), 1.0),
        admit_generators=names("admit_generators", known.generators)
        | {key for key, terms in known.generators.items() if terms.generator_class in classes},
        admit_access=frozenset(
            key for key, terms in known.access.items() if not terms.needs_acceptance
        ),
        unknown_wrapper=str(wrapper),
    )


def _clip(profile: UseProfile, file: PolicyFile) -> UseProfile:
    """Takes from `strict` what is beyond its limits, and reports what was taken."""
    kept: dict[str, Any] = {}
    for attribute, limit in (
        ("admit_licenses", "licenses"),
        ("admit_methods", "methods"),
        ("admit_generators", "generators"),
        ("admit_access", "access"),
    ):
        wanted: frozenset[str] = getattr(profile, attribute)
        kept[attribute] = wanted & STRICT_LIMITS[limit]
        beyond = sorted(wanted - STRICT_LIMITS[limit])
        # Access terms are the same for all profiles: nobody wrote them for `strict`.
        if beyond and attribute != "admit_access":
            file.problems.append(
                file.yaml.problem(
                    ("use_profiles", "strict"),
                    f"would admit {', '.join(beyond)}, beyond what strict may admit",
                    "sign a decision for it, or take it out",
                )
            )
    return dataclasses.replace(
        profile,
        admit_unlisted_categories=frozenset(),
        min_confidence=max(profile.min_confidence, STRICT_CONFIDENCE),
        unknown_wrapper="quarantine",
        **kept,
    )


def _decide(profile: UseProfile, decisions: tuple[Decision, ...]) -> UseProfile:
    subjects = {
        kind: frozenset(
            d.subject for d in decisions if d.kind is kind and d.applies_to(profile.name)
        )
        for kind in DecisionKind
    }
    refused = profile.refuse_licenses | subjects[DecisionKind.REFUSE_LICENSE]
    return dataclasses.replace(
        profile,
        admit_licenses=(profile.admit_licenses | subjects[DecisionKind.ADMIT_LICENSE]) - refused,
        refuse_licenses=refused,
        admit_generators=profile.admit_generators | subjects[DecisionKind.ADMIT_GENERATOR],
        admit_access=profile.admit_access | subjects[DecisionKind.ACCEPT_ACCESS],
    )


def _not_contained(narrow: UseProfile, wide: UseProfile) -> Iterable[str]:
    for attribute in (
        "admit_licenses",
        "admit_unlisted_categories",
        "admit_methods",
        "admit_generators",
        "admit_access",
    ):
        extra = sorted(getattr(narrow, attribute) - getattr(wide, attribute))
        if extra:
            yield f"{attribute} {', '.join(extra)}"
    if narrow.min_confidence < wide.min_confidence:
        yield f"min_confidence {narrow.min_confidence}"
    if _WRAPPER_ORDER.index(narrow.unknown_wrapper) > _WRAPPER_ORDER.index(wide.unknown_wrapper):
        yield f"unknown_wrapper {narrow.unknown_wrapper}"
