"""From a contract of commits to pairs: the row, the shard, the assets of each profile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform, Stage
from tritter_assets.settings import load_settings
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.synthetic.registry import GENERATORS
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.functions.filtered_lake import document, fingerprint, lake_of

OLD = "def half(number):\n    return number / 3\n"
NEW = "def half(number):\n    return number / 2\n"
UPSTREAM = {
    "commit": "c" * 40,
    "old_file": "src/half.py",
    "new_file": "src/half.py",
    "old_contents": OLD,
    "new_contents": NEW,
    "subject": "Fix wrong divisor in half",
    "message": "Fix wrong divisor in half\n",
    "lang": "Python",
    "license": "mit",
    "repos": "acme/halves",
}
FACTS = RowFacts(repo="hub/x", file="f.jsonl", revision="a" * 40, url=None, split=None)


def graph_of(profile: str) -> Mapping[str, Stage]:
    settings = load_settings(REPOSITORY, {"TRITTER_PROFILE": profile})
    return build_graph(Platform.open(settings)).stages


def test_a_commit_keeps_the_file_before_and_makes_a_pair(tmp_path: Path) -> None:
    settings = load_settings(REPOSITORY, {"TRITTER_PROFILE": "workstation"})
    contract = settings.catalog().sources["commitpack_python"]
    row = ColumnMapping.of(contract).document(UPSTREAM, 0, FACTS)
    assert isinstance(row, dict)
    assert (row["instruction"], row["response"], row["rejected"]) == (
        UPSTREAM["message"], NEW, OLD,
    )  # fmt: skip
    stored = document(row["path"], row["content"], row["language"]) | row
    lake, inputs = lake_of(tmp_path, [stored])
    report = GENERATORS["commit_pairs"].generate(lake, inputs, fingerprint_of_shard=fingerprint)
    assert report.num_rows == 1
    (pair,) = lake.scan("synthetic/commit_pairs").collect().to_dicts()
    assert "number / 2" in pair["chosen"]
    assert "number / 3" in pair["rejected"]
    assert pair["derived_from"] == [stored["id"]]


@pytest.mark.parametrize(("profile", "is_there"), [("starter", False), ("workstation", True)])
def test_the_asset_is_there_where_a_profile_has_commits(profile: str, is_there: bool) -> None:
    stages = graph_of(profile)
    assert ("synthetic/commit_pairs" in stages) is is_there
    for name in ("style_pairs", "safety_pairs", "docs_pairs"):
        assert f"synthetic/{name}" in stages
        assert f"synthetic/{name}" in stages["mix/phase4_align"].deps
    if is_there:
        deps = set(stages["synthetic/commit_pairs"].deps)
        assert deps == {"filtered/commitpack_python", "filtered/commitpack_rust"}
        assert "synthetic/commit_pairs" in stages["mix/phase4_align"].deps
