"""What holds for every paper of a small lake, and the notice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tritter_assets.compliance.croissant import write_croissant
from tritter_assets.compliance.data_facts import conjunction
from tritter_assets.compliance.dataset_cards import write_dataset_cards
from tritter_assets.compliance.eu_summary import write_eu_summary
from tritter_assets.compliance.funnel import write_funnel
from tritter_assets.compliance.license_texts import license_ids, license_text
from tritter_assets.compliance.model_card import write_model_card
from tritter_assets.compliance.notice import write_notice
from tritter_assets.compliance.osaid import write_osaid
from tritter_assets.compliance.report import ReportSummary
from tritter_assets.compliance.retention import write_retention
from tritter_assets.compliance.spdx_bom import write_spdx_bom
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

Write = Callable[..., ReportSummary]
EVERY: tuple[Write, ...] = (
    write_notice,
    write_croissant,
    write_spdx_bom,
    write_eu_summary,
    write_osaid,
    write_dataset_cards,
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
