"""Reads `decisions.yaml`: what a person decided, on what evidence, and until when.

A decision that is written wrongly stops the policy. One that does not hold today, because it has
expired or is dated in the future, admits nothing and stays a problem until it is signed again or
taken out: what it admitted fails its checks from that day on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

from tritter_assets.contracts.fields import FieldReader, did_you_mean
from tritter_assets.contracts.policy_model import PROFILE_ORDER, Decision, DecisionKind
from tritter_assets.contracts.policy_sections import PolicyFile
from tritter_assets.contracts.yaml_file import ContractProblem, YamlFile

_WITHOUT_LICENCE = ("NOASSERTION", "NONE", "LicenseRef-Proprietary")
_KINDS = tuple(kind.value for kind in DecisionKind)
_LICENCE_KINDS = (DecisionKind.ADMIT_LICENSE, DecisionKind.REFUSE_LICENSE)


def read_decisions(
    file: PolicyFile, today: date, known: Mapping[DecisionKind, Collection[str]]
) -> tuple[Decision, ...]:
    """Reads `decisions`.

    Args:
        file: `decisions.yaml`.
        today: Decisions that do not hold on this day are kept, marked, and reported.
        known: Kind -> subjects it may name; kinds that are absent may name any.
    """
    entries = file.yaml.data.get("decisions") or []
    if not isinstance(entries, list):
        file.refuse(("decisions",), f"holds {entries!r}, not a list", "write 'decisions: []'")
        return ()
    decisions: dict[str, Decision] = {}
    for number, value in enumerate(entries):
        if not isinstance(value, dict):
            way_out = "write 'id: ...' and the other fields under the dash"
            file.refuse(("decisions", number), f"holds {value!r}, not a mapping", way_out)
            continue
        reader = FieldReader(file.yaml, ("decisions", number), value, file.fatal)
        decision = _read(reader, today, known)
        if decision is None:
            continue
        if decision.id in decisions:
            reader.problem("id", f"{decision.id!r} stands twice", "give each its own id")
        decisions[decision.id] = decision
        if decision.expired:
            _report(file, number, decision, today)
    return tuple(decisions.values())


def _read(
    reader: FieldReader, today: date, known: Mapping[DecisionKind, Collection[str]]
) -> Decision | None:
    before = len(reader.problems)
    identity = reader.text("id")
    kind = reader.choice("kind", _KINDS)
    subject = reader.text("subject")
    profiles = reader.texts("use_profiles")
    who, evidence = reader.text("who"), reader.text("evidence")
    when, expires = reader.day("when"), reader.day("expires")
    reader.done()
    if reader.has("use_profiles") and not profiles:
        reader.problem("use_profiles", "names none", f"name some of {', '.join(PROFILE_ORDER)}")
    for name in profiles:
        if name not in PROFILE_ORDER:
            reader.problem("use_profiles", f"is {name!r}", did_you_mean(name, PROFILE_ORDER))
    if when is not None and expires is not None and expires < when:
        reader.problem(
            "expires", f"is {expires}, before it was taken on {when}", "write a later day"
        )
    if kind in _KINDS and subject:
        _check_subject(reader, DecisionKind(kind), subject, profiles, known)
    if len(reader.problems) > before or when is None or expires is None:
        return None
    return Decision(
        id=identity,
        kind=DecisionKind(kind),
        subject=subject,
        use_profiles=profiles,
        who=who,
        when=when,
        evidence=evidence,
        expires=expires,
        expired=not when <= today <= expires,
    )


def _check_subject(
    reader: FieldReader,
    kind: DecisionKind,
    subject: str,
    profiles: Collection[str],
    known: Mapping[DecisionKind, Collection[str]],
) -> None:
    allowed = known.get(kind)
    if kind is DecisionKind.ADMIT_LICENSE and subject in _WITHOUT_LICENCE:
        reader.problem(
            "subject",
            f"is {subject!r}, which names no licence, so it cannot be admitted",
            "decide on the licence of the source instead",
        )
    elif allowed is not None and subject not in allowed:
        what = "an SPDX id" if kind in _LICENCE_KINDS else "known"
        reader.problem("subject", f"is {subject!r}, not {what}", did_you_mean(subject, allowed))
    elif kind is DecisionKind.ACCEPT_UPSTREAM and not all(subject.partition("@")):
        reader.problem(
            "subject",
            f"is {subject!r}, not SOURCE@DIFFERENCES",
            "copy the subject that the check upstream_drift prints",
        )
    if kind is DecisionKind.ADMIT_NAME and PROFILE_ORDER[0] not in profiles:
        reader.problem(
            "use_profiles",
            f"is {', '.join(profiles)}, but a name means the same in every use profile",
            f"write [{', '.join(PROFILE_ORDER)}]",
        )


def _report(file: PolicyFile, number: int, decision: Decision, today: date) -> None:
    early = decision.when > today
    field, day = ("when", decision.when) if early else ("expires", decision.expires)
    what = f"starts on {day}, after today" if early else f"expired on {day}"
    way_out = (
        "correct the day on which it was taken, or wait for it"
        if early
        else "review the evidence and sign it again with a new day, or take it out"
    )
    file.problems.append(
        file.yaml.problem(
            ("decisions", number, field),
            f"decision {decision.id!r} of {decision.who} on {decision.subject!r} {what} "
            f"(today is {today}): it admits nothing",
            way_out,
        )
    )


def unknown_sources(
    path: Path, decisions: Collection[Decision], sources: Collection[str]
) -> tuple[ContractProblem, ...]:
    """Returns a problem for each `accept_upstream` whose source no contract describes.

    Args:
        path: `decisions.yaml`.
        decisions: What `read_decisions` found in it.
        sources: Ids of all contracts, broken ones included.
    """
    wrong = {
        decision.id: decision.subject.partition("@")[0]
        for decision in decisions
        if decision.kind is DecisionKind.ACCEPT_UPSTREAM
        and decision.subject.partition("@")[0] not in sources
    }
    if not wrong:
        return ()
    file = YamlFile(path)
    return tuple(
        file.problem(
            ("decisions", number, "subject"),
            f"is {value['subject']!r}, and no contract is called {wrong[value['id']]!r}: it "
            "accepts nothing",
            did_you_mean(wrong[value["id"]], sources),
        )
        for number, value in enumerate(file.data["decisions"])
        if value["id"] in wrong
    )
