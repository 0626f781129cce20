"""Checks a table against the quality rules of its contract, in one pass over the table.

Metrics are those of ODCS: `rowCount`; `nullValues` and `missingValues` (null, or an empty text);
`duplicateValues` (rows minus distinct values, nulls left out); `invalidValues` (not null and not
among the listed values). All count rows. A rule on a column that the table lacks fails.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.source import QualityRule
from tritter_assets.errors import ContractViolation

_COMPARE: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "mustBe": (operator.eq, "="),
    "mustNotBe": (operator.ne, "!="),
    "mustBeGreaterThan": (operator.gt, ">"),
    "mustBeGreaterOrEqualTo": (operator.ge, ">="),
    "mustBeLessThan": (operator.lt, "<"),
    "mustBeLessOrEqualTo": (operator.le, "<="),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityResult:
    """What one rule found."""

    rule: QualityRule
    passed: bool
    found: float | None
    """Rows counted; None when the column is missing."""
    message: str


def check_table(frame: pl.LazyFrame, rules: Sequence[QualityRule]) -> list[QualityResult]:
    """Evaluates every rule with one scan that reads only the columns the rules name.

    Args:
        frame: The table, or the partition of it that is checked.
        rules: Rules of a source or table contract.

    Returns:
        One result per rule, in the order of the rules.

    Raises:
        ContractViolation: a rule uses a metric or an operator that is not known.
    """
    if not rules:
        return []
    schema = frame.collect_schema()
    counts = [
        _count(rule, schema).alias(str(index))
        for index, rule in enumerate(rules)
        if rule.column is None or rule.column in schema
    ]
    found = frame.select(counts).collect(engine="streaming").row(0, named=True) if counts else {}
    return [_judge(rule, found.get(str(index))) for index, rule in enumerate(rules)]


def _count(rule: QualityRule, schema: pl.Schema) -> pl.Expr:
    if rule.rule == "rowCount":
        return pl.len()
    if rule.column is None:
        raise ContractViolation(f"quality rule {rule.name!r}: {rule.rule} needs a column")
    column = pl.col(rule.column)
    if rule.rule == "nullValues":
        return column.null_count()
    if rule.rule == "missingValues":
        missing = column.is_null()
        if schema[rule.column] == pl.String:
            missing = missing | (column == "")
        return missing.sum()
    if rule.rule == "duplicateValues":
        return column.count() - column.drop_nulls().n_unique()
    if rule.rule == "invalidValues":
        return (column.is_not_null() & ~column.cast(pl.String).is_in(rule.valid_values)).sum()
    raise ContractViolation(f"quality rule {rule.name!r} uses the unknown metric {rule.rule!r}")


def _judge(rule: QualityRule, found: float | None) -> QualityResult:
    if rule.must_be not in _COMPARE:
        raise ContractViolation(f"quality rule {rule.name!r}: unknown operator {rule.must_be!r}")
    compare, sign = _COMPARE[rule.must_be]
    where = f" of {rule.column}" if rule.column else ""
    if found is None:
        message = f"{rule.name}: the table has no column {rule.column!r}"
        return QualityResult(rule=rule, passed=False, found=None, message=message)
    message = f"{rule.name}: {rule.rule}{where} is {found:g}, wanted {sign} {rule.value:g}"
    passed = compare(found, rule.value)
    return QualityResult(rule=rule, passed=passed, found=float(found), message=message)
