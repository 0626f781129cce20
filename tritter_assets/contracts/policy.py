"""Loads `data_contracts/policy/*.yaml` and proves that no edit widens what `strict` admits.

`strict` is bounded twice: by its YAML, and by `strict_limits.py` and `reviewed_names.yaml` in the
package, which only a code review can change. Whatever the YAML admits beyond the limits, be it by a
category, a method, a generator, an access term or a name that leads to a licence, is taken away and
reported as a problem, unless a live decision names it. Profiles are nested: `strict` in `brief` in
`research`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tritter_assets.contracts.policy_decisions import read_decisions
from tritter_assets.contracts.policy_model import (
    PROFILE_ORDER,
    Decision,
    DecisionKind,
    Policy,
    UseProfile,
    spdx_ids,
)
from tritter_assets.contracts.policy_names import name_subjects, read_names
from tritter_assets.contracts.policy_sections import (
    PolicyFile,
    read_access,
    read_categories,
    read_fallback,
    read_generators,
    read_obligation_lists,
    read_obligations,
)
from tritter_assets.contracts.strict_limits import OPEN_LICENSES, STRICT_LIMITS
from tritter_assets.contracts.use_profiles import Vocabulary, read_use_profiles
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile
from tritter_assets.lake import fingerprint_of

__all__ = ["PROFILE_ORDER", "STRICT_LIMITS", "Decision", "Policy", "UseProfile", "load_policy"]

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
_ADMISSION_FILES = (
    "categories",
    "obligations",
    "generators",
    "access_terms",
    "use_profiles",
    "decisions",
)
_OPT_OUT_KINDS = ("repo", "owner", "author", "sha256", "id")


def load_policy(folder: Path, *, today: date | None = None) -> Policy:
    """Reads every policy file (30 ms).

    Args:
        folder: `data_contracts/policy`.
        today: The day on which decisions are judged; the system's date if not given.

    Returns:
        The policy. `.problems` holds expired decisions and clipped widenings.

    Raises:
        ContractProblems: a file is missing or wrong in a way that could admit too much; every
            problem of every file is in it.
    """
    files = _open(folder)
    categories = read_categories(files["categories"])
    obligations = read_obligations(files["obligations"])
    classes, generators = read_generators(files["generators"], obligations)
    access = read_access(files["access_terms"], obligations)
    listed = {spdx for category in categories.values() for spdx in category.licenses}
    decisions = read_decisions(
        files["decisions"],
        today or date.today(),
        {
            DecisionKind.ADMIT_LICENSE: spdx_ids() | listed,
            DecisionKind.REFUSE_LICENSE: spdx_ids() | listed,
            DecisionKind.ADMIT_GENERATOR: generators,
            DecisionKind.ACCEPT_ACCESS: access,
            DecisionKind.ADMIT_NAME: name_subjects(files["aliases"]),
        },
    )
    live = [decision for decision in decisions if not decision.expired]
    names = read_names(
        files["aliases"],
        categories,
        signed={d.subject for d in live if d.kind is DecisionKind.ADMIT_NAME},
    )
    profiles = read_use_profiles(
        files["use_profiles"],
        Vocabulary(
            categories=categories,
            classes=classes,
            generators=generators,
            access=access,
            decisions=decisions,
        ),
    )
    by_category = read_obligation_lists(
        files["obligations"], "by_category", obligations, categories
    )
    by_license = read_obligation_lists(files["obligations"], "by_license", obligations)
    fallback = read_fallback(files["categories"], categories)
    preference = files["use_profiles"].yaml.data.get("preference") or ()
    opt_out_file = files["opt_out"]
    opt_out = {
        kind: opt_out_file.names((kind,), opt_out_file.yaml.data.get(kind))
        for kind in _OPT_OUT_KINDS
    }
    filters_path = folder / "filters.yaml"
    filters = YamlFile(filters_path).data if filters_path.exists() else {}
    fatal = [problem for file in files.values() for problem in file.fatal]
    if fatal:
        raise ContractProblems(fatal)
    admission = fingerprint_of(
        *(files[name].yaml.data for name in _ADMISSION_FILES), [decision.id for decision in live]
    )
    conclusion = fingerprint_of(names, sorted(OPEN_LICENSES))
    filters_digest = fingerprint_of(filters, opt_out)
    return Policy(
        categories=categories,
        obligations=obligations,
        license_obligations=by_license,
        category_obligations=by_category,
        fallback_categories=fallback,
        use_profiles=profiles,
        preference=tuple(str(spdx) for spdx in preference),
        generators=generators,
        generator_classes=classes,
        access_terms=access,
        aliases={**names["free_text"], **names["hub_tags"]},
        classifiers=names["classifiers"],
        dep5_names=names["dep5"],
        decisions=decisions,
        opt_out=opt_out,
        filters=filters,
        problems=tuple(problem for file in files.values() for problem in file.problems),
        digest=fingerprint_of(admission, conclusion, filters_digest),
        conclusion_digest=conclusion,
        admission_digest=admission,
        filters_digest=filters_digest,
    )


def _open(folder: Path) -> dict[str, PolicyFile]:
    files: dict[str, PolicyFile] = {}
    unreadable: list[ContractProblem] = []
    for name in _FILES:
        try:
            files[name] = PolicyFile(YamlFile(folder / f"{name}.yaml"), [])
        except ContractProblems as error:
            unreadable += error.problems
    if unreadable:
        raise ContractProblems(unreadable)
    return files
