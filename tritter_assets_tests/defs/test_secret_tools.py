"""The check that other scanners agree: declared where the policy names one, never blocking."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tritter_assets.defs.secret_tools import secret_tools_checks
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.verdict import VERDICT_SCHEMA
from tritter_assets_tests.filters.documents import document

TOOL = """
import json, sys
from pathlib import Path
report = [
    {"File": str(file), "StartLine": 1, "RuleID": "odd"} for file in Path(sys.argv[2]).iterdir()
] if sys.argv[1] == "dir" else []
Path("report.json").write_text(json.dumps(report))
"""


@pytest.fixture
def platform(tmp_path) -> Any:
    lake = Lake.at(tmp_path / "lake")
    rows = [document(f"x = {number}\n", f"{number}.py") for number in range(3)]
    columns = {name: [row.get(name) for row in rows] for name in DOCUMENT_SCHEMA.names}
    partition = {"shard": "000"}
    raw = pa.table(columns, schema=DOCUMENT_SCHEMA).sort_by("id")
    lake.write("raw/demo", raw, DOCUMENT_SCHEMA, fingerprint="1" * 15, partition=partition)
    verdicts = pa.Table.from_pylist(
        [
            {
                "id": row["id"], "source": "demo", "shard": "000", "stage": "opt_out",
                "stage_number": 13, "action": "drop" if number == 0 else "keep",
                "reason": "opted_out" if number == 0 else "passed", "terminal": True,
                "score": None, "evidence": "", "spans": [], "stage_version": "1",
            }
            for number, row in enumerate(rows)
        ],
        schema=VERDICT_SCHEMA,
    ).sort_by("id")  # fmt: skip
    lake.write("verdicts/demo", verdicts, VERDICT_SCHEMA, fingerprint="2" * 15, partition=partition)
    (tmp_path / "policy").mkdir()
    return SimpleNamespace(lake=lake, catalog=SimpleNamespace(root=tmp_path))


def name_tool(platform: Any, program: str) -> None:
    (platform.catalog.root / "policy" / "secret_tools.yaml").write_text(
        f"tools: {{gitleaks: {program}}}\ndocuments_per_shard: 10\nseed: 1\ntimeout_s: 60\n"
    )


def test_no_tool_no_check(platform):
    assert secret_tools_checks("demo", platform) == ()


def test_what_only_the_tool_finds_warns(platform, tmp_path):
    tool = tmp_path / "gitleaks"
    tool.write_text(f"#!{sys.executable}\n{TOOL}")
    tool.chmod(0o755)
    name_tool(platform, str(tool))
    (check,) = secret_tools_checks("demo", platform)
    outcome = check.evaluate(platform, ["000"])
    assert not check.blocking
    assert not outcome.passed
    assert outcome.warns_only
    # Dropped documents are not looked at.
    assert outcome.facts["gitleaks"]["documents"] == 2
    assert outcome.facts["gitleaks"]["lines of the tool alone"] == {"odd": 2}


def test_an_absent_tool_is_shown_and_stops_nothing(platform):
    name_tool(platform, "/no/such/gitleaks")
    (check,) = secret_tools_checks("demo", platform)
    outcome = check.evaluate(platform, ["000"])
    assert outcome.passed
    assert outcome.facts["gitleaks"] == "not run: /no/such/gitleaks not found"
