"""Notice, Croissant, bill of materials, training-data summary and model card of a small lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tritter_assets.compliance.croissant import write_croissant
from tritter_assets.compliance.data_facts import conjunction, read_data_facts
from tritter_assets.compliance.eu_summary import TO_FILL, write_eu_summary
from tritter_assets.compliance.funnel import write_funnel
from tritter_assets.compliance.license_texts import license_ids, license_text
from tritter_assets.compliance.model_card import write_model_card
from tritter_assets.compliance.notice import write_notice
from tritter_assets.compliance.report import ReportSummary
from tritter_assets.compliance.retention import write_retention
from tritter_assets.compliance.spdx_bom import build_bom, validate, write_spdx_bom
from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.forget import request_removal
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

Write = Callable[..., ReportSummary]
EVERY: tuple[Write, ...] = (
    write_notice,
    write_croissant,
    write_spdx_bom,
    write_eu_summary,
    write_funnel,
    write_retention,
    write_model_card,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path)


def write(lake: Lake, report: Write) -> ReportSummary:
    return report(lake, catalog=small.full_catalog(), fingerprint=small.FINGERPRINT)


def read(lake: Lake, asset: str, name: str) -> str:
    return ArtifactStore(lake).open_local(asset, name).read_text("utf-8")


@pytest.mark.parametrize("report", EVERY, ids=lambda write: write.__name__)
def test_every_report_gives_the_same_bytes_twice_and_a_page(
    lake: Lake, tmp_path: Path, report: Write
) -> None:
    first = write(lake, report)
    second = write(small.build(tmp_path / "other"), report)
    assert first.passed
    assert first.data_version == second.data_version
    pages = [name for name in first.files if name.endswith(".html")]
    assert pages
    page = read(lake, first.asset, pages[0])
    assert page.startswith("<!doctype html>")
    for external in ("http-equiv", "<script", "<link", 'src="http', "@import"):
        assert external not in page


@pytest.mark.parametrize("report", EVERY[:-1], ids=lambda write: write.__name__)
def test_reports_of_an_empty_lake_are_empty_not_wrong(tmp_path: Path, report: Write) -> None:
    assert write(Lake.at(tmp_path / "none"), report).asset.startswith("compliance/")


def test_notice_names_each_repository_once_with_texts(lake: Lake) -> None:
    summary = write(lake, write_notice)
    text = read(lake, "compliance/notice", "NOTICE.txt")
    assert text.count("Copyright (c) 2024 ada/engine") == 1
    assert "carl/vendored" not in text  # a dropped copy trains nothing
    assert "Permission is hereby granted, free of charge" in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    document = json.loads(read(lake, "compliance/notice", "notice.json"))
    assert [r["repo"] for r in document["repositories"]] == [
        "ada/engine",
        "synthetic/docstring",
        "dora/other",
    ]
    assert set(document["licences"]) == {"MIT", "Apache-2.0"}
    assert summary.counts["licences_without_text"] == 0


def test_notice_keeps_hostile_attribution_on_its_line(lake: Lake) -> None:
    bad = small.OTHER | {
        "attribution": "Copyright\x1b[31m <b>&\nSource: forged (alpha)\n" + "x" * 9000
    }
    rows = [small.NEAR, small.EXACT, bad]
    small.write(lake, "filtered/beta", rows, DOCUMENT_SCHEMA, {"shard": "000"})
    write(lake, write_notice)
    text = read(lake, "compliance/notice", "NOTICE.txt")
    assert "\x1b" not in text
    assert "\nSource: forged" not in text
    assert max(map(len, text.split("Licence texts")[0].splitlines())) < 600
    page = read(lake, "compliance/notice", "notice.html")
    assert "<b>&" not in page


def test_notice_fails_when_an_author_could_not_be_named(lake: Lake) -> None:
    stray = small.mix_row(small.OTHER, "filtered/gone", 10)
    small.write(lake, "mix/phase2_domain", [stray], MIX_SCHEMA)
    summary = write(lake, write_notice)
    assert not summary.passed
    assert "filtered/gone" in summary.problems[0]


def test_croissant_records_load(lake: Lake) -> None:
    import mlcroissant

    write(lake, write_croissant)
    path = ArtifactStore(lake).open_local("compliance/croissant", "croissant.json")
    dataset = mlcroissant.Dataset(jsonld=str(path))
    rows = {row["sources/id"]: row for row in dataset.records("sources")}
    assert rows[b"alpha"]["sources/license_concluded"] == b"MIT"
    assert rows[b"beta"]["sources/tokens"] == 80


def test_bill_of_materials_links_model_mix_and_sources(lake: Lake) -> None:
    write(lake, write_spdx_bom)
    graph = json.loads(read(lake, "compliance/spdx_bom", "spdx_bom.json"))["@graph"]
    names = {
        e["spdxId"].rsplit(":bom:", 1)[-1].partition(":")[2]: e for e in graph if "spdxId" in e
    }
    relations: dict[str, list[tuple[str, list[str]]]] = {}
    for element in graph:
        if element["type"] == "Relationship":
            relations.setdefault(element["relationshipType"], []).append(
                (element["from"], element["to"])
            )
    assert [(a[-17:], [b[-15:] for b in to]) for a, to in relations["trainedOn"]] == [
        ("model:phase1_base", ["mix:phase1_base"])
    ]
    assert len(relations["descendantOf"][0][1]) == 2
    packages = [
        n for n, e in names.items() if e["type"] in ("dataset_DatasetPackage", "ai_AIPackage")
    ]
    assert len(packages) == 4
    for kind in ("hasDeclaredLicense", "hasConcludedLicense"):
        assert len(relations[kind]) == len(packages)
        assert all(len(to) == 1 for _, to in relations[kind])
    assert names["source:alpha"]["software_packageUrl"] == "pkg:pypi/alpha@1.0.0"
    assert names["source:alpha"]["verifiedUsing"][0]["hashValue"] == "ab" * 32


def test_an_invalid_bill_of_materials_is_refused(lake: Lake) -> None:
    document = build_bom(read_data_facts(lake, small.full_catalog()), small.full_catalog())
    broken: dict[str, Any] = json.loads(document)
    for element in broken["@graph"]:
        element.pop("dataset_datasetType", None)
    with pytest.raises(ContractViolation, match="datasetType"):
        validate(json.dumps(broken).encode())


def test_summary_fills_what_it_knows_and_marks_the_rest(lake: Lake) -> None:
    summary = write(lake, write_eu_summary)
    document = json.loads(read(lake, "compliance/eu_summary", "eu_summary.json"))
    general = document["general_information"]
    assert general["provider"]["name"] == TO_FILL
    assert general["modalities"][0]["size"] == "less than 1 billion tokens"
    assert general["latest_date_of_collection"] == "2026-11-01"
    sources = document["list_of_data_sources"]
    assert [s["source"] for s in sources["publicly_available_datasets"]] == ["alpha", "beta"]
    assert [s["generator"] for s in sources["synthetic_data"]] == ["rule_based"]
    assert document["data_processing"]["reservation_of_rights"]["documents_refused_by_licence"] == 1
    assert len(summary.warnings) == 4


def test_model_card_has_front_matter_and_figures(lake: Lake) -> None:
    write(lake, write_model_card)
    text = read(lake, "export/model_card", "README.md")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "other"
    for words in ("| phase1_base |", "8.3", "5.1", "Apache-2.0", "attribution", "verified again"):
        assert words in text


def test_model_card_of_a_marked_checkpoint_fails(lake: Lake) -> None:
    request_removal(lake, "id", small.KEPT["id"], "asked", "2026-11-24T06:00:00Z")
    summary = write(lake, write_model_card)
    assert not summary.passed
    assert "contains_removed" in summary.problems[0]
    assert "contains_removed" in read(lake, "export/model_card", "README.md")


def test_model_card_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(MissingProvenance, match="train a phase first"):
        write(Lake.at(tmp_path), write_model_card)


def test_license_texts_are_what_their_names_say() -> None:
    from tritter_assets.licensing.detect import identify_text

    folder = small.CONTRACTS / "policy" / "license_texts"
    names = sorted(path.stem for path in folder.glob("*.txt"))
    assert "MIT" in names
    for name in names:
        text = license_text(small.CONTRACTS, name)
        assert text is not None
        assert identify_text(text).spdx == name
    assert license_text(small.CONTRACTS, "No-Such-License") is None


def test_expressions_are_taken_apart_and_joined() -> None:
    assert license_ids("(MIT OR Apache-2.0) AND GPL-2.0-only WITH Classpath-exception-2.0") == (
        "MIT",
        "Apache-2.0",
        "GPL-2.0-only",
        "Classpath-exception-2.0",
    )
    assert conjunction({"MIT": 1, "Apache-2.0 OR MIT": 2}) == "(Apache-2.0 OR MIT) AND MIT"
    assert conjunction({}) == "NOASSERTION"
