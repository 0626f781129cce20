"""Decisions of a person: until when they hold, and what a wrong one is told."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tritter_assets.contracts.catalog import load_catalog
from tritter_assets.contracts.policy import PROFILE_ORDER, Policy, load_policy
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets_tests.contracts.edited_policy import DECISION, FOLDER, TODAY, decided, edited


def admits(policy: Policy, spdx: str) -> list[bool]:
    return [spdx in policy.use_profiles[name].admit_licenses for name in PROFILE_ORDER]


def test_a_live_decision_admits_in_its_profile_and_wider_ones(tmp_path: Path) -> None:
    policy = decided(tmp_path)
    assert admits(policy, "MPL-2.0") == [False, True, True]
    assert policy.problems == ()
    assert policy.digest != load_policy(FOLDER, today=TODAY).digest


@pytest.mark.parametrize("days", [-1, 0, 1, 374, 375, 376])
def test_a_decision_holds_from_its_day_through_its_last(tmp_path: Path, days: int) -> None:
    day = date(2026, 11, 2) + timedelta(days=days)  # it expires after 365 days, on 2027-11-02
    folder = edited(tmp_path, decisions=lambda data: data.update(decisions=[DECISION]))
    policy = load_policy(folder, today=day)
    live = date(2026, 11, 2) <= day <= date(2027, 11, 2)
    assert ("MPL-2.0" in policy.use_profiles["brief"].admit_licenses) is live
    assert (policy.problems == ()) is live


@pytest.mark.parametrize(
    ("dates", "field", "words"),
    [
        ({"expires": date(2026, 11, 23)}, "decisions.0.expires", "expired on 2026-11-23"),
        ({"when": date(2026, 11, 25)}, "decisions.0.when", "starts on 2026-11-25, after today"),
    ],
)
def test_an_expired_or_future_decision_is_a_problem_and_admits_nothing(
    tmp_path: Path, dates: dict[str, date], field: str, words: str
) -> None:
    policy = decided(tmp_path, **dates)
    assert admits(policy, "MPL-2.0") == admits(load_policy(FOLDER, today=TODAY), "MPL-2.0")
    (problem,) = policy.problems
    assert (problem.file.name, problem.field) == ("decisions.yaml", field)
    assert words in problem.message
    assert "'MPL-2.0'" in problem.message
    assert "Jane Doe" in problem.message
    assert "admits nothing" in problem.message
    assert problem.line > 1
    assert problem.fix


def test_expiry_changes_the_digest_of_admission_only(tmp_path: Path) -> None:
    folder = edited(tmp_path, decisions=lambda data: data.update(decisions=[DECISION]))
    before, after = (load_policy(folder, today=day) for day in (TODAY, date(2028, 1, 1)))
    assert before.admission_digest != after.admission_digest
    assert before.conclusion_digest == after.conclusion_digest


def test_a_refusal_in_a_wide_profile_holds_in_the_narrow_ones(tmp_path: Path) -> None:
    policy = decided(tmp_path, kind="refuse_license", subject="WTFPL", use_profiles=["brief"])
    assert admits(policy, "WTFPL") == [False, False, True]


def test_a_decision_accepts_access(tmp_path: Path) -> None:
    policy = decided(tmp_path, kind="accept_access", subject="stack_v2_terms")
    assert "stack_v2_terms" in policy.use_profiles["brief"].admit_access
    assert "stack_v2_terms" not in policy.use_profiles["strict"].admit_access


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        *(({name: None}, name, "is missing") for name in DECISION),
        ({"who": ""}, "who", "is empty"),
        ({"kind": "admit_licence"}, "kind", "did you mean 'admit_license'"),
        ({"expires": "soon"}, "expires", "'soon', not a date"),
        ({"expires": date(2026, 11, 1)}, "expires", "before it was taken"),
        ({"expiry": date(2027, 11, 1)}, "expiry", "did you mean 'expires'"),
        ({"use_profiles": ["lax"]}, "use_profiles", "'lax'"),
        ({"use_profiles": []}, "use_profiles", "names none"),
        ({"use_profiles": "brief"}, "use_profiles", "not a list"),
        ({"subject": "NOASSERTION"}, "subject", "names no licence"),
        ({"subject": "LicenseRef-Proprietary"}, "subject", "names no licence"),
        ({"subject": "MPL-2"}, "subject", "did you mean 'MPL-2.0'"),
        ({"kind": "accept_access", "subject": "stack_terms"}, "subject", "did you mean 'stack_v"),
        ({"kind": "admit_generator", "subject": "gpt4"}, "subject", "did you mean 'gpt_4'"),
        ({"kind": "accept_upstream", "subject": "stack_edu"}, "subject", "SOURCE@DIFFERENCES"),
        ({"kind": "admit_name", "subject": "x = MIT"}, "subject", "not known"),
    ],
)
def test_a_wrong_decision_stops_the_policy(
    tmp_path: Path, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(ContractProblems) as raised:
        decided(tmp_path, **changes)
    problem = next(p for p in raised.value.problems if p.field == f"decisions.0.{field}")
    assert problem.file.name == "decisions.yaml"
    assert problem.line > 1
    assert problem.fix
    assert words in str(problem)


def test_every_wrong_field_of_every_decision_is_reported_at_once(tmp_path: Path) -> None:
    folder = edited(tmp_path)
    entries = [DECISION | {"who": None, "kind": "x"}, 7, DECISION, DECISION | {"evidence": None}]
    (folder / "decisions.yaml").write_text(yaml.safe_dump({"decisions": [*entries, DECISION]}))
    with pytest.raises(ContractProblems) as raised:
        load_policy(folder, today=TODAY)
    assert {problem.field for problem in raised.value.problems} == {
        "decisions.0.who",
        "decisions.0.kind",
        "decisions.1",
        "decisions.3.evidence",
        "decisions.4.id",
    }


def test_a_decision_on_a_source_that_no_contract_describes_is_reported(tmp_path: Path) -> None:
    root = tmp_path / "data_contracts"
    shutil.copytree(FOLDER.parent, root)
    decision = DECISION | {
        "kind": "accept_upstream",
        "subject": "stack_edu_rusty@0123456789ab",
        "expires": date.today() + timedelta(days=1),
        "when": date.today(),
    }
    (root / "policy" / "decisions.yaml").write_text(yaml.safe_dump({"decisions": [decision]}))
    (problem,) = load_catalog(root).problems["policy_decisions"]
    assert problem.field == "decisions.0.subject"
    assert "no contract is called 'stack_edu_rusty'" in problem.message
    assert "stack_edu_rust" in problem.fix
