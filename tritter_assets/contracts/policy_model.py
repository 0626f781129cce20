"""What `data_contracts/policy/` says, as frozen dataclasses. Loading is in `policy.py`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from tritter_assets.contracts.yaml_file import ContractProblem

UNREVIEWED = "unreviewed"
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """A class of licences; `rank` orders them from free (0) to closed."""

    key: str
    rank: int
    lane: str
    """`open`, `share_alike` or `closed`: the mixes its rows may stand in."""
    title: str
    licenses: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Obligation:
    """Something a licence, an access term or a generator asks for."""

    key: str
    title: str
    discharged_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorTerms:
    """Who or what wrote rows, and the class of terms that binds them and all derived from them."""

    key: str
    generator_class: str
    rank: int
    title: str
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessTerms:
    """What had to be agreed to in order to get rows."""

    key: str
    title: str
    needs_acceptance: bool
    obligations: tuple[str, ...] = ()
    warning: str = ""


class DecisionKind(StrEnum):
    """What a person can decide."""

    ADMIT_LICENSE = "admit_license"
    REFUSE_LICENSE = "refuse_license"
    ADMIT_GENERATOR = "admit_generator"
    ACCEPT_ACCESS = "accept_access"
    ACCEPT_UPSTREAM = "accept_upstream"
    ADMIT_NAME = "admit_name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A person's decision. It holds through the day it `expires` and admits nothing afterwards."""

    id: str
    kind: DecisionKind
    subject: str
    use_profiles: tuple[str, ...]
    who: str
    when: date
    evidence: str
    expires: date
    expired: bool

    def applies_to(self, use_profile: str) -> bool:
        """Whether it binds in a profile.

        What is admitted in a narrow profile is admitted in the wider ones, and what is refused in
        a wide one is refused in the narrower: so profiles stay nested whatever people decide.
        """
        if self.expired:
            return False
        mine = [PROFILE_ORDER.index(name) for name in self.use_profiles]
        asked = PROFILE_ORDER.index(use_profile)
        return (
            asked <= max(mine) if self.kind is DecisionKind.REFUSE_LICENSE else asked >= min(mine)
        )


PROFILE_ORDER = ("strict", "brief", "research")
"""Use profiles from narrow to wide: each admits all that the one before it admits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UseProfile:
    """What one use of the data admits."""

    name: str
    title: str
    admit_licenses: frozenset[str]
    """SPDX ids: of the admitted categories and of live decisions, less those refused."""
    admit_unlisted_categories: frozenset[str]
    """Categories whose ids are admitted even when the policy does not list the id."""
    refuse_licenses: frozenset[str]
    admit_methods: frozenset[str]
    min_confidence: float
    admit_generators: frozenset[str]
    """Keys of `generators.yaml`: of the admitted classes, and those named one by one."""
    admit_access: frozenset[str]
    """Keys of `access_terms.yaml` that need no acceptance, or that a person has accepted."""
    unknown_wrapper: str
    """`quarantine`, or `warn` when the row proves its own licence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The whole policy. Two loads of the same files on the same side of every expiry are equal."""

    categories: Mapping[str, Category]
    obligations: Mapping[str, Obligation]
    license_obligations: Mapping[str, tuple[str, ...]]
    """SPDX id -> obligations; ids without a line take those of their category."""
    category_obligations: Mapping[str, tuple[str, ...]]
    fallback_categories: Mapping[str, str]
    """ScanCode category -> ours, for SPDX ids that `categories.yaml` does not list."""
    use_profiles: Mapping[str, UseProfile]
    preference: tuple[str, ...]
    generators: Mapping[str, GeneratorTerms]
    generator_classes: Mapping[str, int]
    """Class -> rank; a derived row takes the greatest rank among its parents."""
    access_terms: Mapping[str, AccessTerms]
    aliases: Mapping[str, str]
    """Lower-case name -> SPDX expression: Hub tags, free text, detector ids."""
    classifiers: Mapping[str, str]
    """Trove classifier's last part, lower case -> SPDX expression."""
    dep5_names: Mapping[str, str]
    """DEP-5 short name, lower case -> SPDX expression."""
    decisions: tuple[Decision, ...]
    opt_out: Mapping[str, tuple[str, ...]]
    """Removal kind (`repo`, `owner`, `author`, `sha256`, `id`) -> values."""
    filters: Mapping[str, Any] = field(default_factory=dict)
    """`filters.yaml` as it stands; the filters room reads it."""
    problems: tuple[ContractProblem, ...] = ()
    """What does not stop the policy from loading: expired decisions, clipped widenings."""
    digest: str = ""
    """Of all files and of which decisions have expired."""
    conclusion_digest: str = ""
    """Of what changes `license_concluded` (the aliases); for the code version of `raw/*`."""
    admission_digest: str = ""
    """Of what changes admission and obligations; for verdicts and mixes."""
    filters_digest: str = ""
    """Of `filters.yaml` and `opt_out.yaml`."""

    def category_of(self, spdx: str) -> Category:
        """Returns the category of one SPDX id (not an expression); fails closed."""
        return self.categories[_category_key(self, spdx)]

    def obligations_of(self, spdx: str) -> tuple[str, ...]:
        """Returns the obligations of one SPDX id, sorted."""
        own = self.license_obligations.get(spdx)
        return own if own is not None else self.category_obligations[_category_key(self, spdx)]


def _category_key(policy: Policy, spdx: str) -> str:
    for category in policy.categories.values():
        if spdx in category.licenses:
            return category.key
    return policy.fallback_categories.get(scancode_category(spdx), UNREVIEWED)


def scancode_category(spdx: str) -> str:
    """Returns the ScanCode category of an SPDX id, or `Unstated License` if the index lacks it."""
    return _index()[0].get(spdx, "Unstated License")


def spdx_ids() -> frozenset[str]:
    """Returns the current ids of licences and exceptions, as the SPDX list writes them."""
    return _index()[1]


@functools.cache
def _index() -> tuple[dict[str, str], frozenset[str]]:
    """The index that comes with license-expression: 2,579 keys, 5 ms to read."""
    from license_expression import get_license_index

    categories: dict[str, str] = {}
    current: set[str] = set()
    for entry in get_license_index():
        for key in (entry["spdx_license_key"], *entry["other_spdx_license_keys"]):
            if key:
                categories.setdefault(key, entry["category"])
        if entry["spdx_license_key"]:
            current.add(entry["spdx_license_key"])
    return categories, frozenset(current)
