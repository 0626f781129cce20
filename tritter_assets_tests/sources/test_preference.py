"""The better and the worse answer of a row."""

from __future__ import annotations

from typing import Any

import pytest

from tritter_assets.contracts.preference_pair import PreferencePair
from tritter_assets.sources.preference import chosen_and_rejected

SIGNED = PreferencePair(first="a", second="b", score="meta.score")
INDEXED = PreferencePair(first="a", second="b", score="safer", neutral=0.5)
RANKED = PreferencePair(answers="replies", text="text", rank="rank", skip_when=("deleted",))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (-3, ("one", "two")),
        (0.5, ("two", "one")),
        (0, None),
        (None, None),
        ("2", None),
        (True, None),
    ],
)
def test_a_signed_judgement(score: Any, expected: tuple[str, str] | None) -> None:
    found = chosen_and_rejected(SIGNED, {"a": "one", "b": "two", "meta": {"score": score}})
    assert found == (expected and {"chosen": expected[0], "rejected": expected[1]})


@pytest.mark.parametrize(("safer", "chosen"), [(0, "one"), (1, "two")])
def test_a_judgement_by_number(safer: int, chosen: str) -> None:
    found = chosen_and_rejected(INDEXED, {"a": "one", "b": "two", "safer": safer})
    assert found is not None
    assert found["chosen"] == chosen


def test_an_empty_answer_makes_no_pair() -> None:
    assert chosen_and_rejected(INDEXED, {"a": "", "b": "two", "safer": 0}) is None


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([("x", 2), ("y", 0), ("z", 1)], ("y", "x")),
        ([("x", 0), ("y", 0)], None),
        ([("x", 0), ("y", None)], None),
        ([("x", 0), ("", 1)], None),
        ([], None),
    ],
)
def test_the_best_and_the_worst_rank(
    replies: list[tuple[str, int | None]], expected: tuple[str, str] | None
) -> None:
    row = {"replies": [{"text": text, "rank": rank} for text, rank in replies]}
    found = chosen_and_rejected(RANKED, row)
    assert found == (expected and {"chosen": expected[0], "rejected": expected[1]})


def test_flagged_answers_take_no_part() -> None:
    replies = [
        {"text": "gone", "rank": 0, "deleted": True},
        {"text": "best", "rank": 1, "deleted": False},
        {"text": "worst", "rank": 2},
    ]
    assert chosen_and_rejected(RANKED, {"replies": replies}) == {
        "chosen": "best",
        "rejected": "worst",
    }
    assert chosen_and_rejected(RANKED, {"replies": "no list"}) is None
