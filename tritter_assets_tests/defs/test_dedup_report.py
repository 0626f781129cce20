from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.semantic import SemanticSettings, update_semantic_index
from tritter_assets.defs import dedup_report as module
from tritter_assets.lake import Lake
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
    return SimpleNamespace(lake=lake)


@pytest.fixture(autouse=True)
def shards(monkeypatch) -> None:
    monkeypatch.setattr(module, "signed_shards", lambda platform: INPUTS)


def test_near_shows_sizes_losses_sources_and_a_diff(platform) -> None:
    shown = module.dedup_report(platform, "dedup/near_index")
    assert shown is not None
    assert len(re.findall(r"!\[[^]]+\]\(data:image/png;base64,", shown)) == 2
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
    odd = module._cluster(by_member["a" * 32])
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
    copies = module._cluster(by_member[f"{1:032x}"])
    assert "equal line by line" in copies
    assert "copy/" in copies
    conflict = module._cluster(by_member["e" * 32])
    assert "licences pooled: GPL-3.0-only, MIT" in conflict
    assert len(re.findall(r"\| (?:GPL-3.0-only|MIT) \| quarantine \|", conflict)) == 2


def test_semantic_shows_what_the_cosine_joined(platform) -> None:
    shown = module.dedup_report(platform, "dedup/semantic_index")
    assert shown is not None
    assert re.search(r"\| mixed: repo/d{32}\.py \| MIT \| drop \| semantic \| 0\.\d{3} \|", shown)


def test_no_clusters_no_report(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    bare = SimpleNamespace(lake=lake)
    assert module.dedup_report(bare, "dedup/near_index") is None
    sign(lake, "s", "000", [Doc("1" * 32, text(1))])
    update_exact_index(lake, inputs_of([("s", "000")]), fingerprint=FINGERPRINT)
    assert module.dedup_report(bare, "dedup/exact_index") is None
