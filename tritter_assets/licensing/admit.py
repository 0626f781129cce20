"""Whether a row may be used: four axes against one use profile; the first axis to refuse says why.

The order is split, content licence, its evidence, wrapper, access terms, generator. Each axis is
judged alone: a wrapper is never read as the licence of the content. Unknown is quarantined (a
person can still supply evidence); known and not admitted is dropped. Judging one combination costs
about 30 us and a source has few distinct ones, so frames are judged by distinct combination.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.policy_model import UNKNOWN, GeneratorTerms, Policy, UseProfile
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import fingerprint_of
from tritter_assets.licensing.expression import (
    NONE,
    Branch,
    Leaf,
    Tree,
    leaves,
    normalize,
    parse,
    transform,
)
from tritter_assets.record import NOASSERTION, LicenseMethod
from tritter_assets.verdict import Action, Reason

STAGE_VERSION = "1"

EVALUATION_SPLITS = frozenset({"test", "validation", "valid", "val", "dev", "eval", "evaluation"})
"""Splits that never train, whatever their licence."""

_ROW_METHODS = frozenset(
    {
        LicenseMethod.DECLARED_COLUMN,
        LicenseMethod.SPDX_HEADER,
        LicenseMethod.HEADER_NOTICE,
        LicenseMethod.LICENSE_FILE,
        LicenseMethod.PACKAGE_METADATA,
        LicenseMethod.DEP5,
        LicenseMethod.INHERITED,
        LicenseMethod.DECISION,
    }
)
"""Methods by which the row, or the repository that holds it, proves its own licence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """What the policy says of one combination of licence facts."""

    action: Action
    """`keep`, `drop` or `quarantine`."""
    reason: Reason
    obligations: tuple[str, ...]
    """Sorted keys of `obligations.yaml`, over all four axes."""
    chosen: str
    """The expression under which the row is used: every OR decided."""
    warnings: tuple[str, ...] = ()


def code_version(policy: Policy, use_profile: str) -> str:
    """Returns what changes whenever an admission can change."""
    return f"{STAGE_VERSION}.{fingerprint_of(policy.admission_digest, use_profile)}"


def admit(
    *,
    concluded: str,
    wrapper: str,
    access_terms: str,
    generator: str,
    method: str,
    confidence: float,
    split: str | None,
    policy: Policy,
    use_profile: str,
) -> Admission:
    """Judges one combination of licence facts.

    Args:
        concluded: SPDX expression of the content.
        wrapper: SPDX expression of the dataset around it; NONE when nothing is around it.
        access_terms: Key of `access_terms.yaml`.
        generator: Key of `generators.yaml`.
        method: How `concluded` was reached, a `LicenseMethod`.
        confidence: Of the conclusion, 0 to 1.
        split: Upstream split, if the source has any.
        policy: The policy.
        use_profile: `strict`, `brief` or `research`.

    Returns:
        The admission. A refused row has no obligations: nothing of it is used.

    Raises:
        ContractViolation: the policy has no such use profile.
    """
    profile = policy.use_profiles.get(use_profile)
    if profile is None:
        known = ", ".join(policy.use_profiles)
        raise ContractViolation(
            f"use profile {use_profile!r} does not exist; choose one of {known}"
        )
    if (split or "").strip().lower() in EVALUATION_SPLITS:
        return _refuse(Reason.EVALUATION_SPLIT, concluded, Action.DROP)

    content = _choose(parse(normalize(concluded, policy)), policy, profile)
    chosen = str(content)
    refusal = _refuse_content(content, method, confidence, policy, profile)
    if refusal is not None:
        return refusal

    warnings: list[str] = []
    if method == LicenseMethod.WRAPPER:
        warnings.append(f"{chosen} is claimed for the whole source; no row proves it")
    around, action = _judge_wrapper(wrapper, method, policy, profile, warnings)
    if action is not None:
        return _refuse(Reason.WRAPPER_NOT_ADMITTED, chosen, action)

    terms = policy.access_terms.get(access_terms)
    if terms is None or access_terms not in profile.admit_access:
        return _refuse(Reason.ACCESS_NOT_AGREED, chosen, Action.QUARANTINE)
    if terms.warning:
        warnings.append(terms.warning)

    writer = policy.generators.get(generator)
    if writer is None or generator not in profile.admit_generators:
        return _refuse_generator(writer, chosen)
    if writer.generator_class not in ("human", "rule_based"):
        warnings.append(f"written by {writer.title} ({writer.generator_class})")

    obligations = {*terms.obligations, *writer.obligations}
    for tree in (content, around):
        for leaf in leaves(tree) if tree is not None else ():
            obligations.update(policy.obligations_of(leaf.spdx))
    return Admission(
        action=Action.KEEP,
        reason=Reason.PASSED,
        obligations=tuple(sorted(obligations)),
        chosen=chosen,
        warnings=tuple(warnings),
    )


FACTS = (
    "license_concluded",
    "license_wrapper",
    "access_terms",
    "generator",
    "license_method",
    "license_confidence",
    "split",
)
"""Document columns that decide an admission."""


