from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from tritter_assets.contracts.row_filter import KeywordRule, RowFilter
from tritter_assets.sources.data_file import RowBatch
from tritter_assets.sources.loader import SkipReason
from tritter_assets.sources.row_filter import select_rows
from tritter_assets_tests.sources.builders import context_of

ROWS: list[dict[str, Any]] = [
    {"t": "permissive", "n": 1, "ok": True, "tags": ["a", "b"], "url": "https://x.org/1",
     "s": {"kind": "code"}, "j": '{"domain": "x.org"}', "text": "Python and PyTorch, python."},
    {"t": "copyleft", "n": 2, "ok": False, "tags": ["a"], "url": "http://a.stackexchange.com/q",
     "s": {"kind": "forum"}, "j": '{"domain": "y.org"}', "text": "pythonic torch"},
    {"t": None, "n": None, "ok": None, "tags": [], "url": None, "s": None, "j": "broken",
     "text": None},
    {"t": "permissive", "n": 3, "ok": True, "tags": None, "url": "StackExchange.com:80/x",
     "s": {"kind": None}, "j": None, "text": "deep  learning in C++ (pytorch)"},
    {"t": "", "n": 10, "ok": True, "tags": ["b", None], "url": "//user@notstackexchange.com/",
     "s": {"kind": "code"}, "j": "[]", "text": "the learning of PYTORCH"},
]  # fmt: skip


def _kept(rules: RowFilter, tmp_path: Any, *, arrow: bool) -> list[int]:
    context = context_of(tmp_path)
    rows: Any = pa.RecordBatch.from_pylist(ROWS) if arrow else ROWS
    found = select_rows(RowBatch(range(10, 15), rows), rules, context)
    assert context.skips.counts[SkipReason.NOT_SELECTED] == len(ROWS) - len(found.numbers)
    assert context.skips.examples == []
    assert [row["text"] for row in found.to_rows()] == [ROWS[n - 10]["text"] for n in found.numbers]
    return [number - 10 for number in found.numbers]


def _words(at_least: int, *words: str) -> RowFilter:
    return RowFilter(any_keyword=KeywordRule(column="text", keywords=words, at_least=at_least))


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (RowFilter(where={"t": ("permissive",)}), [0, 3]),
        (RowFilter(where={"n": ("1", "10")}), [0, 4]),
        (RowFilter(where={"ok": ("true",)}), [0, 3, 4]),
        (RowFilter(where={"tags": ("a", "b")}), [0, 1, 4]),
        (RowFilter(where={"tags": ("a",)}), [1]),
        (RowFilter(where_not={"tags": ("b",)}), [1, 2, 3]),
        (RowFilter(where={"s.kind": ("code",)}), [0, 4]),
        (RowFilter(where={"j.domain": ("x.org", "z.org")}), [0]),
        (RowFilter(where_not={"j.domain": ("x.org",)}), [1, 2, 3, 4]),
        (RowFilter(where_host={"url": ("stackexchange.com",)}), [1, 3]),
        (RowFilter(where_not_host={"url": ("stackexchange.com",)}), [0, 2, 4]),
        (RowFilter(where={"t": ("permissive",)}, where_not={"tags": ("a",)}), [3]),
        (_words(1, "python"), [0]),
        (_words(1, "c++"), [3]),
        (_words(2, "python", "pytorch"), [0]),
        (_words(1, "deep learning"), [3]),
        (_words(2, "deep learning", "learning"), []),
        (_words(1, "learning"), [3, 4]),
        (_words(2, "learning", "pytorch"), [3, 4]),
    ],
)
def test_rules(rules: RowFilter, kept: list[int], tmp_path: Any, arrow: bool) -> None:
    assert _kept(rules, tmp_path, arrow=arrow) == kept
    json.dumps(rules.columns)
