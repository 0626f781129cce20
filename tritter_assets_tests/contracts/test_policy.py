from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.contracts.policy import PROFILE_ORDER, STRICT_LIMITS, Policy, load_policy
from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.contracts.yaml_file import ContractProblems

FOLDER = Path(__file__).parents[2] / "data_contracts" / "policy"
TODAY = date(2026, 11, 24)
DECISION = {
    "id": "d1",
    "kind": "admit_license",
    "subject": "MPL-2.0",
    "use_profiles": ["brief"],
    "who": "Jane Doe <jane@example.org>",
    "when": date(2026, 11, 2),
    "evidence": "opinion of 2 November",
    "expires": date(2027, 11, 2),
}

Edit = Callable[[Any], None]


def edited(folder: Path, **edits: Edit) -> Path:
    """Copies the shipped policy and edits files by name."""
    target = folder / "policy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(FOLDER, target, ignore=shutil.ignore_patterns("license_texts", "malware"))
    for name, edit in edits.items():
        path = target / f"{name}.yaml"
        data = yaml.safe_load(path.read_text("utf-8"))
        edit(data)
        path.write_text(yaml.safe_dump(data), "utf-8")
    return target


def decided(folder: Path, **changes: Any) -> Policy:
    def edit(data: Any) -> None:
        data["decisions"] = [DECISION | changes]

    return load_policy(edited(folder, decisions=edit), today=TODAY)


def strict_is_within_limits(policy: Policy) -> bool:
    strict = policy.use_profiles["strict"]
    return (
        strict.admit_licenses <= STRICT_LIMITS["licenses"]
        and strict.admit_methods <= STRICT_LIMITS["methods"]
        and strict.admit_generators <= STRICT_LIMITS["generators"]
        and strict.admit_access <= STRICT_LIMITS["access"]
        and not strict.admit_unlisted_categories
        and strict.min_confidence >= 0.8
        and strict.unknown_wrapper == "quarantine"
    )


def test_the_shipped_policy_is_whole() -> None:
    policy = load_policy(FOLDER, today=TODAY)
    assert policy.problems == ()
    assert tuple(policy.use_profiles) == PROFILE_ORDER
    assert strict_is_within_limits(policy)
    listed = {spdx for category in policy.categories.values() for spdx in category.licenses}
    assert set(policy.license_obligations) <= listed
    assert set(policy.preference) <= listed
    for spdx in listed - {"NONE", "NOASSERTION"}:
        known = scancode_category(spdx) != "Unstated License" or spdx.startswith("LicenseRef-")
        assert known or spdx in ("SSLeay",), spdx


def test_an_unlisted_licence_is_never_open() -> None:
    policy = load_policy(FOLDER, today=TODAY)
    assert policy.category_of("Watcom-1.0").lane == "closed"
    assert policy.category_of("3D-Slicer-1.0").key == "unreviewed"
    assert policy.category_of("QPL-1.0").key == "weak_copyleft"
    assert policy.category_of("no such id").key == "unknown"


def test_a_live_decision_admits_in_its_profile_and_wider_ones(tmp_path: Path) -> None:
    policy = decided(tmp_path)
    admits = ["MPL-2.0" in policy.use_profiles[name].admit_licenses for name in ("strict", "brief")]
    assert admits == [False, True]
    assert policy.problems == ()
    assert policy.digest != load_policy(FOLDER, today=TODAY).digest


@pytest.mark.parametrize(
    "dates",
    [
        {"expires": date(2026, 11, 23)},
        {"when": date(2026, 11, 25)},
    ],
)
def test_an_expired_or_future_decision_is_a_problem_and_admits_nothing(
    tmp_path: Path, dates: dict[str, date]
) -> None:
    policy = decided(tmp_path, **dates)
    assert "MPL-2.0" not in policy.use_profiles["brief"].admit_licenses
    assert len(policy.problems) == 1
    assert "no longer counts" in policy.problems[0].message
    assert policy.problems[0].line > 1


def test_expiry_changes_the_digest_of_admission_only(tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data["decisions"] = [DECISION]

    folder = edited(tmp_path, decisions=edit)
    before, after = (load_policy(folder, today=day) for day in (TODAY, date(2028, 1, 1)))
    assert before.admission_digest != after.admission_digest
    assert before.conclusion_digest == after.conclusion_digest


def test_a_refusal_in_a_wide_profile_holds_in_the_narrow_ones(tmp_path: Path) -> None:
    policy = decided(tmp_path, kind="refuse_license", subject="WTFPL", use_profiles=["brief"])
    admits = ["WTFPL" in policy.use_profiles[name].admit_licenses for name in PROFILE_ORDER]
    assert admits == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "admit_everything"},
        {"who": ""},
        {"evidence": None},
        {"expires": "soon"},
        {"use_profiles": ["lax"]},
        {"use_profiles": "brief"},
        {"subject": "NOASSERTION"},
        {"kind": "accept_access", "subject": "no such terms"},
        {"kind": "admit_generator", "subject": "no such model"},
    ],
)
def test_a_wrong_decision_stops_the_policy(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ContractProblems, match=r"decisions\.yaml:\d+"):
        decided(tmp_path, **changes)