def admit_frame(frame: pl.DataFrame, policy: Policy, use_profile: str) -> pl.DataFrame:
    """Judges every row.

    Args:
        frame: Rows with `id` and the columns of `FACTS` (`split` may be absent).
        policy: The policy.
        use_profile: `strict`, `brief` or `research`.

    Returns:
        Columns id, action, reason, obligations (list of strings), chosen, warnings (list of
        strings), in the order of `frame`.
    """
    if "split" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("split"))
    distinct = frame.select(FACTS).unique(maintain_order=True)
    admissions = [
        admit(
            concluded=row["license_concluded"],
            wrapper=row["license_wrapper"],
            access_terms=row["access_terms"],
            generator=row["generator"],
            method=row["license_method"],
            confidence=row["license_confidence"],
            split=row["split"],
            policy=policy,
            use_profile=use_profile,
        )
        for row in distinct.iter_rows(named=True)
    ]
    judged = distinct.with_columns(
        pl.Series("action", [a.action.value for a in admissions], pl.String),
        pl.Series("reason", [a.reason.value for a in admissions], pl.String),
        pl.Series("obligations", [list(a.obligations) for a in admissions], pl.List(pl.String)),
        pl.Series("chosen", [a.chosen for a in admissions], pl.String),
        pl.Series("warnings", [list(a.warnings) for a in admissions], pl.List(pl.String)),
    )
    return (
        frame.select("id", *FACTS)
        .join(judged, on=list(FACTS), how="left", nulls_equal=True, maintain_order="left")
        .select("id", "action", "reason", "obligations", "chosen", "warnings")
    )


def _refuse(reason: Reason, chosen: str, action: Action) -> Admission:
    return Admission(action=action, reason=reason, obligations=(), chosen=chosen)


def _refuse_content(
    content: Tree, method: str, confidence: float, policy: Policy, profile: UseProfile
) -> Admission | None:
    if not _admits(content, policy, profile):
        if _is_unknown(content, policy):
            return _refuse(Reason.LICENSE_UNKNOWN, str(content), Action.QUARANTINE)
        return _refuse(Reason.LICENSE_NOT_ADMITTED, str(content), Action.DROP)
    if method not in profile.admit_methods:
        return _refuse(Reason.LICENSE_UNKNOWN, str(content), Action.QUARANTINE)
    # Low confidence comes of evidence that disagrees. The slack is a rounding: confidence is stored
    # in 32 bits.
    if confidence < profile.min_confidence - 1e-6:
        return _refuse(Reason.LICENSE_CONFLICT, str(content), Action.QUARANTINE)
    return None


def _refuse_generator(writer: GeneratorTerms | None, chosen: str) -> Admission:
    """Undisclosed can still be disclosed, so it waits; known terms that forbid it do not."""
    if writer is None or writer.generator_class == "undisclosed":
        return _refuse(Reason.GENERATOR_UNKNOWN, chosen, Action.QUARANTINE)
    return _refuse(Reason.GENERATOR_NOT_ADMITTED, chosen, Action.DROP)


def _judge_wrapper(
    wrapper: str, method: str, policy: Policy, profile: UseProfile, warnings: list[str]
) -> tuple[Tree | None, Action | None]:
    """Returns (tree of the wrapper, None) if it is admitted, else (None, what to do)."""
    if wrapper == NONE:
        return None, None
    normal = normalize(wrapper, policy)
    if normal == NOASSERTION:
        if profile.unknown_wrapper == "warn" and method in _ROW_METHODS:
            warnings.append("the dataset around the row has no known licence")
            return None, None
        return None, Action.QUARANTINE
    around = _choose(parse(normal), policy, profile)
    if _admits(around, policy, profile):
        return around, None
    return None, Action.QUARANTINE if _is_unknown(around, policy) else Action.DROP


def _choose(tree: Tree, policy: Policy, profile: UseProfile) -> Tree:
    """Decides every OR: an admitted operand before any other, then the stated preference."""
    order = {spdx: position for position, spdx in enumerate(policy.preference)}

    def key(operand: Tree) -> tuple[bool, int, int, str]:
        ids = [leaf.spdx for leaf in leaves(operand)]
        return (
            not _admits(operand, policy, profile),
            max(order.get(spdx, len(order)) for spdx in ids),
            max(policy.category_of(spdx).rank for spdx in ids),
            str(operand),
        )

    return transform(tree, lambda operands: min(operands, key=key))


def _admits(tree: Tree, policy: Policy, profile: UseProfile) -> bool:
    if isinstance(tree, Branch):
        return all(_admits(operand, policy, profile) for operand in tree.operands)
    return _admits_leaf(tree, policy, profile)


def _admits_leaf(leaf: Leaf, policy: Policy, profile: UseProfile) -> bool:
    # SPDX exceptions only add permissions, so the licence under them decides.
    if leaf.spdx in profile.refuse_licenses:
        return False
    if leaf.spdx in profile.admit_licenses:
        return True
    category = policy.category_of(leaf.spdx)
    return leaf.spdx not in category.licenses and category.key in profile.admit_unlisted_categories


def _is_unknown(tree: Tree, policy: Policy) -> bool:
    return any(policy.category_of(leaf.spdx).key == UNKNOWN for leaf in leaves(tree))
