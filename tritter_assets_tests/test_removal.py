from __future__ import annotations

import polars as pl
import pytest

from tritter_assets.removal import covered_by

ROWS = pl.DataFrame(
    {
        "repo": ["A/x", "q/r", "a", "c/d"],
        "owner": ["A,b/y,c/z", "q", None, "c"],
    }
)


@pytest.mark.parametrize(
    ("kind", "value", "covered"),
    [
        ("owner", "a", [True, False, False, False]),
        ("owner", "B", [True, False, False, False]),
        ("owner", "c", [True, False, False, True]),
        ("owner", "y", [False, False, False, False]),
        ("repo", "a/x", [True, False, False, False]),
        ("repo", "b/Y", [True, False, False, False]),
        ("repo", "c/d", [False, False, False, True]),
        ("repo", "a", [False, False, True, False]),
    ],
)
def test_every_repository_that_holds_a_row_may_ask(
    kind: str, value: str, covered: list[bool]
) -> None:
    removals = pl.DataFrame({"kind": [kind], "value": [value]})
    assert ROWS.select(covered_by(removals)).to_series().to_list() == covered
