"""Reads `aliases.yaml`: names that are not SPDX, and who answers for what they mean.

A name decides which licence a row is under before any use profile is asked, so "proprietary: MIT"
would widen `strict` as surely as a line in a profile. Taking a name away can widen it too: with
"gplv3" unread, nothing disputes the MIT of a licence file. Therefore names mean what was reviewed
with the code (`reviewed_names.yaml`), and a line that adds or changes one counts when a person has
signed for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from tritter_assets.contracts.policy_model import Category, spdx_ids
from tritter_assets.contracts.policy_sections import PolicyFile
from tritter_assets.contracts.strict_limits import reviewed_names
from tritter_assets.contracts.yaml_file import FieldPath

SECTIONS = ("hub_tags", "free_text", "dep5", "classifiers")
_WORD = re.compile(r"[^\s()]+")
_OPERATORS = frozenset({"AND", "OR", "WITH"})
_COPYLEFT_NAME = re.compile(
    r"gpl|gnu|copyleft|\bmpl|mozilla|\bepl|eclipse|\bcddl|\beupl|\bcc[- ]by[- ](?:nc|nd|sa)|rail|"
    r"non-?commercial|proprietary|commercial|\bsspl|\bbusl"
)


def name_subject(section: str, name: str, expression: str) -> str:
    """Returns the subject by which a decision signs for a name."""
    return f"{section}: {name} = {expression}"


def name_subjects(file: PolicyFile) -> tuple[str, ...]:
    """Returns the subjects of all lines of `aliases.yaml`."""
    return tuple(
        name_subject(section, _key(name), str(value))
        for section in SECTIONS
        for name, value in file.mapping(section).items()
    )


def read_names(
    file: PolicyFile, categories: Mapping[str, Category], *, signed: Collection[str]
) -> dict[str, dict[str, str]]:
    """Reads every section.

    Args:
        file: `aliases.yaml`.
        categories: Say which licences are open, and hold the ids of our own.
        signed: Subjects (`name_subject`) that live decisions name.

    Returns:
        Section -> name, lower case -> SPDX expression: what was reviewed, and over it what is
        signed. Lines that are neither are problems.
    """
    known = spdx_ids() | {spdx for category in categories.values() for spdx in category.licenses}
    open_ids = {s for c in categories.values() if c.lane == "open" for s in c.licenses}
    found: dict[str, dict[str, str]] = {}
    for section in SECTIONS:
        meanings = dict(reviewed_names()[section])
        written = {_key(name): (name, str(v)) for name, v in file.mapping(section).items()}
        for key, (name, expression) in written.items():
            where = (section, name)
            _check_expression(file, where, key, expression, known=known, open_ids=open_ids)
            subject = name_subject(section, key, expression)
            if subject in signed:
                meanings[key] = expression
            elif meanings.get(key) != expression:
                stands = meanings.get(key, "NOASSERTION")
                file.problems.append(
                    file.yaml.problem(
                        where,
                        f"nobody signed for {name!r} to mean {expression!r}: it means {stands}",
                        f"sign a decision of kind admit_name with the subject {subject!r} in "
                        "decisions.yaml, or take the change back",
                    )
                )
        for key in sorted(meanings.keys() - written.keys()):
            file.problems.append(
                file.yaml.problem(
                    (section,),
                    f"{key!r} was taken out: it still means {meanings[key]}",
                    f"restore the line '{key}: {meanings[key]}', or map it to NOASSERTION and "
                    "sign for that",
                )
            )
        found[section] = meanings
    return found


def _check_expression(
    file: PolicyFile,
    where: FieldPath,
    key: str,
    expression: str,
    *,
    known: Collection[str],
    open_ids: Collection[str],
) -> None:
    ids = set(_WORD.findall(expression)) - _OPERATORS
    for word in sorted(ids.difference(known)):
        file.refuse(
            where,
            f"{word!r} is not an SPDX id",
            "write the id as the SPDX list has it, or NOASSERTION",
        )
    if ids.intersection(open_ids) and _COPYLEFT_NAME.search(key):
        file.refuse(
            where,
            f"{key!r} sounds closed and maps to {expression!r}",
            "map it to what it says, or to NOASSERTION",
        )


def _key(name: str) -> str:
    return " ".join(name.lower().split())
