"""Data information: complete, sorted by where data can be had; fails when it is not complete."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tritter_assets.compliance.osaid import write_osaid
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import FileOrigin, HubOrigin, Origin
from tritter_assets.lake import Lake
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets_tests.compliance.paper import read, read_json, write
from tritter_assets_tests.lineage import small_lake as small

ASSET = "compliance/osaid"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path)


def catalog(**origins: Origin) -> Catalog:
    full = small.full_catalog()
    sources = {
        name: dataclasses.replace(contract, origin=origins.get(name, contract.origin))
        for name, contract in full.sources.items()
    }
    return dataclasses.replace(full, sources=sources)


def test_the_three_things_the_definition_wants_are_there(lake: Lake) -> None:
    summary = write(lake, write_osaid)
    assert summary.passed
    document = read_json(lake, ASSET, "osaid.json")
    alpha = document["description"]["provenance"][0]
    assert alpha["sha256"] == "ab" * 32
    assert alpha["licences_of_the_rows"] == {"MIT": 2}
    assert alpha["rows_that_train"] == 2
    (scope,) = document["description"]["scope_and_characteristics"]
    assert scope["rows"] == 3
    (recipe,) = document["description"]["selection"]["mixes"]
    assert recipe["seed"] == 1
    assert {c["component"] for c in recipe["components"]} >= {"python_code", "rust_code"}
    steps = {s["step"]: s for s in document["description"]["processing_and_filtering"]}
    assert steps["2 license"]["removed"] == 1
    assert document["description"]["labelling"]
    assert [row["address"] for row in document["publicly_available"]] == [
        "https://pypi.org/project/alpha/1.0.0/",
        "https://pypi.org/project/beta/1.0.0/",
    ]
    (line,) = document["training"]
    assert (line["documents_read"], line["tokens_read"], line["seed"]) == (3, 296, 0)
    assert {row["of"] for row in document["obligations"]} == {
        "mix/phase1_base",
        "model/phase1_base",
    }


def test_gated_and_local_sources_are_not_publicly_available(lake: Lake) -> None:
    gated = HubOrigin(repo="org/alpha", revision="a" * 40, gated=True)
    local = FileOrigin(path="beta.parquet", file_format="parquet")
    write(lake, write_osaid, catalog(alpha=gated, beta=local))
    document = read_json(lake, ASSET, "osaid.json")
    assert document["publicly_available"] == []
    assert [r["title"] for r in document["obtainable_from_third_parties"]] == ["Package alpha"]
    assert [r["title"] for r in document["not_obtainable"]] == ["Package beta"]


def test_the_revision_that_was_read_is_known_without_a_pin(lake: Lake) -> None:
    unpinned = HubOrigin(repo="org/alpha", revision="unpinned")
    write(lake, write_osaid, catalog(alpha=unpinned))
    document = read_json(lake, ASSET, "osaid.json")
    assert document["description"]["provenance"][0]["revision"] == "1.0.0"


def test_a_source_without_contract_fails(lake: Lake) -> None:
    full = small.full_catalog()
    left = dataclasses.replace(full, sources={"alpha": full.sources["alpha"]})
    summary = write(lake, write_osaid, left)
    assert not summary.passed
    assert "beta trains and has left the catalogue" in summary.problems[0]
    assert "FAIL" in read(lake, ASSET, "osaid.html")


def test_documents_that_cannot_be_described_fail(lake: Lake) -> None:
    small.write(
        lake, "mix/phase1_base", [small.mix_row(small.OTHER, "filtered/beta", 80)], MIX_SCHEMA
    )
    summary = write(lake, write_osaid)
    assert not summary.passed
    assert "read 2 documents of phase1_base" in summary.problems[0]
