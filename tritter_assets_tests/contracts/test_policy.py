from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tritter_assets.contracts.policy import PROFILE_ORDER, STRICT_LIMITS, Policy, load_policy
from tritter_assets.contracts.policy_model import spdx_ids
from tritter_assets.contracts.strict_limits import OPEN_LICENSES
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets_tests.contracts.edited_policy import FOLDER, TODAY, Edit, edited


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
        assert spdx in spdx_ids() or spdx.startswith("LicenseRef-"), spdx
    lanes = {c.lane: set[str]() for c in policy.categories.values()}
    for category in policy.categories.values():
        lanes[category.lane] |= category.licenses
    assert lanes["open"] | lanes["share_alike"] == OPEN_LICENSES


def test_an_unlisted_licence_is_never_open() -> None:
    policy = load_policy(FOLDER, today=TODAY)
    assert policy.category_of("Watcom-1.0").lane == "closed"
    assert policy.category_of("3D-Slicer-1.0").key == "unreviewed"
    assert policy.category_of("QPL-1.0").key == "weak_copyleft"
    assert policy.category_of("no such id").key == "unknown"


def _move(data: Any, spdx: str, target: str) -> None:
    for category in data["categories"].values():
        if spdx in category["licenses"]:
            category["licenses"].remove(spdx)
    data["categories"][target]["licenses"].append(spdx)


def test_copyleft_cannot_be_called_permissive(tmp_path: Path) -> None:
    folder = edited(tmp_path, categories=lambda data: _move(data, "GPL-3.0-only", "permissive"))
    with pytest.raises(ContractProblems, match="Copyleft in the SPDX index"):
        load_policy(folder, today=TODAY)


def test_a_widened_strict_is_clipped_and_reported(tmp_path: Path) -> None:
    folder = edited(tmp_path, categories=lambda data: _move(data, "CC-BY-4.0", "permissive"))
    policy = load_policy(folder, today=TODAY)
    assert "CC-BY-4.0" not in policy.use_profiles["strict"].admit_licenses
    assert "sign a decision" in policy.problems[0].fix


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
