from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.contracts.quality import check_table
from tritter_assets.contracts.source import QualityRule
from tritter_assets.errors import ContractViolation

FRAME = pl.DataFrame(
    {"id": ["a", "b", "b", None, ""], "kind": ["x", "y", None, "z", "x"], "n": [1, 2, 3, 4, None]}
)


def rule(metric: str, column: str | None, operator: str, value: float, *valid: str) -> QualityRule:
    return QualityRule(
        name="r", column=column, rule=metric, must_be=operator, value=value, valid_values=valid
    )


@pytest.mark.parametrize(
    ("quality_rule", "found", "passed"),
    [
        (rule("rowCount", None, "mustBeGreaterThan", 4), 5, True),
        (rule("rowCount", None, "mustBeLessThan", 5), 5, False),
        (rule("nullValues", "id", "mustBe", 1), 1, True),
        (rule("missingValues", "id", "mustBe", 0), 2, False),
        (rule("missingValues", "n", "mustBeLessOrEqualTo", 1), 1, True),
        (rule("duplicateValues", "id", "mustBe", 0), 1, False),
        (rule("invalidValues", "kind", "mustBe", 1, "x", "y"), 1, True),
        (rule("invalidValues", "n", "mustNotBe", 0, "1", "2", "3", "4"), 0, False),
        (rule("nullValues", "absent", "mustBe", 0), None, False),
        (rule("rowCount", None, "mustBeGreaterOrEqualTo", 5), 5, True),
    ],
)
def test_metric(quality_rule: QualityRule, found: float | None, passed: bool) -> None:
    (result,) = check_table(FRAME.lazy(), [quality_rule])
    assert (result.found, result.passed) == (found, passed)
    assert "r: " in result.message


def test_results_come_in_the_order_of_the_rules() -> None:
    rules = [rule("rowCount", None, "mustBe", n) for n in (5, 6)]
    assert [r.passed for r in check_table(FRAME.lazy(), rules)] == [True, False]
    assert check_table(FRAME.lazy(), []) == []


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ContractViolation, match="median"):
        check_table(FRAME.lazy(), [rule("median", "n", "mustBe", 1)])
    with pytest.raises(ContractViolation, match="mustBeNice"):
        check_table(FRAME.lazy(), [rule("rowCount", None, "mustBeNice", 1)])


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", ""]))), st.randoms())
def test_counts_do_not_depend_on_order(values: list[str | None], random: object) -> None:
    rules = [rule(m, "id", "mustBe", 0) for m in ("nullValues", "missingValues", "duplicateValues")]
    shuffled = values[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    counts = []
    for order in (values, shuffled):
        frame = pl.LazyFrame({"id": order}, schema={"id": pl.String})
        counts.append([result.found for result in check_table(frame, rules)])
    assert counts[0] == counts[1]
    present = [value for value in values if value is not None]
    assert counts[0][2] == len(present) - len(set(present))
