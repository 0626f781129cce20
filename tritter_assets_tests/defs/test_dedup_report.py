from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from tritter_assets.contracts.policy import load_policy
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.semantic import SemanticSettings, update_semantic_index
from tritter_assets.dedup.top_clusters import _diff, largest_clusters
from tritter_assets.defs import dedup_report as module
from tritter_assets.defs import shards as module_of_shards
from tritter_assets.defs.checks import no_source_wiped_out_check
from tritter_assets.defs.cluster_view import cluster_view
from tritter_assets.lake import Lake
from tritter_assets_tests.contracts.edited_policy import FOLDER
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

FINGERPRINT = "a" * 15
INPUTS = inputs_of([("original", "000"), ("mirror", "000"), ("mixed", "000")], {"original": 1})


def lines(seed: int, edits: tuple[int, ...] = ()) -> str:
    words = text(seed, edits).split()
    return "\n".join(" ".join(words[at : at + 6]) for at in range(0, len(words), 6))


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    lake = Lake.at(tmp_path_factory.mktemp("lake"))
    fenced = [Doc("a" * 32, lines(7) + "\n```\nx|y", path="odd|name_`x`.md")]
    original = [Doc(f"{n:032x}", lines(n)) for n in range(6)] + fenced
    copies = [Doc(f"{100 + n:032x}", lines(n), repo="copy") for n in range(5)]
    changed = [Doc("b" * 32, lines(7) + "\n````\nx|y")]
    sign(lake, "original", "000", original)
    sign(lake, "mirror", "000", [*copies, Doc("c" * 32, lines(5, (31,))), *changed])
    conflict = [Doc("e" * 32, lines(99), "MIT"), Doc("f" * 32, lines(99), "GPL-3.0-only")]
    words = lines(3).split()
    turned = [word for at in range(0, len(words), 4) for word in words[-at - 4 : len(words) - at]]
    sign(lake, "mixed", "000", [*conflict, Doc("d" * 32, " ".join(turned))])
    update_exact_index(lake, INPUTS, fingerprint=FINGERPRINT)
    update_near_index(lake, INPUTS, fingerprint=FINGERPRINT)
    settings = SemanticSettings(epsilon=0.3)
    update_semantic_index(lake, INPUTS, settings=settings, fingerprint=FINGERPRINT)
    return SimpleNamespace(lake=lake, catalog=catalog_of(epsilon=0.3))


def catalog_of(epsilon: float):
    profile = SimpleNamespace(name="starter", use_profile="brief", semantic_epsilon=epsilon)
    return SimpleNamespace(profile=profile, policy=load_policy(FOLDER))


@pytest.fixture(autouse=True)
def shards(monkeypatch) -> None:
    monkeypatch.setattr(module, "signed_shards", lambda platform: INPUTS)


def test_near_shows_sizes_losses_sources_and_a_diff(platform) -> None:
    shown = module.dedup_report(platform, "dedup/near_index")
    assert shown is not None
    assert len(re.findall(r"!\[[^]]+\]\(data:image/png;base64,", shown)) == 3
    # 17 documents: 5 copies fall and 2 are quarantined; then 2 of 10 are near another.
    assert "| exact | 58.8% | 90%-95% | below |" in shown
    assert "| near | 80.0% | 55%-70% | above |" in shown
    assert "| semantic | 87.5% | 50%-80% | above |" in shown
    assert "| mirror | 7 | -5 | -2 | 0 | 0.0% | **loses more than 90%** |" in shown
    assert "| original | 7 | 0 | 0 | 0 | 100.0% |  |" in shown


def test_the_diff_of_two_members_is_readable_and_stays_in_its_fence(platform) -> None:
    views = module.largest_clusters(platform.lake, "dedup/near_index", limit=20)
    by_member = {view.cluster_id: view for view in views}
    edited = by_member[f"{5:032x}"]
    assert edited.diff.splitlines()[0].startswith("@@")
    removed = [line for line in edited.diff.splitlines() if line.startswith("-")]
    added = [line for line in edited.diff.splitlines() if line.startswith("+")]
    assert removed == ["-w5_30 w5_31 w5_32 w5_33 w5_34 w5_35"]
    assert added == ["+w5_30 edit5_31 w5_32 w5_33 w5_34 w5_35"]
    assert edited.differ[0].startswith("original: repo/")
    assert edited.differ[1].startswith("mirror: repo/")
    odd = cluster_view(by_member["a" * 32])
    assert "odd\\|name\\_\\`x\\`.md" in odd
    fences = [line for line in odd.splitlines() if line.startswith("`````")]
    assert fences == ["`````diff", "`````"]


def test_no_document_is_quoted_when_excerpts_are_off(platform) -> None:
    shown = module.dedup_report(platform, "dedup/near_index", excerpts=False)
    assert shown is not None
    assert "```" not in shown
    assert "edit5_31" not in shown
    assert "edit5_31" in (module.dedup_report(platform, "dedup/near_index") or "")


