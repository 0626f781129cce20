"""Loads `data_contracts/policy/*.yaml` and proves that no edit widens what `strict` admits.

`strict` is bounded twice: by its YAML, and by `STRICT_LIMITS` below, which only a code review can
change. Whatever the YAML admits beyond the limits is clipped and reported as a problem, unless a
live decision names it. Profiles are nested: `strict` in `brief` in `research`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
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
    Obligation,
    Policy,
    UseProfile,
    scancode_category,
)
from tritter_assets.contracts.strict_limits import STRICT_CONFIDENCE, STRICT_LIMITS
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile
from tritter_assets.lake import fingerprint_of

__all__ = ["PROFILE_ORDER", "STRICT_LIMITS", "Decision", "Policy", "UseProfile", "load_policy"]

_WRAPPER_ORDER = ("quarantine", "warn")
_COPYLEFT_NAME = re.compile(
    r"gpl|gnu|copyleft|\bmpl|mozilla|\bepl|eclipse|\bcddl|\beupl|\bcc[- ]by[- ](?:nc|nd|sa)|rail|"
    r"non-?commercial|proprietary|commercial|\bsspl|\bbusl"
)
_SCAN_COPYLEFT = frozenset(
    {"Copyleft", "Copyleft Limited", "Source-available", "Proprietary Free", "Commercial"}
)
_OPT_OUT_KINDS = ("repo", "owner", "author", "sha256", "id")


def load_policy(folder: Path, *, today: date | None = None) -> Policy:
    """Reads every policy file.

    Args:
        folder: `data_contracts/policy`.
        today: The day on which decisions are judged; the system's date if not given.

    Returns:
        The policy. `.problems` holds expired decisions and clipped widenings.

    Raises:
        ContractProblems: a file is missing or wrong in a way that could admit too much.
    """
    files = {name: YamlFile(folder / f"{name}.yaml") for name in _FILES}
    fatal: list[ContractProblem] = []
    problems: list[ContractProblem] = []
    categories = _categories(files["categories"], fatal)
    obligations = {
        key: Obligation(key=key, **_texts(value, ("title", "discharged_by")))
        for key, value in _mapping(files["obligations"], "obligations", fatal).items()
    }
    classes, generators = _generators(files["generators"], obligations, fatal)
    access = _access(files["access_terms"], obligations, fatal)
    decisions = _decisions(
        files["decisions"], today or date.today(), generators, access, fatal, problems
    )
    aliases = {
        section: _aliases(files["aliases"], section, categories, fatal)
        for section in ("hub_tags", "free_text", "dep5", "classifiers")
    }
    profiles = _profiles(
        files["use_profiles"], categories, classes, generators, access, decisions, fatal, problems
    )
    by_category = _obligation_lists(files["obligations"], "by_category", obligations, fatal)
    by_license = _obligation_lists(files["obligations"], "by_license", obligations, fatal)
    for key in categories:
        if key not in by_category:
            fatal.append(
                files["obligations"].problem(
                    ("by_category",), f"category {key!r} has no line", f"add '{key}: [...]'"
                )
            )
    if fatal:
        raise ContractProblems(fatal)
    filters_path = folder / "filters.yaml"
    filters = YamlFile(filters_path).data if filters_path.exists() else {}
    opt_out = {
        kind: tuple(str(value) for value in files["opt_out"].data.get(kind) or ())
        for kind in _OPT_OUT_KINDS
    }
    live = [decision.id for decision in decisions if not decision.expired]
    admission = fingerprint_of(
        *(files[name].data for name in _FILES if name not in ("aliases", "opt_out")), live
    )
    conclusion = fingerprint_of(files["aliases"].data)
    filters_digest = fingerprint_of(filters, opt_out)
    return Policy(
        categories=categories,
        obligations=obligations,
        license_obligations=by_license,
        category_obligations=by_category,
        fallback_categories=_mapping(files["categories"], "fallback", fatal),
        use_profiles=profiles,
        preference=tuple(files["use_profiles"].data.get("preference") or ()),
        generators=generators,
        generator_classes=classes,
        access_terms=access,
        aliases={**aliases["free_text"], **aliases["hub_tags"]},
        classifiers=aliases["classifiers"],
        dep5_names=aliases["dep5"],
        decisions=decisions,
        opt_out=opt_out,
        filters=filters,
        problems=tuple(problems),
        digest=fingerprint_of(admission, conclusion, filters_digest),
        conclusion_digest=conclusion,
        admission_digest=admission,
        filters_digest=filters_digest,
    )


_FILES = (
    "categories",
    "obligations",
    "generators",
    "access_terms",
    "use_profiles",
    "aliases",
    "decisions",
    "opt_out",
)


def _mapping(file: YamlFile, key: str, fatal: list[ContractProblem]) -> dict[str, Any]:
    value = file.data.get(key)
    if isinstance(value, dict):
        return value
    fatal.append(file.problem((key,), "not a mapping", f"write '{key}:' with lines below it"))
    return {}


def _texts(value: Any, names: Iterable[str]) -> dict[str, str]:
    source = value if isinstance(value, dict) else {}
    return {name: str(source.get(name, "")) for name in names}


def _categories(file: YamlFile, fatal: list[ContractProblem]) -> dict[str, Category]:
    categories: dict[str, Category] = {}
    seen: dict[str, str] = {}
    for key, value in _mapping(file, "categories", fatal).items():
        where = ("categories", key)
        if value.get("lane") not in ("open", "share_alike", "closed"):
            fatal.append(
                file.problem(
                    (*where, "lane"), f"{value.get('lane')!r}", "open, share_alike or closed"
                )
            )
        licenses = frozenset(str(item) for item in value.get("licenses") or ())
        for spdx in sorted(licenses):
            if spdx in seen:
                fatal.append(
                    file.problem(
                        where, f"{spdx} also stands in {seen[spdx]}", "keep one of the two"
                    )
                )
            seen[spdx] = key
            if value.get("lane") == "open" and scancode_category(spdx) in _SCAN_COPYLEFT:
                fatal.append(
                    file.problem(
                        where,
                        f"{spdx} is {scancode_category(spdx)} in the SPDX index",
                        "move it to its own category; a decision can admit it by name",
                    )
                )
        categories[key] = Category(
            key=key,
            rank=int(value.get("rank", 99)),
            lane=str(value.get("lane")),
            title=str(value.get("title", "")),
            licenses=licenses,
        )
    for key in (UNREVIEWED, UNKNOWN):
        if key not in categories:
            fatal.append(file.problem(("categories",), f"no category {key!r}", f"restore '{key}'"))
    for scan, key in _mapping(file, "fallback", fatal).items():
        if key not in categories or categories[key].lane != "closed":
            fatal.append(
                file.problem(("fallback", scan), f"{key!r} is not closed", "name a closed category")
            )
    return categories


def _obligation_lists(
    file: YamlFile, key: str, known: Mapping[str, Obligation], fatal: list[ContractProblem]
) -> dict[str, tuple[str, ...]]:
    lists: dict[str, tuple[str, ...]] = {}
    for name, value in _mapping(file, key, fatal).items():
        items = tuple(sorted(str(item) for item in value or ()))
        lists[name] = items
        fatal.extend(
            file.problem((key, name), f"{item!r} is no obligation", f"one of {', '.join(known)}")
            for item in items
            if item not in known
        )
    return lists


def _known_obligations(
    file: YamlFile,
    where: tuple[str, ...],
    value: Mapping[str, Any],
    known: Mapping[str, Obligation],
    fatal: list[ContractProblem],
) -> tuple[str, ...]:
    items = tuple(sorted(str(item) for item in value.get("obligations") or ()))
    fatal.extend(
        file.problem(where, f"{item!r} is no obligation", f"one of {', '.join(known)}")
        for item in items
        if item not in known
    )
    return items


def _generators(
    file: YamlFile, obligations: Mapping[str, Obligation], fatal: list[ContractProblem]
) -> tuple[dict[str, int], dict[str, GeneratorTerms]]:
    classes = {k: int(v["rank"]) for k, v in _mapping(file, "classes", fatal).items()}
    generators: dict[str, GeneratorTerms] = {}
    for key, value in _mapping(file, "generators", fatal).items():
        name = str(value.get("class"))
        if name not in classes:
            fatal.append(
                file.problem(
                    ("generators", key), f"class {name!r} unknown", f"one of {', '.join(classes)}"
                )
            )
        generators[key] = GeneratorTerms(
            key=key,
            generator_class=name,
            rank=classes.get(name, 99),
            title=str(value.get("title", "")),
            obligations=_known_obligations(file, ("generators", key), value, obligations, fatal),
        )
    return classes, generators


def _access(
    file: YamlFile, obligations: Mapping[str, Obligation], fatal: list[ContractProblem]
) -> dict[str, AccessTerms]:
    return {
        key: AccessTerms(
            key=key,
            title=str(value.get("title", "")),
            needs_acceptance=value.get("needs_acceptance") is not False,
            obligations=_known_obligations(file, ("access_terms", key), value, obligations, fatal),
            warning=str(value.get("warning", "")),
        )
        for key, value in _mapping(file, "access_terms", fatal).items()
    }


def _decisions(
    file: YamlFile,
    today: date,
    generators: Mapping[str, GeneratorTerms],
    access: Mapping[str, AccessTerms],
    fatal: list[ContractProblem],
    problems: list[ContractProblem],
) -> tuple[Decision, ...]:
    decisions: list[Decision] = []
    for number, value in enumerate(file.data.get("decisions") or ()):
        where = ("decisions", number)
        missing = [name for name in _DECISION_FIELDS if not value.get(name)]
        if missing:
            fatal.append(
                file.problem(where, f"lacks {', '.join(missing)}", "a decision needs every field")
            )
            continue
        subject, kind = str(value["subject"]), str(value["kind"])
        bad = _bad_decision(value, kind, subject, generators, access)
        if bad:
            fatal.append(file.problem(where, *bad))
            continue
        decision = Decision(
            id=str(value["id"]),
            kind=DecisionKind(kind),
            subject=subject,
            use_profiles=tuple(value["use_profiles"]),
            who=str(value["who"]),
            when=value["when"],
            evidence=str(value["evidence"]),
            expires=value["expires"],
            # A decision dated in the future has not been taken yet.
            expired=not value["when"] <= today <= value["expires"],
        )
        decisions.append(decision)
        if decision.expired:
            problems.append(
                file.problem(
                    (*where, "expires"),
                    f"decision {decision.id!r} by {decision.who} holds from {decision.when} to "
                    f"{decision.expires}, not today; it no longer counts",
                    "review the evidence and sign it again, or delete it",
                )
            )
    return tuple(decisions)


_DECISION_FIELDS = (
    "id", "kind", "subject", "use_profiles", "who", "when", "evidence", "expires",
)  # fmt: skip


def _bad_decision(
    value: Mapping[str, Any],
    kind: str,
    subject: str,
    generators: Mapping[str, GeneratorTerms],
    access: Mapping[str, AccessTerms],
) -> tuple[str, str] | None:
    if kind not in list(DecisionKind):
        return f"kind {kind!r}", f"one of {', '.join(DecisionKind)}"
    if not isinstance(value["when"], date) or not isinstance(value["expires"], date):
        return "when and expires are not dates", "write them as 2026-11-02"
    unknown = [name for name in value["use_profiles"] if name not in PROFILE_ORDER]
    if unknown:
        return f"use_profiles {unknown}", f"of {', '.join(PROFILE_ORDER)}"
    if kind == DecisionKind.ADMIT_GENERATOR and subject not in generators:
        return f"generator {subject!r} unknown", "a key of generators.yaml"
    if kind == DecisionKind.ACCEPT_ACCESS and subject not in access:
        return f"access terms {subject!r} unknown", "a key of access_terms.yaml"
    if kind == DecisionKind.ADMIT_LICENSE and subject in ("NOASSERTION", "NONE"):
        return f"{subject} cannot be admitted", "decide on the licence of the source instead"
    return None


def _aliases(
    file: YamlFile,
    section: str,
    categories: Mapping[str, Category],
    fatal: list[ContractProblem],
) -> dict[str, str]:
    open_ids = {
        spdx
        for category in categories.values()
        if category.lane == "open"
        for spdx in category.licenses
    }
    aliases: dict[str, str] = {}
    for name, value in _mapping(file, section, fatal).items():
        key, target = " ".join(str(name).lower().split()), str(value)
        ids = set(re.findall(r"[A-Za-z0-9.+-]+", target)) - {"AND", "OR", "WITH"}
        if ids & open_ids and _COPYLEFT_NAME.search(key):
            fatal.append(
                file.problem(
                    (section, name),
                    f"{name!r} sounds closed and maps to {target!r}",
                    "map it to what it says, or to NOASSERTION",
                )
            )
        aliases[key] = target
    return aliases


def _profiles(
    file: YamlFile,
    categories: Mapping[str, Category],
    classes: Mapping[str, int],
    generators: Mapping[str, GeneratorTerms],
    access: Mapping[str, AccessTerms],
    decisions: tuple[Decision, ...],
    fatal: list[ContractProblem],
    problems: list[ContractProblem],
) -> dict[str, UseProfile]:
    profiles: dict[str, UseProfile] = {}
    raw = _mapping(file, "use_profiles", fatal)
    for name in PROFILE_ORDER:
        value = raw.get(name)
        where = ("use_profiles", name)
        if not isinstance(value, dict):
            fatal.append(file.problem(where, "missing", "restore the profile"))
            continue
        wanted = frozenset(value.get("admit_categories") or ())
        for kind, given, known in (
            ("admit_categories", wanted, categories),
            ("admit_generator_classes", value.get("admit_generator_classes") or (), classes),
            ("admit_generators", value.get("admit_generators") or (), generators),
        ):
            fatal.extend(
                file.problem((*where, kind), f"{item!r} unknown", f"one of {', '.join(known)}")
                for item in given
                if item not in known
            )
        if value.get("unknown_wrapper") not in _WRAPPER_ORDER:
            fatal.append(file.problem((*where, "unknown_wrapper"), "wrong", "quarantine or warn"))
            continue
        if UNKNOWN in wanted or "proprietary" in wanted:
            fatal.append(
                file.problem((*where, "admit_categories"), "unknown is never admitted", "remove it")
            )
        profile = _profile(name, value, wanted, categories, generators, access)
        if name == "strict":
            profile = _clip_strict(profile, file, problems)
        profiles[name] = _decide(profile, decisions)
    for narrow, wide in zip(PROFILE_ORDER, PROFILE_ORDER[1:], strict=False):
        if narrow in profiles and wide in profiles:
            fatal.extend(
                file.problem(
                    ("use_profiles", wide), f"{what} admitted by {narrow} only", "widen it"
                )
                for what in _not_contained(profiles[narrow], profiles[wide])
            )
    return profiles


def _profile(
    name: str,
    value: Mapping[str, Any],
    wanted: frozenset[str],
    categories: Mapping[str, Category],
    generators: Mapping[str, GeneratorTerms],
    access: Mapping[str, AccessTerms],
) -> UseProfile:
    refused = frozenset(str(item) for item in value.get("refuse_licenses") or ())
    admitted = {spdx for key in wanted & categories.keys() for spdx in categories[key].licenses}
    generator_classes = frozenset(value.get("admit_generator_classes") or ())
    named = frozenset(value.get("admit_generators") or ())
    return UseProfile(
        name=name,
        title=str(value.get("title", "")),
        admit_licenses=frozenset(admitted) - refused,
        # Only categories that the SPDX index can give to an id without a line of its own.
        admit_unlisted_categories=wanted
        & {UNREVIEWED, "weak_copyleft", "copyleft", "non_commercial", "use_restricted"},
        refuse_licenses=refused,
        admit_methods=frozenset(value.get("admit_methods") or ()),
        min_confidence=float(value.get("min_confidence", 1.0)),
        admit_generators=named
        | {key for key, terms in generators.items() if terms.generator_class in generator_classes},
        admit_access=frozenset(k for k, terms in access.items() if not terms.needs_acceptance),
        unknown_wrapper=str(value["unknown_wrapper"]),
    )


def _clip_strict(
    profile: UseProfile, file: YamlFile, problems: list[ContractProblem]
) -> UseProfile:
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
        # Access terms of other profiles are not a widening anybody wrote into `strict`.
        if beyond and attribute != "admit_access":
            problems.append(
                file.problem(
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
    subjects: dict[DecisionKind, frozenset[str]] = {
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
        yield "unknown_wrapper"
