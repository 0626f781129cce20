"""What counts as one family follows the policy, in the indexes as in admission."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.policy_model import Policy
from tritter_assets.dedup import exact, near, semantic
from tritter_assets.dedup.index import EXACT_INDEX, NEAR_INDEX, SEMANTIC_INDEX
from tritter_assets.dedup.license_family import (
    LicenseFamilies,
    LicenseFamily,
    families_of,
    index_families,
)
from tritter_assets.lake import Lake
from tritter_assets_tests.contracts.edited_policy import FOLDER, edited
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

UNREVIEWED = "LicenseRef-scancode-adi-bsd"
"""ScanCode calls it permissive; `categories.yaml` has no line for it."""
DAY = date(2026, 11, 24)


def policy_with(
    tmp_path: Path, decisions: list[dict[str, Any]], **edits: Callable[[Any], None]
) -> Policy:
    common = {"who": "Jane Doe", "when": date(2026, 1, 2), "evidence": "read"}
    whole = [
        {"id": f"d{n}", "expires": date(2027, 1, 2), **common, **decision}
        for n, decision in enumerate(decisions)
    ]
    folder = edited(tmp_path, decisions=lambda data: data.update(decisions=whole), **edits)
    return load_policy(folder, today=DAY)


def admits(spdx: str, *profiles: str, **fields: Any) -> dict[str, Any]:
    use = list(profiles or ("brief",))
    return {"kind": "admit_license", "subject": spdx, "use_profiles": use, **fields}


@pytest.fixture(scope="module")
def shipped() -> LicenseFamilies:
    return families_of(load_policy(FOLDER, today=DAY), "brief")


@pytest.mark.parametrize(
    ("expression", "family"),
    [
        ("MIT", "PERMISSIVE"),
        ("CC0-1.0", "PERMISSIVE"),
        ("CC-BY-4.0", "PERMISSIVE"),
        ("Apache-2.0 WITH LLVM-exception", "PERMISSIVE"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "COPYLEFT"),
        ("MIT OR GPL-2.0-only", "PERMISSIVE"),
        ("MIT AND GPL-3.0-or-later", "COPYLEFT"),
        ("MIT AND (Apache-2.0 OR LGPL-2.1-only)", "PERMISSIVE"),
        ("LGPL-2.1-only OR GPL-3.0-only", "WEAK_COPYLEFT"),
        ("MIT AND NOASSERTION", "UNKNOWN"),
        ("CC-BY-SA-4.0", "SHARE_ALIKE"),
        ("C-UDA-1.0", "COMPUTATIONAL"),
        ("JSON", "UNKNOWN"),
        ("EUPL-1.2", "COPYLEFT"),
        ("OFL-1.1", "WEAK_COPYLEFT"),
        ("BUSL-1.1", "UNKNOWN"),
        (UNREVIEWED, "UNKNOWN"),
        ("LicenseRef-unheard-of", "UNKNOWN"),
        ("MIT OR LicenseRef-unheard-of", "UNKNOWN"),
        ("(MIT", "UNKNOWN"),
        ("NOASSERTION", "UNKNOWN"),
        ("NONE", "UNKNOWN"),
        ("", "UNKNOWN"),
    ],
)
def test_the_policy_decides_the_family(
    shipped: LicenseFamilies, expression: str, family: str
) -> None:
    assert shipped.of(expression).name == family


def test_a_reviewed_category_outweighs_the_index(shipped: LicenseFamilies) -> None:
    assert index_families().of("JSON") is LicenseFamily.PERMISSIVE
    assert index_families().of(UNREVIEWED) is LicenseFamily.PERMISSIVE
    assert index_families().of("GPL-3.0-only") is shipped.of("GPL-3.0-only")


def test_a_signed_decision_counts_while_it_lives_and_where_it_applies(tmp_path: Path) -> None:
    signed = policy_with(tmp_path, [admits(UNREVIEWED), admits("GPL-2.0-only")])
    assert families_of(signed, "brief").of(UNREVIEWED) is LicenseFamily.PERMISSIVE
    assert families_of(signed, "strict").of(UNREVIEWED) is LicenseFamily.UNKNOWN
    assert families_of(signed, "research").of(UNREVIEWED) is LicenseFamily.PERMISSIVE
    assert families_of(signed, "brief").of("GPL-2.0-only") is LicenseFamily.COPYLEFT
    expired = policy_with(tmp_path, [admits(UNREVIEWED, expires=date(2026, 11, 23))])
    assert families_of(expired, "brief").of(UNREVIEWED) is LicenseFamily.UNKNOWN
    refused = policy_with(tmp_path, [{**admits("WTFPL"), "kind": "refuse_license"}])
    assert families_of(refused, "brief").of("WTFPL") is LicenseFamily.UNKNOWN


def test_a_category_nobody_knows_is_unknown(tmp_path: Path) -> None:
    def add(data: Any) -> None:
        data["categories"]["permissive"]["licenses"].remove("WTFPL")
        data["categories"]["house"] = {
            "rank": 3, "lane": "open", "title": "ours", "licenses": ["WTFPL"]
        }  # fmt: skip

    def oblige(data: Any) -> None:
        data["by_category"]["house"] = []

    policy = policy_with(tmp_path, [], categories=add, obligations=oblige)
    assert families_of(policy, "brief").of("WTFPL") is LicenseFamily.UNKNOWN


def test_the_digest_changes_with_families_alone(tmp_path: Path, shipped: LicenseFamilies) -> None:
    same = policy_with(tmp_path, [admits("GPL-2.0-only")])
    assert families_of(same, "brief").digest == shipped.digest
    other = policy_with(tmp_path, [admits(UNREVIEWED)])
    assert families_of(other, "brief").digest != shipped.digest


def sign_copies(lake: Lake) -> None:
    licences = ["MIT", "GPL-3.0-only", "MIT", "Apache-2.0", "MIT", UNREVIEWED]
    for n, (source, licence) in enumerate(zip("ababab", licences, strict=True)):
        seed = n // 2
        sign(lake, source, f"{n:03d}", [
            Doc(f"{n:032x}", text(seed), licence),
            Doc(f"{100 + n:032x}", text(10 + seed, (n % 2 * 30,)), licence),
        ])  # fmt: skip


INPUTS = inputs_of([("ab"[n % 2], f"{n:03d}") for n in range(6)], {"a": 1, "b": 2})


def update_all(lake: Lake, families: LicenseFamilies) -> dict[str, dict[str, Any]]:
    """Brings the indexes up to date; returns their rows: index -> id -> action."""
    made_from = families.digest[:15]
    settings = semantic.SemanticSettings(epsilon=0.5)
    exact.update_exact_index(lake, INPUTS, families=families, fingerprint=made_from)
    near.update_near_index(lake, INPUTS, families=families, fingerprint=made_from)
    semantic.update_semantic_index(
        lake, INPUTS, settings=settings, families=families, fingerprint=made_from
    )
    return {
        index: dict(lake.scan(index).select("id", "action").collect().iter_rows())
        for index in (EXACT_INDEX, NEAR_INDEX, SEMANTIC_INDEX)
    }


def test_copies_under_other_families_are_quarantined_and_a_decision_ends_it(
    tmp_path: Path, shipped: LicenseFamilies
) -> None:
    lake = Lake.at(tmp_path / "lake")
    sign_copies(lake)
    before = update_all(lake, shipped)
    for first in (0, 100):  # copies, and pairs that are near
        index = before[EXACT_INDEX if first == 0 else NEAR_INDEX]
        one, two = (index[f"{first + n:032x}"] for n in (0, 1))
        assert (one, two) == ("quarantine", "quarantine"), "GPL against MIT"
        assert (index[f"{first + 2:032x}"], index[f"{first + 3:032x}"]) == ("keep", "drop")
        assert {index[f"{first + n:032x}"] for n in (4, 5)} == {"quarantine"}, "undecided"

    signed = families_of(policy_with(tmp_path, [admits(UNREVIEWED)]), "brief")
    after = update_all(lake, signed)
    for first in (0, 100):
        index = after[EXACT_INDEX if first == 0 else NEAR_INDEX]
        assert {index[f"{first + n:032x}"] for n in (0, 1)} == {"quarantine"}
        assert (index[f"{first + 4:032x}"], index[f"{first + 5:032x}"]) == ("keep", "drop")

    batch = Lake.at(tmp_path / "batch")
    sign_copies(batch)
    assert update_all(batch, signed) == after
    # And back: a decision that expires quarantines again, although no shard has changed.
    assert update_all(lake, shipped) == before


def test_near_keeps_its_verified_pairs_when_only_families_change(
    tmp_path: Path, shipped: LicenseFamilies
) -> None:
    lake = Lake.at(tmp_path / "lake")
    sign_copies(lake)
    first = near.update_near_index(lake, INPUTS, families=shipped, fingerprint="a" * 15)
    signed = families_of(policy_with(tmp_path, [admits(UNREVIEWED)]), "brief")
    second = near.update_near_index(lake, INPUTS, families=signed, fingerprint="b" * 15)
    assert (first.num_quarantined, second.num_quarantined) == (8, 4)
    assert second.details["pairs"] == first.details["pairs"]
    assert second.details["pairs_computed"] == 0
