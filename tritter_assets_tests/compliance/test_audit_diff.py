"""What an edit of each policy file would do, seen on stored rows before anything is rebuilt."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.commands.audit import _policy_folder
from tritter_assets.compliance.audit_diff import AuditDiff, audit_diff
from tritter_assets.contracts.policy import load_policy
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.sources.upstream import MAIN, Observation, UpstreamFacts, record
from tritter_assets_tests.contracts.edited_policy import DECISION, FOLDER, TODAY, Edit, edited
from tritter_assets_tests.lineage import small_lake as small

SHARD = {"shard": "000"}
full_catalog = functools.cache(small.full_catalog)


def said(method: str, value: str, confidence: float = 0.9) -> dict[str, Any]:
    return {"method": method, "value": value, "where": "row", "confidence": confidence}


def unread(path: str, *statements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A row of `alpha` from which nothing could be concluded."""
    return small.row(
        "alpha", "fay/words", path, f"x = {path!r}\n" * 9,
        **{
            "license_declared": "NOASSERTION", "license_concluded": "NOASSERTION",
            "license_method": "none", "license_confidence": 0.0,
            "license_evidence": json.dumps(list(statements)),
        } | fields,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    lake = small.build(root)
    rows = [
        small.KEPT,
        small.GPL,
        unread("one.py", said("declared_column", "Our  Own Terms")),
        unread("two.py", said("declared_column", "our own terms"), said("spdx_header", "x")),
        unread("three.py", said("package_metadata", "something else")),
        unread(
            "four.py", said("declared_column", "Expat"), license_declared="MIT",
            license_concluded="MIT", license_method="declared_column", license_confidence=0.9,
        ),
    ]  # fmt: skip
    small.write(lake, "raw/alpha", rows, DOCUMENT_SCHEMA, SHARD)
    return root


@pytest.fixture
def lake(built: Path, tmp_path: Path) -> Lake:
    return Lake.at(shutil.copytree(built, tmp_path / "lake"))


def diff(lake: Lake, tmp_path: Path, **edits: Edit) -> AuditDiff:
    policy = load_policy(edited(tmp_path / "edited", **edits), today=TODAY)
    return audit_diff(lake, full_catalog(), policy=policy)


def told(found: AuditDiff, stage: str) -> list[tuple[Any, ...]]:
    keys = ("license_concluded", "before", "after", "after_reason", "rows")
    return [tuple(row[key] for key in keys) for row in found.changes if row["stage"] == stage]


def decide(**changes: Any) -> Callable[[Any], None]:
    return lambda data: data.update(decisions=[DECISION | changes])


def test_the_same_policy_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    found = diff(lake, tmp_path)
    assert (found.changes, found.obligations, found.uncertain, found.names) == ([], [], [], ())
    stages = [row["stage"] for row in found.totals]
    assert stages == ["raw", "filtered", "functions", "synthetic", "mix", "packed", "checkpoint"]


def test_another_profile(lake: Lake) -> None:
    weak = small.OTHER | {"license_method": "wrapper", "license_confidence": 0.6}
    small.write(lake, "filtered/beta", [small.NEAR, small.EXACT, weak], DOCUMENT_SCHEMA, SHARD)
    found = audit_diff(lake, full_catalog(), use_profile="strict")
    mix = next(row for row in found.totals if row["stage"] == "mix")
    assert (mix["rows"], mix["rows_lost"], mix["tokens_lost"]) == (3, 1, 80)
    assert told(found, "mix") == [("Apache-2.0", "keep", "quarantine", "license_unknown", 1)]
    with pytest.raises(ContractViolation, match="use one of"):
        audit_diff(lake, full_catalog(), use_profile="generous")


def test_an_edit_of_the_categories(lake: Lake, tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data["categories"]["permissive"]["licenses"].remove("Apache-2.0")
        data["categories"]["non_commercial"]["licenses"].append("Apache-2.0")

    found = diff(lake, tmp_path, categories=edit)
    lost = ("Apache-2.0", "keep", "drop", "license_not_admitted", 1)
    for stage in ("raw", "filtered", "mix", "packed", "checkpoint"):
        assert told(found, stage) == [lost], stage
    packed = next(row for row in found.totals if row["stage"] == "packed")
    assert (packed["tokens_lost"], packed["tokens_gained"]) == (56, 0)
    owed = {(row["stage"], row["obligation"]): row for row in found.obligations}
    assert owed["packed", "patent"]["tokens_before"] == 56
    assert owed["packed", "patent"]["tokens_after"] == 0


def test_an_edit_of_the_generators(lake: Lake, tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data["generators"]["rule_based"]["class"] = "closed_api"

    found = diff(lake, tmp_path, generators=edit)
    assert told(found, "synthetic") == [("MIT", "keep", "drop", "generator_not_admitted", 1)]
    assert told(found, "raw") == []


def test_an_edit_of_the_access_terms(lake: Lake, tmp_path: Path) -> None:
    found = diff(
        lake, tmp_path,
        access_terms=lambda data: data["access_terms"]["none"].update(needs_acceptance=True),
    )  # fmt: skip
    assert {row["after_reason"] for row in found.changes} == {"access_not_agreed"}
    mix = next(row for row in found.totals if row["stage"] == "mix")
    assert mix["rows_lost"] == mix["rows"] == 3


def test_an_edit_of_the_use_profiles(lake: Lake, tmp_path: Path) -> None:
    found = diff(
        lake, tmp_path,
        use_profiles=lambda data: data["use_profiles"]["brief"]["admit_categories"].append(
            "copyleft"
        ),
    )  # fmt: skip
    assert told(found, "raw") == [("GPL-3.0-only", "drop", "keep", "passed", 1)]
    raw = next(row for row in found.totals if row["stage"] == "raw")
    assert (raw["rows_gained"], raw["rows_lost"]) == (1, 0)


def test_a_decision(lake: Lake, tmp_path: Path) -> None:
    found = diff(lake, tmp_path, decisions=decide(subject="GPL-3.0-only"))
    assert told(found, "raw") == [("GPL-3.0-only", "drop", "keep", "passed", 1)]
    found = diff(lake, tmp_path, decisions=decide(kind="refuse_license", subject="Apache-2.0"))
    assert told(found, "mix") == [("Apache-2.0", "keep", "drop", "license_not_admitted", 1)]


def test_an_edit_of_the_obligations(lake: Lake, tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data["by_license"]["MIT"] = ["attribution", "notice_text", "state_changes"]

    found = diff(lake, tmp_path, obligations=edit)
    assert found.changes == []
    mix = [row for row in found.obligations if row["stage"] == "mix"]
    assert [(row["obligation"], row["rows_before"], row["rows_after"]) for row in mix] == [
        ("state_changes", 1, 3)
    ]


def test_a_signed_name_is_read_from_stored_evidence(lake: Lake, tmp_path: Path) -> None:
    subject = "free_text: our own terms = MIT"
    found = diff(
        lake, tmp_path,
        aliases=lambda data: data["free_text"].update({"our own terms": "MIT"}),
        decisions=decide(kind="admit_name", subject=subject, use_profiles=["strict"]),
    )  # fmt: skip
    assert found.names == ("our own terms",)
    assert told(found, "raw") == [("NOASSERTION", "quarantine", "keep", "passed", 1)]
    assert [row["license_after"] for row in found.changes] == ["MIT"]
    # Its header says something that nobody can read: only ingesting tells.
    assert [(row["license_concluded"], row["rows"]) for row in found.uncertain] == [
        ("NOASSERTION", 1)
    ]


def test_a_name_that_is_taken_back(lake: Lake, tmp_path: Path) -> None:
    subject = "free_text: expat = NOASSERTION"
    found = diff(
        lake, tmp_path,
        aliases=lambda data: data["free_text"].update({"expat": "NOASSERTION"}),
        decisions=decide(kind="admit_name", subject=subject, use_profiles=["strict"]),
    )  # fmt: skip
    assert found.names == ("expat",)
    assert told(found, "raw") == [("MIT", "keep", "quarantine", "license_unknown", 1)]
    assert [row["license_after"] for row in found.changes] == ["NOASSERTION"]


def test_an_unsigned_name_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    found = diff(
        lake, tmp_path, aliases=lambda data: data["free_text"].update({"our own terms": "MIT"})
    )
    assert (found.changes, found.names) == ([], ())


def test_an_opt_out(lake: Lake, tmp_path: Path) -> None:
    found = diff(lake, tmp_path, opt_out=lambda data: data.update(owner=["DORA"]))
    for stage in ("raw", "filtered", "mix", "packed", "checkpoint"):
        assert told(found, stage) == [("Apache-2.0", "keep", "drop", "opted_out", 1)], stage


def test_a_decision_on_upstream_frees_its_source(lake: Lake, tmp_path: Path) -> None:
    facts = UpstreamFacts(revision="1", license_tag="mit", gate="none")
    record(lake, "beta", "1", Observation("1", "2026-11-01T00:00:00Z", facts))
    moved = dataclasses.replace(facts, license_tag="cc-by-4.0")
    record(lake, "beta", MAIN, Observation(MAIN, "2026-11-02T00:00:00Z", moved))
    from tritter_assets.sources.drift import blocked_sources

    (why,) = blocked_sources(lake, full_catalog()).values()
    subject = why.rsplit(" ", 1)[1]
    found = diff(lake, tmp_path, decisions=decide(kind="accept_upstream", subject=subject))
    assert told(found, "mix") == [("Apache-2.0", "quarantine", "keep", "passed", 1)]


def test_an_empty_lake(tmp_path: Path) -> None:
    found = audit_diff(Lake.at(tmp_path / "empty"), full_catalog())
    assert (found.changes, found.totals, found.obligations) == ([], [], [])


def test_a_wrong_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractViolation, match="there is no such folder"):
        _policy_folder(str(tmp_path / "nowhere"))
    with pytest.raises(ContractViolation, match="give that"):
        _policy_folder(str(FOLDER.parent))
    assert _policy_folder(str(FOLDER)) == FOLDER
