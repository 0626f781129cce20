from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tritter_assets.synthetic import commit_pairs
from tritter_assets_tests.functions.filtered_lake import document

BEFORE = '''def mean(values):
    """Averages."""
    return sum(values) / len(values)


def other(value):
    return value + 1
'''
AFTER = BEFORE.replace("    return sum", "    if not values:\n        return 0.0\n    return sum")
RUST = "fn last(values: &[u8]) -> u8 {\n    values[values.len()]\n}\n"


def commit(
    before: str = BEFORE,
    after: str = AFTER,
    message: str = "Fix crash on empty input (#12)\n\nSigned-off-by: A <a@example.com>",
    path: str = "src/mean.py",
) -> dict[str, Any]:
    language = "rust" if path.endswith(".rs") else "python"
    columns = {"instruction": message, "response": after, "rejected": before}
    return document(
        path, f"{message}\n\n{after}", language, modality="instruction", revision="abc", **columns
    )


def pairs(row: dict[str, Any]) -> tuple[list[dict[str, Any]], Counter[str]]:
    outcomes: Counter[str] = Counter()
    return list(commit_pairs.make_rows(row["language"], row, outcomes)), outcomes


def test_the_changed_function_is_cut_out_on_both_sides() -> None:
    (row,), _ = pairs(commit())
    assert row["chosen"].startswith("```python\ndef mean(values):")
    assert "return 0.0" in row["chosen"]
    assert "return 0.0" not in row["rejected"]
    assert "other" not in row["chosen"] + row["rejected"]
    assert "Fix crash on empty input." in row["instruction"]
    assert "#12" not in row["instruction"]
    assert "Signed-off" not in row["instruction"]
    assert row["rejected"] in row["instruction"]
    assert row["modality"] == "preference"
    entry = json.loads(row["license_evidence"])[1]
    assert (entry["method"], entry["value"]) == ("commit", "abc")
    assert entry["where"] == "mean, 2 changed lines"


def test_rust_is_cut_too() -> None:
    after = RUST.replace("values.len()", "values.len() - 1")
    (row,), _ = pairs(commit(RUST, after, "fix: off by one in last element", "src/last.rs"))
    assert "Off by one in last element." in row["instruction"]
    assert "len() - 1" in row["chosen"]


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Fix crash on empty input", True),
        ("fixes the wrong sign in the gradient", True),
        ("fix(io): read past the end", True),
        ("Correct rounding of negative values", True),
        ("Prevent a deadlock when two writers meet", True),
        ("Avoid copying; fixed a leak", True),
        ("Add a reader for tables", False),
        ("Revert \"Fix crash on empty input\"", False),
        ("Merge branch 'fix' into main", False),
        ("Fix typo", False),
        ("Fix formatting", False),
        ("Fix tests on windows", False),
        ("Fix docstring of mean", False),
        ("Bump version, fix build", False),
        ("Refactor prefix handling", False),
    ],
)  # fmt: skip
def test_messages_that_say_fix(message: str, wanted: bool) -> None:
    assert commit_pairs.is_fix(message) is wanted


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (commit(message="Fix it"), "message_length"),
        (commit(path="tests/test_mean.py"), "test_file"),
        (commit(before=""), "no_file_before"),
        (commit(before="def mean(:\n"), "unreadable"),
        (commit(after=BEFORE + "\n\ndef third():\n    return 3\n"), "other_functions"),
        (commit(after=BEFORE.replace("Averages", "Average")), "not_one_function"),
        (commit(after=BEFORE.replace("return sum", "return  sum")), "not_one_function"),
        (commit(after=AFTER.replace("+ 1", "+ 2")), "not_one_function"),
        (
            commit(after=AFTER.replace("return 0.0", "return 0.0\n" + "    values += 1\n" * 20)),
            "large_change",
        ),
        (
            commit(before=BEFORE.replace("len(values)", "len('s3cr3t-9f8e7d6c5b4a3210')")),
            "unscreened",
        ),
    ],
)
def test_commits_that_make_no_pair(row: dict[str, Any], reason: str) -> None:
    found, outcomes = pairs(row)
    assert found == []
    assert outcomes == {reason: 1}
