from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.contracts.policy import PROFILE_ORDER, Policy, load_policy
from tritter_assets.errors import ContractViolation
from tritter_assets.licensing.admit import (
    EVALUATION_SPLITS,
    Admission,
    admit,
    admit_frame,
)
from tritter_assets.record import LicenseMethod
from tritter_assets.verdict import Action, Reason
from tritter_assets_tests.licensing.conftest import POLICY_FOLDER

POLICY = load_policy(POLICY_FOLDER)
FACTS: dict[str, Any] = {
    "concluded": "MIT",
    "wrapper": "NONE",
    "access_terms": "none",
    "generator": "human",
    "method": "license_file",
    "confidence": 0.95,
    "split": None,
}
ALL_IDS = sorted({spdx for c in POLICY.categories.values() for spdx in c.licenses} | {"Watcom-1.0"})


def judge(use_profile: str = "brief", policy: Policy = POLICY, **facts: Any) -> Admission:
    return admit(policy=policy, use_profile=use_profile, **(FACTS | facts))


@pytest.mark.parametrize(
    ("facts", "strict", "brief", "research"),
    [
        ({}, "passed", "passed", "passed"),
        ({"concluded": "NOASSERTION"}, "license_unknown", "license_unknown", "license_unknown"),
        ({"concluded": "NONE"}, *["license_not_admitted"] * 3),
        ({"concluded": "nonsense"}, *["license_unknown"] * 3),
        (
            {"concluded": "GPL-3.0-only"},
            "license_not_admitted",
            "license_not_admitted",
            "passed",
        ),
        ({"concluded": "MIT AND MPL-2.0"}, *["license_not_admitted"] * 2, "passed"),
        ({"concluded": "GPL-2.0-only OR MIT"}, "passed", "passed", "passed"),
        ({"concluded": "Apache-2.0 WITH LLVM-exception"}, "passed", "passed", "passed"),
        ({"concluded": "CC-BY-4.0"}, "license_not_admitted", "passed", "passed"),
        ({"concluded": "CC-BY-SA-4.0"}, "license_not_admitted", "passed", "passed"),
        ({"concluded": "CC-BY-NC-4.0"}, *["license_not_admitted"] * 2, "passed"),
        ({"concluded": "JSON"}, *["license_not_admitted"] * 2, "passed"),
        ({"method": "wrapper", "confidence": 0.6}, "license_unknown", "passed", "passed"),
        ({"method": "none"}, *["license_unknown"] * 3),
        ({"confidence": 0.6}, "license_conflict", "passed", "passed"),
        ({"confidence": 0.4}, "license_conflict", "license_conflict", "passed"),
        ({"wrapper": "C-UDA-1.0"}, "wrapper_not_admitted", "passed", "passed"),
        ({"wrapper": "NOASSERTION"}, "wrapper_not_admitted", "passed", "passed"),
        ({"wrapper": "CC-BY-NC-4.0"}, *["wrapper_not_admitted"] * 2, "passed"),
        ({"access_terms": "stack_v2_terms"}, *["access_not_agreed"] * 3),
        ({"access_terms": "no such key"}, *["access_not_agreed"] * 3),
        ({"generator": "starcoder2"}, "generator_not_admitted", "passed", "passed"),
        ({"generator": "llama"}, *["generator_not_admitted"] * 2, "passed"),
        ({"generator": "gpt_4"}, *["generator_not_admitted"] * 3),
        ({"generator": "undisclosed"}, *["generator_unknown"] * 2, "passed"),
        ({"generator": "no such key"}, *["generator_unknown"] * 3),
        ({"split": "test"}, *["evaluation_split"] * 3),
    ],
)
def test_golden(facts: dict[str, Any], strict: str, brief: str, research: str) -> None:
    expected = dict(zip(PROFILE_ORDER, (strict, brief, research), strict=True))
    assert {name: judge(name, **facts).reason.value for name in PROFILE_ORDER} == expected


def test_a_wrapper_never_upgrades_content() -> None:
    for wrapper in ("MIT", "CC0-1.0", "ODC-By-1.0"):
        assert judge(concluded="GPL-3.0-only", wrapper=wrapper).action is Action.DROP
        assert judge(concluded="NOASSERTION", wrapper=wrapper).action is Action.QUARANTINE


def test_or_takes_what_is_admitted_then_what_is_preferred() -> None:
    assert judge(concluded="Apache-2.0 OR MIT").chosen == "MIT"
    assert judge(concluded="GPL-3.0-only OR Apache-2.0").chosen == "Apache-2.0"
    chosen = judge(concluded="(GPL-2.0-only OR BSD-3-Clause) AND MIT").chosen
    assert chosen == "BSD-3-Clause AND MIT"


def test_obligations_join_over_the_axes() -> None:
    found = judge(concluded="Apache-2.0 AND MIT", wrapper="ODC-By-1.0", generator="starcoder2")
    assert found.obligations == (
        "attribution",
        "database_right",
        "notice_text",
        "patent",
        "state_changes",
        "use_restrictions",
    )
    assert any("StarCoder2" in warning for warning in found.warnings)
    assert judge(concluded="GPL-3.0-only").obligations == ()


def test_unknown_profile() -> None:
    with pytest.raises(ContractViolation, match="choose one of"):
        judge("lax")


@pytest.mark.parametrize("split", sorted(EVALUATION_SPLITS))
def test_evaluation_splits_never_train(split: str) -> None:
    for name in PROFILE_ORDER:
        assert judge(name, split=split.upper()).reason is Reason.EVALUATION_SPLIT


@given(
    concluded=st.recursive(
        st.sampled_from(ALL_IDS),
        lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        max_leaves=4,
    ),
    wrapper=st.sampled_from(["NONE", "NOASSERTION", "MIT", "C-UDA-1.0", "CC-BY-NC-4.0"]),
    access_terms=st.sampled_from(sorted(POLICY.access_terms)),
    generator=st.sampled_from([*sorted(POLICY.generators), "no such key"]),
    method=st.sampled_from([*LicenseMethod, "nonsense"]),
    confidence=st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.75, 0.8, 0.95]),
    split=st.sampled_from([None, "train", "test"]),
)
def test_profiles_are_nested(**facts: Any) -> None:
    kept = [judge(name, **facts).action is Action.KEEP for name in PROFILE_ORDER]
    assert kept == sorted(kept), facts


def test_frames_are_judged_in_order_and_as_rows() -> None:
    frame = pl.DataFrame(
        {
            "id": ["c", "a", "b"],
            "license_concluded": ["MIT", "GPL-3.0-only", "MIT"],
            "license_wrapper": ["NONE"] * 3,
            "access_terms": ["none"] * 3,
            "generator": ["human"] * 3,
            "license_method": ["license_file"] * 3,
            "license_confidence": pl.Series([0.8, 0.95, 0.8], dtype=pl.Float32),
        }
    )
    found = admit_frame(frame, POLICY, "strict")
    assert found["id"].to_list() == ["c", "a", "b"]
    assert found["action"].to_list() == ["keep", "drop", "keep"]
    assert found["obligations"].to_list()[0] == ["attribution", "notice_text"]
    assert admit_frame(frame.clear(), POLICY, "strict").height == 0


def test_a_refusal_reaches_admission() -> None:
    brief = POLICY.use_profiles["brief"]
    refusing = replace(brief, admit_licenses=brief.admit_licenses - {"MIT"})
    policy = replace(POLICY, use_profiles={**POLICY.use_profiles, "brief": refusing})
    assert judge(policy=policy).reason is Reason.LICENSE_NOT_ADMITTED
