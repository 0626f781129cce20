from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tritter_assets.cli import WRONG, main
from tritter_assets_tests.corpus import REPOSITORY


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["sources", *words, "--project", str(REPOSITORY)])
    out, err = capsys.readouterr()
    return status, out, err


def test_every_contract_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    by_name = {line[0]: line for line in lines if line}
    assert by_name["stack_edu_rust"][1:5] == ["hub+swh", "no", "1", "loads"]
    assert by_name["big_clone_bench"][4] == "refused"
    assert by_name["multilang_code_parser"][4] == "research"
    assert by_name["tokenizers"][1:3] == ["sdist", "yes"]
    number = sum(
        path.suffix == ".yaml" for path in (REPOSITORY / "data_contracts/sources").iterdir()
    )
    assert out.splitlines()[-1].startswith(f"{number} contracts: ")


def test_json_holds_claim_and_finding(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "docvqa", "--json")
    assert status == 0
    (row,) = json.loads(out)
    assert row["claimed"] == "Apache-2.0"
    assert row["found"].startswith("Has no train split")
    assert row["columns"]["instruction"] == "question"


def test_one_contract_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "code_alpaca_20k")
    assert status == 0
    assert "refused by: OpenAI terms of use" in out
    assert "status: refused" in out


def test_an_unknown_contract_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys, "docvqaa")
    assert (status, out) == (WRONG, "")
    assert "did you mean 'docvqa'?" in err


def test_a_project_without_a_coverage_table_has_its_sources(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contracts = tmp_path / "data_contracts"
    shutil.copytree(REPOSITORY / "data_contracts", contracts)
    (contracts / "coverage.yaml").unlink()
    assert main(["sources", "tokenizers", "--json", "--project", str(tmp_path)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["contract"], row["named"], row["status"]) == ("tokenizers", "", "")
