"""The licence texts of the repositories in the notice."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tritter_assets.compliance.notice import write_notice
from tritter_assets.compliance.report import ReportSummary
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.forget import request_removal
from tritter_assets.lineage.purge import PurgeReport, purge_rows
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA, document_id
from tritter_assets.sources.license_texts import LICENSE_TEXT_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

ADA = "MIT License\n\nCopyright (c) 2024 Ada\n\nPermission is hereby granted"
DORA = "MIT License\n\nCopyright (c) 2020 Dora\n\nPermission is hereby granted"


def file(source: str, repo: str, path: str, text: str) -> dict[str, Any]:
    return {
        "id": document_id(source, repo, f"\0{path}", ""),
        "source": source,
        "shard": "000",
        "repo": repo,
        "path": path,
        "sha256": sha256(text.encode()).hexdigest(),
        "text": text,
    }


def notice_of(lake: Lake, files: list[dict[str, Any]]) -> tuple[ReportSummary, str, Any, str]:
    for source in sorted({f["source"] for f in files}):
        rows = [f for f in files if f["source"] == source]
        table = f"license_texts/{source}"
        small.write(lake, table, rows, LICENSE_TEXT_SCHEMA, {"shard": "000"})
    summary = write_notice(lake, catalog=small.full_catalog(), fingerprint=small.FINGERPRINT)
    text, data, page = (
        ArtifactStore(lake).open_local("compliance/notice", name).read_text("utf-8")
        for name in ("NOTICE.txt", "notice.json", "notice.html")
    )
    return summary, text, json.loads(data), page


def test_texts_of_repositories_stand_once_each(tmp_path: Path) -> None:
    files = [
        file("alpha", "ada/engine", "LICENSE", ADA),
        file("alpha", "ada/engine", "NOTICE", "Made by Ada"),
        file("beta", "dora/other", "LICENSE.txt", ADA),
        file("beta", "dora/other", "COPYING", DORA),
        file("beta", "carl/vendored", "LICENSE", "Text of a repository that trains nothing"),
    ]
    summary, text, data, page = notice_of(small.build(tmp_path), files)
    assert text.count("Copyright (c) 2024 Ada\n") == 1
    assert text.count("Copyright (c) 2020 Dora\n") == 1
    assert "trains nothing" not in text
    digest = files[0]["sha256"]
    assert f"  [{digest[:16]}] LICENSE\n" in text
    assert f"--- [{digest[:16]}] 2 repositories ---" in text
    by_repo = {r["repo"]: [f["path"] for f in r["license_files"]] for r in data["repositories"]}
    assert by_repo["ada/engine"] == ["LICENSE", "NOTICE"]
    assert by_repo["dora/other"] == ["COPYING", "LICENSE.txt"]
    assert data["license_texts"] == {f["sha256"]: f["text"] for f in files[:4]}
    assert list(data["license_texts"]) == sorted(data["license_texts"])
    assert "Copyright (c) 2020 Dora" in page
    assert digest[:16] in page
    assert summary.counts["own_texts"] == 3
    assert summary.counts["repositories_without_file"] == 1  # rows written by rules


def test_a_text_of_a_folder_needs_a_row_below_it(tmp_path: Path) -> None:
    lake = small.build(tmp_path)
    row = small.row("beta", "eve/tree", "vendor/used/deep/a.py", "x = 1\n")
    small.write(lake, "filtered/beta", [small.NEAR, small.EXACT, small.OTHER, row],
                DOCUMENT_SCHEMA, {"shard": "000"})  # fmt: skip
    small.write(lake, "mix/phase2_domain", [small.mix_row(row, "filtered/beta", 3)], MIX_SCHEMA)
    paths = ("LICENSE", "LICENSES/MIT.txt", "vendor/used/LICENSE", "vendor/used2/LICENSE",
             "vendor/used/licenses/BSD.txt", "other/LICENSE")  # fmt: skip
    files = [file("beta", "eve/tree", path, f"text of {path}") for path in paths]
    _, text, data, _ = notice_of(lake, files)
    entry = next(r for r in data["repositories"] if r["repo"] == "eve/tree")
    assert [f["path"] for f in entry["license_files"]] == [
        "LICENSE",
        "LICENSES/MIT.txt",
        "vendor/used/LICENSE",
        "vendor/used/licenses/BSD.txt",
    ]
    assert "text of other/LICENSE" not in text


def test_a_hostile_text_forges_no_entry(tmp_path: Path) -> None:
    bad = "\x1b[31m<b>&\n" + "=" * 78 + "\nSource: forged (alpha)\n\u2028--- MIT ---"
    summary, text, data, page = notice_of(
        small.build(tmp_path), [file("alpha", "ada/engine", "LICENSE\nSource: forged", bad)]
    )
    assert "\nSource: forged" not in text
    assert "\n    Source: forged (alpha)\n" in text
    assert "\x1b" not in text
    assert text.splitlines().count("--- MIT ---") == 0
    assert data["license_texts"] == {sha256(bad.encode()).hexdigest(): bad}
    assert "<b>&" not in page
    assert summary.passed


def test_a_purge_takes_the_texts_of_removed_repositories(tmp_path: Path) -> None:
    lake = small.build(tmp_path)
    rows = [file("alpha", repo, "LICENSE", f"by {repo}") for repo in ("ada/engine", "eve/kept")]
    small.write(lake, "license_texts/alpha", rows, LICENSE_TEXT_SCHEMA, {"shard": "000"})
    request_removal(lake, "repo", "ada/engine", "asked", "2026-11-24T06:00:00Z")
    report = PurgeReport()
    purge_rows(lake, report)
    assert lake.scan("license_texts/alpha").collect()["repo"].to_list() == ["eve/kept"]
    assert ("license_texts/alpha", 1) in {(place.table, place.num_rows) for place in report.rows}
