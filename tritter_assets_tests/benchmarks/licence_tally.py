"""Counts of `licence_accuracy`: which family a label and a conclusion belong to, and how they meet.

A family is a function of the expression alone. Each licence has the ScanCode category that
license-expression's index gives it: Permissive and Public Domain are `permissive`, Copyleft Limited
is `weak_copyleft`, Copyleft is `copyleft` (weak with an exception that ScanCode calls limited), an
unlisted one and NOASSERTION are `unknown`, all else is `other`. AND takes the closest of its parts
(permissive < weak < strong < other < unknown), OR the most open. Nothing is judged by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.expression import Leaf, Tree, parse
from tritter_assets.record import NOASSERTION

PERMISSIVE = "permissive"
COPYLEFT = ("weak_copyleft", "copyleft")
UNKNOWN = "unknown"
FAMILIES = (PERMISSIVE, *COPYLEFT, "other", UNKNOWN)
_OF_CATEGORY = {
    "Permissive": PERMISSIVE,
    "Public Domain": PERMISSIVE,
    "CC0": PERMISSIVE,
    "Copyleft Limited": "weak_copyleft",
    "Copyleft": "copyleft",
    "Unstated License": UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One labelled thing and what was concluded of it."""

    group: str
    """The set, and within it what the answer is counted under: an edit, a package."""
    name: str
    label: str
    found: str
    contradicted: bool = False
    """The file's own words contradict the label; see `licence_sets`."""
    says_itself: bool = True
    """The thing itself speaks of a licence, whoever else does."""


@dataclass(slots=True)
class Tally:
    """Counts of one set."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    exact: int = 0
    unlabelled: int = 0
    contradicted: int = 0
    wrong: list[Answer] = field(default_factory=list)
    """Copyleft, or worse, concluded permissive."""
    differing: list[Answer] = field(default_factory=list)

    def add(self, answers: Iterable[Answer]) -> None:
        """Counts answers; a label of no known family says nothing and is only counted."""
        for answer in answers:
            label, found = family_of(answer.label), family_of(answer.found)
            if label == UNKNOWN:
                self.unlabelled += 1
                continue
            if answer.contradicted:
                self.contradicted += 1
                self.differing.append(answer)
                continue
            self.pairs[label, found] += 1
            self.exact += answer.label == answer.found
            if label != found:
                self.differing.append(answer)
                if found == PERMISSIVE:
                    self.wrong.append(answer)

    def precision(self, family: str) -> float | None:
        """Of what is concluded to be of a family, the share that is."""
        return _share(self.pairs[family, family], sum(self.pairs[f, family] for f in FAMILIES))

    def recall(self, family: str) -> float | None:
        """Of what is of a family, the share concluded to be."""
        return _share(self.pairs[family, family], sum(self.pairs[family, f] for f in FAMILIES))

    def summary(self) -> dict[str, Any]:
        """Returns the counts as plain values."""
        return {
            "answers": sum(self.pairs.values()),
            "same_expression": self.exact,
            "unlabelled": self.unlabelled,
            "contradicted_labels": self.contradicted,
            "copyleft_as_permissive": self.copyleft_as_permissive,
            "families": {
                family: {
                    "labelled": sum(self.pairs[family, f] for f in FAMILIES),
                    "precision": self.precision(family),
                    "recall": self.recall(family),
                    "found_as": {f: n for f in FAMILIES if (n := self.pairs[family, f])},
                }
                for family in FAMILIES[:-1]
            },
        }

    @property
    def copyleft_as_permissive(self) -> int:
        """How many copyleft labels were concluded permissive."""
        return sum(self.pairs[family, PERMISSIVE] for family in COPYLEFT)


def family_of(expression: str) -> str:
    """Returns the family of an SPDX expression, as the module docstring states it."""
    return _family(parse(expression))


def _family(tree: Tree) -> str:
    if isinstance(tree, Leaf):
        return _of_licence(tree)
    families = [_family(operand) for operand in tree.operands]
    return (min if tree.operator == "OR" else max)(families, key=FAMILIES.index)


def _of_licence(leaf: Leaf) -> str:
    if leaf.spdx == NOASSERTION:
        return UNKNOWN
    family = _OF_CATEGORY.get(scancode_category(leaf.spdx), "other")
    if family == "copyleft" and leaf.exception is not None:
        limited = scancode_category(leaf.exception) == "Copyleft Limited"
        return "weak_copyleft" if limited else family
    return family


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None