def test_copies_have_no_diff_and_a_conflict_shows_both_licences(platform) -> None:
    views = module.largest_clusters(platform.lake, "dedup/exact_index", limit=20)
    by_member = {view.cluster_id: view for view in views}
    copies = cluster_view(by_member[f"{1:032x}"])
    assert "equal line by line" in copies
    assert "copy/" in copies
    conflict = cluster_view(by_member["e" * 32])
    assert "licences pooled: GPL-3.0-only, MIT" in conflict
    assert len(re.findall(r"\| (?:GPL-3.0-only|MIT) \| quarantine \|", conflict)) == 2


def test_semantic_shows_what_the_cosine_joined(platform) -> None:
    shown = module.dedup_report(platform, "dedup/semantic_index")
    assert shown is not None
    assert re.search(r"\| mixed: repo/d{32}\.py \| MIT \| drop \| semantic \| 0\.\d{3} \|", shown)


def test_no_index_no_report_and_no_clusters_say_so(tmp_path, monkeypatch) -> None:
    lake = Lake.at(tmp_path)
    bare = SimpleNamespace(lake=lake, catalog=catalog_of(epsilon=0.3))
    assert module.dedup_report(bare, "dedup/near_index") is None
    sign(lake, "s", "000", [Doc("1" * 32, text(1))])
    update_exact_index(lake, inputs_of([("s", "000")]), fingerprint=FINGERPRINT)
    monkeypatch.setattr(module, "signed_shards", lambda platform: inputs_of([("s", "000")]))
    shown = module.dedup_report(bare, "dedup/exact_index")
    assert shown is not None
    assert shown.endswith("No cluster: no document compared is a duplicate of another.")
    assert "| near | - | 55%-70% | not made yet |" in shown


def test_off_says_how_to_turn_it_on(tmp_path, monkeypatch) -> None:
    lake = Lake.at(tmp_path)
    bare = SimpleNamespace(lake=lake, catalog=catalog_of(epsilon=0.05))
    sign(lake, "s", "000", [Doc("1" * 32, text(1)), Doc("2" * 32, text(1))])
    inputs = inputs_of([("s", "000")])
    update_exact_index(lake, inputs, fingerprint=FINGERPRINT)
    update_semantic_index(lake, inputs, enabled=False, fingerprint=FINGERPRINT)
    monkeypatch.setattr(module, "signed_shards", lambda platform: inputs)
    shown = module.dedup_report(bare, "dedup/semantic_index")
    assert shown is not None
    assert "`semantic_enabled: true` in `data_contracts/profiles/starter.yaml`" in shown
    assert "| semantic | - | 50%-80% | off |" in (
        module.dedup_report(bare, "dedup/exact_index") or ""
    )


def test_semantic_shows_the_curve_and_the_band(platform) -> None:
    shown = module.dedup_report(platform, "dedup/semantic_index")
    assert shown is not None
    curve = platform.lake.scan("dedup/semantic_curve").collect()
    compared = curve["compared"][0]
    assert f"Measured on all {compared} documents" in shown
    share = curve.filter(epsilon=0.3)["removed"][0] / compared
    assert f"Epsilon 0.3 removes {share:.1%}, below the 20% to 50% that SemDeDup" in shown
    assert f"| **0.3** (profile) | {share:.1%} | 1 |" in shown
    assert "| 0.05 | 0.0% | 0 |" in shown


def test_conflicts_are_counted_by_the_licences_that_met(platform) -> None:
    shown = module.dedup_report(platform, "dedup/exact_index")
    assert shown is not None
    assert "| GPL-3.0-only, MIT | 1 | 2 |" in shown


def test_a_text_that_may_not_travel_is_not_quoted(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    free, bound = Doc("1" * 32, lines(1)), Doc("2" * 32, lines(1, (30,)), "C-UDA-1.0")
    sign(lake, "s", "000", [free, bound])
    update_near_index(lake, inputs_of([("s", "000")]), fingerprint=FINGERPRINT)
    (view,) = largest_clusters(lake, "dedup/near_index")
    assert (view.diff, view.withheld) == ("", "C-UDA-1.0")
    shown = cluster_view(view)
    assert "No excerpt: C-UDA-1.0 does not let the text be shown here." in shown
    assert "edit1_30" not in shown


def test_the_diff_of_huge_members_is_short_and_points_at_the_change() -> None:
    rows = [f"line {number}" for number in range(200_000)]
    other = rows.copy()
    other[150_000] = "changed"
    found = _diff("\n".join(rows), "\n".join(other)).splitlines()
    assert found[0] == "@@ -150000,3 +150000,3 @@"
    assert found[2:4] == ["-line 150000", "+changed"]
    left, right = "a=1;" * 300_000, "a=1;" * 150_000 + "b=2;" + "a=1;" * 150_000
    minified = _diff(left, right).splitlines()
    assert all(len(line) <= 120 for line in minified)
    assert minified[1].startswith("-... ")
    assert "b=2;" in minified[2]
    assert len(_diff("\n".join(rows), "\n".join(rows[::-1])).splitlines()) == 17


def test_a_source_that_vanishes_is_named_by_its_check(platform, monkeypatch) -> None:
    monkeypatch.setattr(module_of_shards, "signed_shards", lambda platform: INPUTS)
    outcome = no_source_wiped_out_check().evaluate(platform, ())
    assert not outcome.passed
    assert outcome.summary == (
        "mirror keeps 0 of 7 documents; mixed keeps 0 of 3 documents: a copy of other sources, "
        "or a fault"
    )
