"""What a provider states: nothing by default, read field by field, mistakes with their line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tritter_assets.contracts.provider import Provider, provider_digest, read_provider
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets_tests.corpus import REPOSITORY


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "provider.yaml").write_text(text)
    return tmp_path


def test_the_repository_states_nothing_for_anybody() -> None:
    provider = read_provider(REPOSITORY / "data_contracts")
    assert provider == Provider()
    assert len(provider.missing()) == 11
    assert provider_digest(REPOSITORY / "data_contracts")


def test_without_the_file_nothing_is_stated(tmp_path: Path) -> None:
    assert read_provider(tmp_path) == Provider()
    assert provider_digest(tmp_path) == ""


def test_what_is_stated_is_not_missing(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        "name: Example Ltd\ncode_of_practice: false\nplaced_on_market: 2026-12-01\n"
        "user_interactions: true\nlocal_sources: {house: own}\n",
    )
    provider = read_provider(root)
    assert provider.name == "Example Ltd"
    assert provider.code_of_practice is False
    assert provider.placed_on_market == date(2026, 12, 1)
    assert provider.local_sources == {"house": "own"}
    missing = provider.missing()
    assert not {"name", "code_of_practice", "placed_on_market", "user_interactions"} & set(missing)
    # A yes asks for more: which services.
    assert "services" in missing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x\n", r"provider.yaml:1: nam: is not a known field. Fix: did you mean 'name'"),
        ("name: x\nenterprise: big\n", r"provider.yaml:2: enterprise: is 'big'"),
        ("code_of_practice: maybe\n", r"provider.yaml:1: code_of_practice: holds 'maybe'"),
        ("summary_date: soon\n", r"provider.yaml:1: summary_date: holds 'soon', not a date"),
        ("local_sources: {house: stolen}\n", r"provider.yaml:1: local_sources: says house"),
        ("weights_license: other\n", r"weights_license_link: is empty"),
    ],
)
def test_mistakes_name_file_line_and_way_out(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ContractProblems, match=message):
        read_provider(written(tmp_path, text))
