from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.compliance.data_facts import origin_of
from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import SourceContract

_CONTRACTS = sorted((Path(__file__).parents[2] / "data_contracts" / "sources").glob("*.yaml"))


@pytest.fixture(scope="module")
def contracts() -> list[SourceContract]:
    return [parse_source(path) for path in _CONTRACTS]


def test_every_contract_says_where_its_rows_are(contracts: list[SourceContract]) -> None:
    kinds = set()
    for contract in contracts:
        address, revision, sha256 = origin_of(contract.origin)
        assert address.startswith(("https://", "file:")), contract.id
        assert revision or sha256, contract.id
        kinds.add(contract.origin.kind)
    assert kinds >= {"sdist", "hub", "git", "http", "crate"}