def test_a_decision_accepts_access(tmp_path: Path) -> None:
    policy = decided(tmp_path, kind="accept_access", subject="stack_v2_terms")
    assert "stack_v2_terms" in policy.use_profiles["brief"].admit_access
    assert "stack_v2_terms" not in policy.use_profiles["strict"].admit_access


def _move(data: Any, spdx: str, target: str) -> None:
    for category in data["categories"].values():
        if spdx in category["licenses"]:
            category["licenses"].remove(spdx)
    data["categories"][target]["licenses"].append(spdx)


def test_copyleft_cannot_be_called_permissive(tmp_path: Path) -> None:
    folder = edited(tmp_path, categories=lambda data: _move(data, "GPL-3.0-only", "permissive"))
    with pytest.raises(ContractProblems, match="Copyleft in the SPDX index"):
        load_policy(folder, today=TODAY)


def test_an_alias_cannot_rename_what_sounds_closed(tmp_path: Path) -> None:
    def edit(data: Any) -> None:
        data["free_text"]["gplv3"] = "MIT"

    with pytest.raises(ContractProblems, match="sounds closed"):
        load_policy(edited(tmp_path, aliases=edit), today=TODAY)


def test_a_widened_strict_is_clipped_and_reported(tmp_path: Path) -> None:
    folder = edited(tmp_path, categories=lambda data: _move(data, "CC-BY-4.0", "permissive"))
    policy = load_policy(folder, today=TODAY)
    assert "CC-BY-4.0" not in policy.use_profiles["strict"].admit_licenses
    assert "sign a decision" in policy.problems[0].fix


@settings(max_examples=40, deadline=None)
@given(
    moved=st.lists(
        st.tuples(
            st.sampled_from(["CC-BY-4.0", "C-UDA-1.0", "JSON", "CC-BY-SA-4.0", "Sleepycat"]),
            st.sampled_from(["permissive", "public_domain", "open_data"]),
        ),
        max_size=3,
    ),
    classes=st.sets(st.sampled_from(["open_rail", "closed_api", "undisclosed"])),
    human=st.sampled_from(["gpt_4", "starcoder2", "undisclosed"]),
    accepted=st.sampled_from(["stack_v2_terms", "hub_gate", "unknown"]),
    methods=st.sets(st.sampled_from(["wrapper", "none", "hearsay"])),
    categories=st.sets(st.sampled_from(["copyleft", "open_data", "unreviewed", "share_alike"])),
    confidence=st.floats(0, 1),
    wrapper=st.sampled_from(["warn", "quarantine"]),
)
def test_no_edit_of_the_policy_widens_strict(
    tmp_path_factory: pytest.TempPathFactory, **edit: Any
) -> None:
    def use_profiles(data: Any) -> None:
        strict = data["use_profiles"]["strict"]
        strict["admit_generator_classes"] += sorted(edit["classes"])
        strict["admit_methods"] += sorted(edit["methods"])
        strict["admit_categories"] += sorted(edit["categories"])
        strict["min_confidence"] = edit["confidence"]
        strict["unknown_wrapper"] = edit["wrapper"]

    def categories(data: Any) -> None:
        for spdx, target in edit["moved"]:
            _move(data, spdx, target)

    def generators(data: Any) -> None:
        data["generators"][edit["human"]]["class"] = "human"

    def access_terms(data: Any) -> None:
        data["access_terms"][edit["accepted"]]["needs_acceptance"] = False

    folder = edited(
        tmp_path_factory.getbasetemp() / "edits",
        use_profiles=use_profiles,
        categories=categories,
        generators=generators,
        access_terms=access_terms,
    )
    try:
        policy = load_policy(folder, today=TODAY)
    except ContractProblems:
        return
    assert strict_is_within_limits(policy)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("categories", lambda d: d["categories"].pop("unknown"), "no category 'unknown'"),
        ("categories", lambda d: d["categories"].update(odd=3), "is no mapping"),
        ("obligations", lambda d: d["by_category"].pop("permissive"), "'permissive' has no line"),
        ("obligations", lambda d: d["by_license"].update(MIT=["thanks"]), "'thanks' is not known"),
        ("generators", lambda d: d["generators"].update(x={"class": "?"}), r"class '\?' unknown"),
        ("use_profiles", lambda d: d["use_profiles"].pop("brief"), "missing"),
        (
            "use_profiles",
            lambda d: d["use_profiles"]["brief"].update(min_confidence="high"),
            "is no number",
        ),
        (
            "use_profiles",
            lambda d: d["use_profiles"]["brief"].update(admit_categories=["unknown"]),
            "unknown is never admitted",
        ),
        (
            "use_profiles",
            lambda d: d["use_profiles"]["brief"].update(admit_categories=["open_data"]),
            "only strict admits",
        ),
    ],
)
def test_broken_files_say_where(tmp_path: Path, name: str, edit: Edit, message: str) -> None:
    with pytest.raises(ContractProblems, match=message):
        load_policy(edited(tmp_path, **{name: edit}), today=TODAY)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    folder = edited(tmp_path)
    (folder / "decisions.yaml").unlink()
    (folder / "generators.yaml").write_text(": : :", "utf-8")
    with pytest.raises(ContractProblems) as raised:
        load_policy(folder, today=TODAY)
    assert len(raised.value.problems) == 2
