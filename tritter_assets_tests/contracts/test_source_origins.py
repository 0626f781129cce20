"""Http origins with data files inside, script data sets on the Hub, and preference pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import HttpOrigin, HubOrigin
from tritter_assets_tests.contracts.test_parse_source import HUB, problems_of, write

HTTP = HUB.replace(
    """\
      kind: hub
      repo: acme/tiny
      revision: unpinned
""",
    """\
      kind: http
      url: https://example.org/tiny.zip
      sha256: unpinned
      file_format: zip
      inner_format: jsonl
      include: ['**/*train*.jsonl']
""",
)
PAIRS = HUB.replace("value: code", "value: preference").replace(
    "    value: {content: content, path: path}\n",
    "    value: {instruction: content, chosen: pair.chosen, rejected: pair.rejected}\n"
    "  - property: preference_pair\n"
    "    value: {first: path, second: content, score: path, neutral: 0.5}\n",
)


def test_a_zip_of_data_files(tmp_path: Path) -> None:
    contract = parse_source(write(tmp_path, HTTP))
    assert isinstance(contract.origin, HttpOrigin)
    assert (contract.origin.sha256, contract.origin.inner_format) == ("unpinned", "jsonl")
    assert contract.columns == {"content": "content", "path": "path"}


@pytest.mark.parametrize(
    ("old", "new", "field", "fix"),
    [
        ("sha256: unpinned", "sha256: abc", "origin.sha256", "or unpinned until it is known"),
        ("inner_format: jsonl", "inner_format: json", "origin.inner_format", "jsonl"),
        ("file_format: zip", "file_format: tar", "origin.inner_format", "inside a zip only"),
        ("https://", "ftp://", "origin.url", "https:// address"),
    ],
)
def test_what_is_wrong_with_an_address(
    tmp_path: Path, old: str, new: str, field: str, fix: str
) -> None:
    found = problems_of(write(tmp_path, HTTP.replace(old, new)))
    assert fix in found[field][2]


def test_a_branch_is_part_of_the_identity_only_when_set(tmp_path: Path) -> None:
    plain = parse_source(write(tmp_path, HUB))
    branched = parse_source(
        write(tmp_path, HUB.replace("unpinned\n", "unpinned\n      branch: refs/convert/parquet\n"))
    )
    assert isinstance(branched.origin, HubOrigin)
    assert branched.origin.branch == "refs/convert/parquet"
    assert branched.digest != plain.digest


def test_a_preference_pair_is_read_and_counts_for_the_identity(tmp_path: Path) -> None:
    contract = parse_source(write(tmp_path, PAIRS))
    assert contract.preference_pair is not None
    assert contract.preference_pair.columns == ("path", "content", "path")
    assert contract.preference_pair.neutral == 0.5
    other = parse_source(write(tmp_path, PAIRS.replace("neutral: 0.5", "neutral: 0.0")))
    assert other.digest != contract.digest


@pytest.mark.parametrize(
    "value",
    ["{first: a, second: b}", "{answers: a, text: b}", "{first: a, answers: b, rank: c, text: d}"],
)
def test_half_a_pair_is_a_problem(tmp_path: Path, value: str) -> None:
    text = PAIRS.replace("{first: path, second: content, score: path, neutral: 0.5}", value)
    found = problems_of(write(tmp_path, text))
    assert "answers, text and rank" in found["preference_pair.first"][2]
