"""What a row's licence would be if names meant something else: from its stored evidence alone.

The evidence of a row keeps what each place said in its own words, so a change of names can be tried
without ingesting anything. The answer is sure where one place says something that can be read and
it is the one whose words changed their meaning. In all other cases the words are one side of a
dispute or part of a list, and only ingesting tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.licensing.expression import normalize
from tritter_assets.record import NOASSERTION, LicenseMethod

_METHODS = frozenset(
    {LicenseMethod.DECLARED_COLUMN, LicenseMethod.PACKAGE_METADATA, LicenseMethod.DEP5}
)
"""Methods whose evidence is kept in upstream's own words, which names translate."""


@dataclass(frozen=True, slots=True)
class Reread:
    """The licence facts of a row under other names."""

    concluded: str
    method: str
    confidence: float
    certain: bool = True
    """False when words changed their meaning and what that does is not known."""


def changed_names(before: Policy, after: Policy) -> tuple[str, ...]:
    """Returns the names that do not mean the same in two policies, sorted."""
    changed: set[str] = set()
    for old, new in (
        (before.aliases, after.aliases),
        (before.dep5_names, after.dep5_names),
        (before.classifiers, after.classifiers),
    ):
        changed.update(name for name in {*old, *new} if old.get(name) != new.get(name))
    return tuple(sorted(changed))


def reread(evidence: str, stored: Reread, before: Policy, after: Policy) -> Reread:
    """Returns what a row would be concluded to be.

    Args:
        evidence: `license_evidence` of the row.
        stored: Its stored conclusion.
        before: The policy it was concluded under.
        after: The policy whose names are tried.
    """
    statements = json.loads(evidence)
    changed = [
        statement
        for statement in statements
        if statement["method"] in _METHODS
        and normalize(statement["value"], before) != normalize(statement["value"], after)
    ]
    if not changed:
        return stored
    others = [s for s in statements if s is not changed[0] and s["method"] != LicenseMethod.WRAPPER]
    if len(changed) == 1 and not any(_speaks(other, before) for other in others):
        statement = changed[0]
        old, new = (normalize(statement["value"], policy) for policy in (before, after))
        if old == stored.concluded == NOASSERTION:
            return Reread(new, statement["method"], float(statement["confidence"]) or 0.9)
        if old == stored.concluded and statement["method"] == stored.method:
            if new == NOASSERTION:
                return Reread(NOASSERTION, LicenseMethod.NONE, 0.0)
            return Reread(new, stored.method, stored.confidence)
    return Reread(stored.concluded, stored.method, stored.confidence, certain=False)


def _speaks(statement: Mapping[str, str], policy: Policy) -> bool:
    """Whether a place says which licence; an unread licence file or field says nothing."""
    if statement["method"] in _METHODS:
        return normalize(statement["value"], policy) != NOASSERTION
    # A header decides even when nobody can read it.
    return statement["method"] != LicenseMethod.LICENSE_FILE or statement["value"] != NOASSERTION
