from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.compliance.funnel import SourceFunnel, measure_funnel, write_funnel
from tritter_assets.compliance.retention import measure_retention
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.verdict import Stage
from tritter_assets_tests.lineage import small_lake as small


def test_every_document_is_accounted_for(tmp_path: Path) -> None:
    funnel = measure_funnel(small.build(tmp_path))
    assert funnel.problems == ()
    rows = {row["source"]: row for row in funnel.table()}
    assert rows["alpha"] == {
        "source": "alpha",
        "raw": 2,
        "license": -1,
        "filtered": 1,
        "exact_duplicate": 0,
        "near_duplicate": 0,
        "survivors": 1,
        "phase1_base_tokens": 340,
    }
    assert rows["beta"]["survivors"] == 1
    assert rows["(all)"]["survivors"] == 2
    assert funnel.total.steps()[0] == ("raw", 5)
    assert funnel.total.steps()[-1] == ("15 semantic_duplicate", 2)
    refused = [row for row in funnel.reasons if row["reason"] == "license_not_admitted"]
    assert [(row["source"], row["stage"], row["documents"]) for row in refused] == [
        ("alpha", "license", 1)
    ]


def test_a_document_without_verdict_fails_the_report(tmp_path: Path) -> None:
    lake = small.build(tmp_path)
    extra = small.row("alpha", "x/y", "z.py", "print()")
    rows = [small.KEPT, small.GPL, extra]
    small.write(lake, "raw/alpha", rows, DOCUMENT_SCHEMA, {"shard": "000"})
    summary = write_funnel(lake, catalog=small.full_catalog(), fingerprint=small.FINGERPRINT)
    assert not summary.passed
    assert "materialise 'verdicts/alpha' again" in summary.problems[0]


@pytest.mark.parametrize(
    ("removed", "group", "entered", "kept", "status"),
    [
        ({Stage.LICENSE: 600}, "license", 1000, 400, "inside"),
        ({Stage.LICENSE: 100}, "license", 1000, 900, "above"),
        ({Stage.LICENSE: 600, Stage.LENGTH: 60}, "basic", 400, 340, "inside"),
        ({Stage.LENGTH: 60, Stage.LICENSE: 600}, "license", 1000, 400, "inside"),
        ({Stage.EXACT_DUPLICATE: 300}, "exact", 1000, 700, "below"),
        ({Stage.PII: 500}, "safety", 1000, 500, "no band"),
        ({Stage.LICENSE: 600, Stage.NEAR_DUPLICATE: 200}, "overall", 1000, 200, "inside"),
    ],
)
def test_retention_of_groups(
    removed: dict[Stage, int], group: str, entered: int, kept: int, status: str
) -> None:
    line = SourceFunnel(
        source="x", raw=1000, removed=removed, filtered=0, survivors=0, mix_rows={}, mix_tokens={}
    )
    found = next(r for r in measure_retention([line]) if r.group == group)
    assert (found.entered, found.kept, found.status) == (entered, kept, status)


def test_nothing_entered_is_no_rate(tmp_path: Path) -> None:
    funnel = measure_funnel(Lake.at(tmp_path))
    assert {r.status for r in measure_retention([funnel.total])} == {"no band"}
