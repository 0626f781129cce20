from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tritter_assets.contracts.parse_source import identity_digest, parse_source
from tritter_assets.contracts.row_filter import KeywordRule, RowFilter
from tritter_assets.contracts.source import SourceContract
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets_tests.contracts.test_parse_source import GOOD

_SDIST = GOOD[GOOD.index("      kind: sdist") : GOOD.index("  - property: licence")]
_HUB = GOOD.replace(
    _SDIST, f"      kind: hub\n      repo: org/data\n      revision: {'a' * 40}\n"
).replace(
    "  - property: licence",
    "  - property: columns\n    value: {content: content, path: path}\n  - property: licence",
)


def _parse(folder: Path, row_filter: str, text: str = _HUB) -> SourceContract:
    path = folder / "tiny.yaml"
    added = f"  - property: row_filter\n    value: {row_filter}\n" if row_filter else ""
    path.write_text(text + added, encoding="utf-8")
    return parse_source(path)


def test_rules_are_read_in_one_spelling(tmp_path: Path) -> None:
    contract = _parse(
        tmp_path,
        "{where: {path: [b, true, 3]}, where_not: {path: x}, where_host: {path: [Docs.Org]}, "
        "any_keyword: {column: content, at_least: 2, keywords: [PyTorch, python,  Python]}}",
    )
    assert contract.row_filter == RowFilter(
        where={"path": ("3", "b", "true")},
        where_not={"path": ("x",)},
        where_host={"path": ("docs.org",)},
        any_keyword=KeywordRule(column="content", keywords=("python", "pytorch"), at_least=2),
    )
    assert contract.row_filter is not None
    assert contract.row_filter.columns == ("path", "content")


def test_the_filter_is_part_of_the_identity_and_its_absence_is_not(tmp_path: Path) -> None:
    without = _parse(tmp_path, "")
    one, two = (_parse(tmp_path, f"{{where: {{path: [{value}]}}}}") for value in ("a", "b"))
    assert len({without.digest, one.digest, two.digest}) == 3
    assert identity_digest(dataclasses.replace(one, row_filter=None)) == without.digest


@pytest.mark.parametrize(
    ("row_filter", "message"),
    [
        ("{where: {pth: [a]}}", "'pth' is not among upstream's columns"),
        ("{wher: {path: [a]}}", "did you mean 'where'"),
        ("{where: {path: {a: 1}}}", "not a list of values"),
        ("{where_not_host: {path: ['https://a.org/']}}", "is no domain"),
        ("{where: {}}", "states no rule"),
        ("{any_keyword: {column: content, keywords: []}}", "holds 0 keywords"),
        ("{any_keyword: {column: content, at_least: 3, keywords: [a, b]}}", "is 3 of 2 keywords"),
        ("{any_keyword: {column: content, keywords: [a], least: 1}}", "did you mean 'at_least'"),
        ("[path]", "not a mapping"),
    ],
)
def test_a_wrong_filter_is_told(tmp_path: Path, row_filter: str, message: str) -> None:
    with pytest.raises(ContractProblems, match=message):
        _parse(tmp_path, row_filter)


def test_an_origin_without_rows_has_nothing_to_filter(tmp_path: Path) -> None:
    with pytest.raises(ContractProblems, match=r"origin without columns.*origin\.include"):
        _parse(tmp_path, "{where: {path: [a]}}", GOOD)
