from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.cli import main
from tritter_assets_tests.lineage import small_lake as small

MIT = (small.CONTRACTS / "policy" / "license_texts" / "MIT.txt").read_text()
CODE = "\n".join(f"def f{n}(x):\n    # adds {n}\n    return x + {n}" for n in range(40)) + "\n"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status = main([*words, "--json", "--project", str(small.CONTRACTS.parent)])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


@pytest.fixture
def lake(tmp_path: Path) -> str:
    small.build(tmp_path / "lake")
    return str(tmp_path / "lake")


def test_loading_the_command_line_imports_no_room() -> None:
    code = (
        "import sys, tritter_assets.cli as c; c.build_parser();"
        "print([m for m in ('polars', 'pyarrow', 'dagster', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"


def test_license_of_a_folder_and_of_an_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pkg-1.0"
    (folder / "vendor").mkdir(parents=True)
    (folder / "LICENSE").write_text(MIT)
    (folder / "a.py").write_text(CODE)
    (folder / "vendor" / "b.py").write_text("# SPDX-License-Identifier: GPL-3.0-only\n" + CODE)
    archive = tmp_path / "pkg-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "pkg-1.0")
    for path in (folder, archive):
        status, found = run(capsys, "license", str(path))
        assert status == 0
        by_path = {row["path"]: row for row in found["files"]}
        assert by_path["a.py"]["license_concluded"] == "MIT"
        assert by_path["a.py"]["license_evidence"]
        gpl = by_path["vendor/b.py"]
        assert (gpl["license_concluded"], gpl["action"]) == ("GPL-3.0-only", "drop")
    status, found = run(capsys, "license", str(folder / "LICENSE"))
    assert found["files"][0]["license_concluded"] == "MIT"


def test_a_hostile_archive_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "bad.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../../evil.py")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    assert main(["license", str(archive)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("tritter license: ")
    assert captured.err.count("\n") == 1


def test_inspect_runs_the_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame({"id": ["a", "b"], "path": ["a.py", "b.py"], "content": [CODE, "x = 1\n"]})
    rows.write_parquet(tmp_path / "x.parquet")
    status, found = run(capsys, "inspect", str(tmp_path / "x.parquet"))
    assert status == 0
    assert (found["num_documents"], found["num_kept"]) == (2, 1)
    assert found["asked_licenses"] is False
    reasons = {row["path"]: row["reason"] for row in found["verdicts"] if row["terminal"]}
    assert reasons == {"a.py": "passed", "b.py": "too_few_lines"}
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "y.parquet")
    assert main(["inspect", str(tmp_path / "y.parquet")]) == 2


def test_dedup_of_a_parquet_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pl.DataFrame({"id": ["a", "b", "c"], "content": [CODE, CODE, "unlike " * 60]})
    rows.write_parquet(tmp_path / "x.parquet")
    status, found = run(capsys, "dedup", str(tmp_path / "x.parquet"))
    assert (status, found["documents"], found["dropped"]) == (0, 3, 1)
    assert [row["id"] for row in found["clusters_rows"]] == ["a", "b"]
    assert found["pairs_rows"] == [{"id_a": "a", "id_b": "b", "jaccard": 1.0}]
    assert main(["dedup", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "the least similar first" in shown
    assert "3 documents" in shown
    rows.head(1).write_parquet(tmp_path / "x.parquet")
    status, found = run(capsys, "dedup", str(tmp_path / "x.parquet"))
    assert (status, found["clusters_rows"], found["pairs_rows"]) == (0, [], [])
    assert main(["dedup", str(tmp_path / "y.parquet")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_audit_fails_closed_and_diff_is_not_a_check(
    lake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The project's catalogue does not know this lake's two sources.
    status, found = run(capsys, "audit", "--lake", lake)
    assert status == 1
    assert not found["passed"]
    status, found = run(capsys, "audit", "--diff", "use_profile=strict", "--lake", lake)
    assert status == 0
    assert found["after"] == "strict"
    policy = str(small.CONTRACTS / "policy")
    status, found = run(capsys, "audit", "--diff", f"policy={policy}", "--lake", lake)
    assert found["changes"] == []
    assert main(["audit", "--diff", "nonsense", "--lake", lake]) == 2


def test_explain_and_funnel(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = run(capsys, "explain", small.KEPT["id"], "--lake", lake)
    assert (status, found["document"]["repo"]) == (0, "ada/engine")
    assert main(["explain", small.KEPT["id"], "--lake", lake]) == 0
    assert "verdicts" in capsys.readouterr().out
    assert main(["explain", "nonsense", "--lake", lake]) == 2
    capsys.readouterr()
    status, found = run(capsys, "funnel", "--lake", lake)
    assert (status, found["steps"][0]["left"]) == (0, 5)


def test_forget_previews_records_and_lists(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("forget", "--repo", "ada/engine", "--lake", lake)
    status, preview = run(capsys, *asked, "--dry-run")
    assert (status, preview["documents"]["named"]) == (0, 1)
    assert preview["documents"]["derived"] >= 1  # the function cut out of it
    assert run(capsys, "forget", "--lake", lake) == (0, [])
    assert main(list(asked)) == 2  # a reason is needed
    capsys.readouterr()
    status, made = run(capsys, *asked, "--reason", "the owner asked")
    assert (status, made["is_new"]) == (0, True)
    assert {"filtered/alpha", "mix/phase1_base"} <= {p["table"] for p in made["locations"]}
    assert [mark["asset"] for mark in made["checkpoints"]] == ["model/phase1_base"]
    _, listed = run(capsys, "forget", "--lake", lake)
    assert "the owner asked" in {row["reason"] for row in listed}


def test_tables_are_readable_without_json(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["funnel", "--lake", lake]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["source", "raw"]
    assert len({len(line) for line in lines}) == 1
