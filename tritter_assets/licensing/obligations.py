"""What a set of rows obliges to: the union over its rows, each with the licences that cause it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import NONE, leaves, parse
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.licensing.templates import THRESHOLD
from tritter_assets.record import NOASSERTION


@dataclass(frozen=True, slots=True)
class JoinedObligation:
    """One obligation of a mix, checkpoint or export."""

    obligation: str
    title: str
    discharged_by: str
    num_rows: int
    causes: Mapping[str, int]
    """`license:MIT`, `wrapper:ODC-By-1.0`, `access:common_crawl` or `generator:starcoder2` -> rows
    that owe it for that cause."""


CAUSES = ("chosen", "license_wrapper", "access_terms", "generator")
"""Columns that cause obligations; `chosen` is `admit_frame`'s, every OR decided."""


def join(rows: pl.DataFrame, policy: Policy) -> dict[str, JoinedObligation]:
    """Joins the obligations of rows over all four axes.

    The result is a union, so joining parts and adding their counts gives the same as joining the
    whole; an obligation never falls away by adding rows.

    Args:
        rows: Admitted rows with the columns of `CAUSES` (those that are absent cause nothing), and
            optionally `num_rows` when each row stands for several.
        policy: Supplies the obligations.

    Returns:
        Obligation -> what it is and who causes it, sorted by obligation.
    """
    present = [column for column in CAUSES if column in rows.columns]
    weight = pl.col("num_rows").sum() if "num_rows" in rows.columns else pl.len()
    grouped = rows.group_by(present).agg(weight.alias("weight"))
    totals: dict[str, int] = {}
    causes: dict[str, dict[str, int]] = {}
    for row in grouped.iter_rows(named=True):
        number = int(row["weight"])
        owed: set[str] = set()
        for cause, obligations in _of_row(row, policy).items():
            owed.update(obligations)
            for key in obligations:
                by_cause = causes.setdefault(key, {})
                by_cause[cause] = by_cause.get(cause, 0) + number
        for key in owed:
            totals[key] = totals.get(key, 0) + number
    return {
        key: JoinedObligation(
            obligation=key,
            title=policy.obligations[key].title,
            discharged_by=policy.obligations[key].discharged_by,
            num_rows=totals[key],
            causes=dict(sorted(causes[key].items())),
        )
        for key in sorted(totals)
    }


def _of_row(row: Mapping[str, object], policy: Policy) -> dict[str, tuple[str, ...]]:
    """Returns cause -> obligations of one combination of licence facts."""
    owed: dict[str, tuple[str, ...]] = {}
    for column, label in (("chosen", "license"), ("license_wrapper", "wrapper")):
        expression = row.get(column)
        if not expression or (column == "license_wrapper" and expression in (NONE, NOASSERTION)):
            continue
        for leaf in leaves(parse(str(expression))):
            owed[f"{label}:{leaf}"] = policy.obligations_of(leaf.spdx)
    for column, label, known in (
        ("access_terms", "access", policy.access_terms),
        ("generator", "generator", policy.generators),
    ):
        key = row.get(column)
        if key:
            terms = known.get(str(key))
            owed[f"{label}:{key}"] = terms.obligations if terms else ("unknown",)
    return owed


def lane_of(chosen: str, wrapper: str, policy: Policy) -> str:
    """Returns the strictest lane of a row: `open`, `share_alike` or `closed`."""
    order = ("open", "share_alike", "closed")
    lanes = [policy.category_of(leaf.spdx).lane for leaf in leaves(parse(chosen))]
    if wrapper not in (NONE, NOASSERTION):
        lanes += [policy.category_of(leaf.spdx).lane for leaf in leaves(parse(wrapper))]
    return max(lanes, key=order.index)


def text_in_evidence(spdx: str, evidence: Iterable[RepoEvidence]) -> tuple[str, str] | None:
    """Returns (where, text) of a licence file that holds exactly one licence, for notices.

    Args:
        spdx: SPDX id, without an exception.
        evidence: Repositories to look in; the first in order of name and path is taken.
    """
    for repository in sorted(evidence, key=lambda entry: entry.repo):
        for path, text in sorted(repository.license_files):
            found = identify_text(text)
            if found.spdx == spdx and found.method == "template" and found.confidence >= THRESHOLD:
                return f"{repository.repo}/{path}", text
    return None
