"""Who wrote the parents binds what is made of them, through any number of generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.contracts.policy import load_policy
from tritter_assets.functions.inherit import made_by_rule
from tritter_assets.functions.interop_parents import joint_parent

POLICY = load_policy(Path(__file__).parents[2] / "data_contracts" / "policy")
WRITERS = st.sampled_from([*sorted(POLICY.generators), "a model nobody lists"])


def _row(number: int, generator: str) -> dict[str, Any]:
    return {
        "id": f"{number:032x}", "generator": generator, "access_terms": "none",
        "license_concluded": "MIT", "license_wrapper": "NONE", "license_declared": "MIT",
        "license_confidence": 0.9, "attribution": None, "author_emails": None,
        "quality_score": None, "derived_from": None,
    }  # fmt: skip


@given(
    st.lists(WRITERS, min_size=1, max_size=5),
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), max_size=8),
)
def test_generator_taint_is_transitive_and_order_free(
    writers: list[str], families: list[list[int]]
) -> None:
    rows = [_row(number, writer) for number, writer in enumerate(writers)]
    behind: dict[str, set[str]] = {row["id"]: {row["generator"]} for row in rows}
    for picks in families:
        parents = [rows[pick % len(rows)] for pick in picks]
        joint, turned = joint_parent(parents), joint_parent(parents[::-1])
        assert (joint is None) == (turned is None)
        if joint is None or turned is None:
            continue
        child = _row(len(rows), made_by_rule(joint[0]))
        assert made_by_rule(turned[0]) == child["generator"]
        behind[child["id"]] = set().union(*(behind[parent["id"]] for parent in parents))
        rows.append(child)
    for row in rows:
        for profile in POLICY.use_profiles.values():
            if row["generator"] in profile.admit_generators:
                assert behind[row["id"]] <= profile.admit_generators, (row, profile.name)
