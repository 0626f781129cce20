"""Licence families: coarse enough that copies under MIT and Apache-2.0 do not conflict.

The same content under two families is a question for a person: one of the two claims is wrong, or
the holder licensed twice. Choosing the more permissive copy would launder the licence, so such
content is quarantined.

A family follows the category that `data_contracts/policy/` gives a licence, so a licence means the
same here and where rows are admitted. What nobody has reviewed is UNKNOWN, until a signed decision
admits it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from tritter_assets.contracts.policy_model import (
    UNKNOWN,
    UNREVIEWED,
    DecisionKind,
    Policy,
    scancode_category,
    spdx_ids,
)
from tritter_assets.lake import fingerprint_of
from tritter_assets.licensing.expression import Leaf, Tree, parse
from tritter_assets.record import NOASSERTION


class LicenseFamily(IntEnum):
    """Families by how much they ask for; the order decides AND (greatest) and OR (smallest)."""

    PERMISSIVE = 0
    COMPUTATIONAL = 1
    SHARE_ALIKE = 2
    WEAK_COPYLEFT = 3
    COPYLEFT = 4
    UNKNOWN = 5
    """Also everything that is not open: proprietary, source-available, refused, unstated."""


_FAMILY_OF_CATEGORY = {
    "public_domain": LicenseFamily.PERMISSIVE,
    "permissive": LicenseFamily.PERMISSIVE,
    "open_data": LicenseFamily.PERMISSIVE,
    "computational_use": LicenseFamily.COMPUTATIONAL,
    "share_alike": LicenseFamily.SHARE_ALIKE,
    "weak_copyleft": LicenseFamily.WEAK_COPYLEFT,
    "copyleft": LicenseFamily.COPYLEFT,
}
"""Keys of `categories.yaml`; what a deployment adds is UNKNOWN, so that it never counts as less."""

_FAMILY_IN_THE_INDEX = {
    "Permissive": LicenseFamily.PERMISSIVE,
    "Public Domain": LicenseFamily.PERMISSIVE,
    "Copyleft Limited": LicenseFamily.WEAK_COPYLEFT,
    "Copyleft": LicenseFamily.COPYLEFT,
}


@dataclass(frozen=True, slots=True)
class LicenseFamilies:
    """The family of each licence, in one policy and use profile."""

    ids: Mapping[str, LicenseFamily]
    """SPDX id -> family; an id that is absent is UNKNOWN."""

    @property
    def digest(self) -> str:
        """Changes whenever a family can change."""
        return fingerprint_of({spdx: int(family) for spdx, family in sorted(self.ids.items())})

    def of(self, expression: str) -> LicenseFamily:
        """Returns the family of an SPDX expression; what cannot be read is UNKNOWN.

        `MIT OR GPL-2.0-only` is permissive (the licensee chooses), `MIT AND GPL-2.0-only` is
        copyleft.
        """
        if expression in ("", NOASSERTION):
            return LicenseFamily.UNKNOWN
        return self._of_tree(parse(expression))

    def may_be_shown(self, expression: str) -> bool:
        """Whether a few lines of a document may stand in a report, outside its mix."""
        kept = (LicenseFamily.COMPUTATIONAL, LicenseFamily.UNKNOWN)
        return self.of(expression) not in kept

    def _of_tree(self, tree: Tree) -> LicenseFamily:
        if isinstance(tree, Leaf):
            # An exception only adds permissions, so the licence under it decides.
            return self.ids.get(tree.spdx, LicenseFamily.UNKNOWN)
        families = [self._of_tree(operand) for operand in tree.operands]
        return min(families) if tree.operator == "OR" else max(families)


def families_of(policy: Policy, use_profile: str) -> LicenseFamilies:
    """Returns the families that a policy gives in a use profile.

    A reviewed category decides. A signed admission makes an id permissive only where nothing else
    is known of it: a GPL that is admitted stays copyleft. A refused id is UNKNOWN.
    """
    listed = {spdx for category in policy.categories.values() for spdx in category.licenses}
    admitted = {
        decision.subject
        for decision in policy.decisions
        if decision.kind is DecisionKind.ADMIT_LICENSE and decision.applies_to(use_profile)
    }
    refused = policy.use_profiles[use_profile].refuse_licenses
    ids: dict[str, LicenseFamily] = {}
    for spdx in (listed | spdx_ids() | admitted) - refused:
        category = policy.category_of(spdx).key
        family = _FAMILY_OF_CATEGORY.get(category, LicenseFamily.UNKNOWN)
        if category in (UNREVIEWED, UNKNOWN) and spdx in admitted:
            family = LicenseFamily.PERMISSIVE
        if family is not LicenseFamily.UNKNOWN:
            ids[spdx] = family
    return LicenseFamilies(ids)


@functools.cache
def index_families() -> LicenseFamilies:
    """Returns the families by the SPDX index alone, for a file that comes without a policy."""
    families = {spdx: _FAMILY_IN_THE_INDEX.get(scancode_category(spdx)) for spdx in spdx_ids()}
    return LicenseFamilies(
        {spdx: family for spdx, family in families.items() if family is not None}
    )
