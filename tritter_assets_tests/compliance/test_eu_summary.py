"""The public summary of training content: every field of the template, and where it comes from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.compliance.eu_form import NOT_STATED, Origin
from tritter_assets.compliance.eu_summary import write_eu_summary
from tritter_assets.compliance.report import ReportSummary
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import FileOrigin, HubOrigin
from tritter_assets.contracts.source import Origin as SourceOrigin
from tritter_assets.lake import Lake
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets_tests.compliance.paper import (
    STATED,
    catalog_with_provider,
    read,
    read_json,
    write,
)
from tritter_assets_tests.lineage import small_lake as small

ASSET = "compliance/eu_summary"

SECTIONS = {
    "0": {"version", "last_update"},
    "1.1": {"provider", "contact", "representative"},
    "1.2": {"names", "dependencies", "placed"},
    "1.3": {"modalities", "tokens", "latest", "continuous", "linguistic", "other"},
    "2.1": {"used"},
    "2.2.1": {"used"},
    "2.2.2": {"used"},
    "2.3": {
        "crawlers",
        "crawler_names",
        "purpose",
        "behaviour",
        "period",
        "content",
        "modalities",
        "domains",
        "archives",
    },
    "2.4": {"interactions", "services"},
    "2.5": {"used", "modalities", "models", "comments"},
    "2.6": {"used"},
    "3.1": {"code_of_practice", "measures", "refused", "opt_out", "requests"},
    "3.2": {"measures", "dropped"},
    "3.3": {"removed", "obligations_of_mixes", "obligations_of_checkpoints"},
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path / "lake")


@pytest.fixture(scope="module")
def summarised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, ReportSummary]:
    """A lake with its summary, in which nobody stated anything."""
    lake = small.build(tmp_path_factory.mktemp("lake"))
    return lake, write(lake, write_eu_summary)


def fields(lake: Lake) -> dict[str, dict[str, Any]]:
    document = read_json(lake, ASSET, "eu_summary.json")
    return {
        section["section"]: section["fields"]
        for part in document["parts"]
        for section in part["sections"]
    }


def with_origins(catalog: Catalog, **origins: SourceOrigin) -> Catalog:
    sources = {
        name: dataclasses.replace(contract, origin=origins.get(name, contract.origin))
        for name, contract in catalog.sources.items()
    }
    return dataclasses.replace(catalog, sources=sources)


def test_every_section_of_the_template_is_there_in_order(
    summarised: tuple[Lake, ReportSummary],
) -> None:
    lake, _ = summarised
    found = fields(lake)
    assert list(found) == list(SECTIONS)
    assert {number: set(section) for number, section in found.items()} == SECTIONS


def test_the_tables_answer_what_they_know(summarised: tuple[Lake, ReportSummary]) -> None:
    lake, _ = summarised
    found = fields(lake)
    assert found["1.2"]["names"]["value"][0]["model"] == "model/phase1_base"
    text, image, *_ = found["1.3"]["modalities"]["value"]
    assert text["training_data_size"] == "Less than 1 billion tokens"
    assert "source code (2 rows)" in text["types_of_content"]
    assert image == {
        "modality": "Image",
        "present": False,
        "training_data_size": "",
        "types_of_content": "",
    }
    assert found["1.3"]["tokens"]["value"] == 420
    assert found["1.3"]["latest"]["value"].startswith("11/2026,")
    assert "Python 100.0 %" in found["1.3"]["linguistic"]["value"]
    assert found["2.1"]["used"]["value"] is False
    assert found["2.3"]["crawlers"]["value"] is False
    assert found["2.3"]["domains"]["value"] == [{"domain": "pypi.org", "estimated_tokens": 420}]
    assert [row["name"] for row in found["2.3"]["archives"]["value"]] == [
        "Package alpha",
        "Package beta",
    ]
    # Rows that a program wrote by rules are no AI-generated data.
    assert found["2.5"]["used"]["value"] is False
    assert "1 rows were written by programs" in found["2.5"]["comments"]["value"]
    assert found["3.1"]["refused"]["value"] == 1
    origins = {f["origin"] for section in found.values() for f in section.values()}
    assert origins == {Origin.COMPUTED, Origin.OPEN}


def test_what_nobody_stated_says_so_and_where_to_state_it(
    summarised: tuple[Lake, ReportSummary],
) -> None:
    lake, summary = summarised
    name = fields(lake)["1.1"]["provider"]
    assert name["value"] == NOT_STATED
    assert name["setting"] == "provider.yaml: name"
    assert len(summary.warnings) == summary.counts["fields_to_fill"] == 9
    assert "1.1 Provider name: state it as 'name' in policy/provider.yaml" in summary.warnings
    page = read(lake, ASSET, "eu_summary.html")
    assert page.count('class="tag open"') == 9
    assert "9 fields are not stated yet" in page


def test_a_finished_summary_has_no_open_field(lake: Lake, tmp_path: Path) -> None:
    summary = write(lake, write_eu_summary, catalog_with_provider(tmp_path, STATED))
    assert summary.warnings == ()
    found = fields(lake)
    assert found["1.1"]["provider"]["value"] == "Example Models Ltd"
    assert found["1.1"]["provider"]["origin"] == Origin.STATED
    assert found["1.2"]["placed"]["value"] == "2026-12-01"
    assert found["3.1"]["code_of_practice"]["value"] is True
    assert "top 5 % or 1,000" in found["2.3"]["domains"]["label"]
    assert 'class="tag open"' not in read(lake, ASSET, "eu_summary.html")


def test_sources_stand_in_the_section_of_their_origin(lake: Lake, tmp_path: Path) -> None:
    stated = STATED | {"local_sources": {"beta": "private"}}
    catalog = with_origins(
        catalog_with_provider(tmp_path, stated),
        alpha=HubOrigin(repo="org/alpha", revision="a" * 40),
        beta=FileOrigin(path="beta.parquet", file_format="parquet"),
    )
    write(lake, write_eu_summary, catalog)
    found = fields(lake)
    assert found["2.1"]["used"]["value"] is True
    (large,) = found["2.1"]["large"]["value"]
    assert large["link"] == "https://huggingface.co/datasets/org/alpha"
    assert large["rows"] == 2
    assert found["2.2.2"]["used"]["value"] is True
    assert found["2.2.2"]["list"]["value"][0]["name"] == "Package beta"
    assert "archives" not in found["2.3"]


def test_a_local_source_that_nobody_declared_is_an_open_field(lake: Lake, tmp_path: Path) -> None:
    catalog = with_origins(
        catalog_with_provider(tmp_path, STATED),
        beta=FileOrigin(path="beta.parquet", file_format="parquet"),
    )
    summary = write(lake, write_eu_summary, catalog)
    assert summary.warnings == (
        "2.2.2 Nature of the local source Package beta: state it as 'local_sources' in "
        "policy/provider.yaml",
    )


def test_rows_that_a_model_wrote_are_synthetic_data(lake: Lake) -> None:
    rows = small.mix_rows()
    rows[1] |= {"generator": "starcoder2"}  # upstream's
    rows[2] |= {"generator": "qwen_apache"}  # made here: it stands in synthetic/*
    small.write(lake, "mix/phase1_base", rows, MIX_SCHEMA)
    write(lake, write_eu_summary)
    section = fields(lake)["2.5"]
    assert section["used"]["value"] is True
    models = {row["model"]: row for row in section["models"]["value"]}
    assert [row["rows_made_by_the_provider"] for row in models.values()] == [1, 0]
    starcoder = next(row for name, row in models.items() if name.startswith("StarCoder2"))
    assert starcoder["rows_in_public_data_sets"] == 1


def test_only_what_models_saw_is_summarised(lake: Lake) -> None:
    stray = small.mix_row(small.OTHER, "filtered/beta", 7_000)
    small.write(lake, "mix/phase2_domain", [stray], MIX_SCHEMA)
    write(lake, write_eu_summary)
    assert fields(lake)["1.3"]["tokens"]["value"] == 420


def test_obligations_are_joined_over_mix_and_checkpoint(
    summarised: tuple[Lake, ReportSummary],
) -> None:
    lake, _ = summarised
    section = fields(lake)["3.3"]
    title = small.full_catalog().policy.obligations["attribution"].title
    assert {"mix": "phase1_base", "obligation": title, "rows": 3} in section[
        "obligations_of_mixes"
    ]["value"]
    assert {"model": "model/phase1_base", "obligation": title, "documents": 3} in section[
        "obligations_of_checkpoints"
    ]["value"]
