from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tritter_assets.contracts.mix import Mix
from tritter_assets.errors import ContractViolation, MissingProvenance, MixInfeasible
from tritter_assets.lake import Lake
from tritter_assets.mixes.build import (
    MIX_SCHEMA,
    build_mix,
    choose_rows,
    code_version,
    input_tables,
)
from tritter_assets.mixes.describe import (
    describe_mix,
    feasibility_markdown,
    to_markdown,
    to_text,
)
from tritter_assets_tests.mixes.lake_of_rows import (
    FINGERPRINT,
    catalog_of,
    code,
    document,
    mix_of,
    write_derived,
    write_filtered,
    write_indexes,
)

TWO = """
phase: phase1_base
title: Two
components:
  - {name: python_code, weight: 0.6, max_epochs: 2, when_unavailable: redistribute,
     select: {languages: [python]}}
  - {name: rust_code, weight: 0.4, max_epochs: 2, when_unavailable: redistribute,
     select: {languages: [rust]}}
"""


def _two_languages(lake: Lake, *, python: int = 60, rust: int = 60) -> None:
    write_filtered(lake, [*code("a", python), *code("b", rust, start=500, language="rust")])
    write_indexes(lake)


def test_a_mix_meets_its_weights_and_says_what_it_holds(lake: Lake, tmp_path: Path) -> None:
    _two_languages(lake)
    mix = mix_of(tmp_path, TWO)
    catalog = catalog_of({"a": (), "b": ()}, [mix], mix_tokens=2000)
    report = build_mix(lake, mix, catalog=catalog, fingerprint=FINGERPRINT)
    rows = lake.scan("mix/phase1_base").collect()
    assert rows.columns == MIX_SCHEMA.names
    assert rows["id"].is_sorted()
    assert rows["id"].n_unique() == rows.height
    taken = {line.component: line.taken_tokens for line in report.components}
    assert taken["python_code"] == pytest.approx(1200, abs=60)
    assert taken["rust_code"] == pytest.approx(800, abs=60)
    assert report.components[0].licences == {"MIT": report.components[0].taken_rows}
    assert report.components[0].obligations == {"attribution": report.components[0].taken_rows}
    assert report.feasible
    assert report.missing_tables == ()


def test_new_documents_move_only_the_edge(lake: Lake, tmp_path: Path) -> None:
    mix = mix_of(tmp_path, TWO)
    catalog = catalog_of({"a": (), "b": ()}, [mix], mix_tokens=1000)
    _two_languages(lake, python=60)
    before, _ = choose_rows(lake, mix, catalog=catalog)
    _two_languages(lake, python=66)
    after, _ = choose_rows(lake, mix, catalog=catalog)
    new = {row["id"] for row in code("a", 6, start=60)}
    old = set(before.filter(pl.col("component") == "python_code")["id"])
    now = set(after.filter(pl.col("component") == "python_code")["id"])
    # The rate fell, so some left; of the documents that were there before, none came in.
    assert now - new <= old
    assert before.filter(pl.col("component") == "rust_code").equals(
        after.filter(pl.col("component") == "rust_code")
    )


def test_a_component_without_supply_fails_when_its_file_says_so(lake: Lake, tmp_path: Path) -> None:
    write_filtered(lake, code("a", 30))
    write_indexes(lake)
    mix = mix_of(
        tmp_path,
        TWO.replace(
            "redistribute,\n     select: {languages: [rust]}",
            "fail,\n     select: {languages: [rust]}",
        ),
    )
    catalog = catalog_of({"a": ()}, [mix], mix_tokens=1000)
    with pytest.raises(MixInfeasible, match="rust_code: 400 tokens wanted, no supply"):
        build_mix(lake, mix, catalog=catalog, fingerprint=FINGERPRINT)
    assert not lake.exists("mix/phase1_base")


def test_what_a_component_lacks_goes_to_the_others_with_a_warning(
    lake: Lake, tmp_path: Path
) -> None:
    write_filtered(lake, code("a", 60))
    write_indexes(lake)
    mix = mix_of(tmp_path, TWO)
    catalog = catalog_of({"a": ()}, [mix], mix_tokens=1500)
    report = build_mix(lake, mix, catalog=catalog, fingerprint=FINGERPRINT)
    assert report.num_tokens == pytest.approx(1500, abs=60)
    assert "rust_code" in report.warnings[0]
    assert "| rust_code | 40% |" in feasibility_markdown(report.feasibility)
    assert "no supply" in feasibility_markdown(report.feasibility)


def test_a_stand_in_joins_only_when_it_is_needed(lake: Lake, tmp_path: Path) -> None:
    text = """
phase: phase1_base
title: Stand-in
components:
  - name: wanted
    weight: 1.0
    max_epochs: 1
    when_unavailable: redistribute
    select: {tags: [gold]}
    alternatives: [{tags: [silver]}]
"""
    write_filtered(lake, [*code("a", 30), *code("b", 30, start=500)])
    write_indexes(lake)
    mix = mix_of(tmp_path, text)
    for tokens, sources in ((500, {"a"}), (2600, {"a", "b"})):
        catalog = catalog_of({"a": ("gold",), "b": ("silver",)}, [mix], mix_tokens=tokens)
        rows, report = choose_rows(lake, mix, catalog=catalog)
        assert set(rows["source"]) == sources
        assert report.feasibility.components[0].stand_ins == len(sources) - 1


def test_a_row_that_two_components_want_goes_to_one(lake: Lake, tmp_path: Path) -> None:
    text = """
phase: phase1_base
title: Overlap
components:
  - {name: one, weight: 0.75, max_epochs: 1, when_unavailable: redistribute, select: {}}
  - {name: two, weight: 0.25, max_epochs: 1, when_unavailable: redistribute, select: {}}
"""
    write_filtered(lake, code("a", 300, lines=1))
    write_indexes(lake)
    mix = mix_of(tmp_path, text)
    catalog = catalog_of({"a": ()}, [mix], mix_tokens=10**6)
    rows, _ = choose_rows(lake, mix, catalog=catalog)
    assert rows["id"].n_unique() == rows.height == 300
    assert (rows["component"] == "one").mean() == pytest.approx(0.75, abs=0.08)


def test_replay_takes_only_what_the_earlier_phase_took(lake: Lake, tmp_path: Path) -> None:
    first = mix_of(tmp_path, TWO)
    text = """
phase: phase2_domain
title: Replay
components:
  - name: code_replay
    weight: 1.0
    max_epochs: 1
    when_unavailable: redistribute
    select: {replay_of: phase1_base, replay_components: [rust_code]}
"""
    second = mix_of(tmp_path, text, "phase2_domain")
    _two_languages(lake)
    catalog = catalog_of({"a": (), "b": ()}, [first, second], mix_tokens=1000)
    assert "mix/phase1_base" in input_tables(second, catalog)
    with pytest.raises(MissingProvenance, match="materialise 'mix/phase1_base'"):
        choose_rows(lake, second, catalog=catalog)
    build_mix(lake, first, catalog=catalog, fingerprint=FINGERPRINT)
    rows, _ = choose_rows(lake, second, catalog=catalog)
    earlier = lake.scan("mix/phase1_base").filter(pl.col("component") == "rust_code").collect()
    assert set(rows["id"]) == set(earlier["id"])


def test_conditions_of_a_selector(lake: Lake, tmp_path: Path) -> None:
    text = """
phase: phase1_base
title: Conditions
components:
  - name: chosen
    weight: 1.0
    max_epochs: 1
    when_unavailable: redistribute
    select:
      tables: [filtered/*, synthetic/notes]
      sources: [a*]
      exclude_languages: [rust]
      path_globs: ["**/*.py", "note"]
      exclude_path_globs: ["**/test_*.py"]
      min_quality: 0.5
      max_tokens: 50
"""
    good = document("a", "x/y.py", "good = 1\n", quality_score=0.9)
    note = document("a", "note", "a note", quality_score=0.5, derived_from=[good["id"]])
    bad = [
        document("a", "x/long.py", "good = 0\n" * 50, quality_score=0.9),
        document("a", "x/test_y.py", "good = 2\n", quality_score=0.9),
        document("a", "x/y.rs", "fn a() {}\n", quality_score=0.9),
        document("a", "x/z.py", "good = 3\n", quality_score=0.1),
        document("a", "x/v.py", "good = 4\n"),
        document("a", "x/w.py", "good = 5\n", quality_score=0.9, language="rust"),
        document("b", "x/y.py", "good = 6\n", quality_score=0.9),
    ]
    write_filtered(lake, [good, *bad])
    write_derived(lake, "synthetic/notes", [note])
    write_indexes(lake)
    mix = mix_of(tmp_path, text)
    rows, _ = choose_rows(lake, mix, catalog=catalog_of({"a": (), "b": ()}, [mix]))
    assert set(rows["id"]) == {good["id"], note["id"]}


def test_copies_that_no_index_knows_are_taken_once(lake: Lake, tmp_path: Path) -> None:
    parents = code("a", 2)
    copies = [
        document("a", f"x{number}", "def helper(): ...", derived_from=[parent["id"]])
        for number, parent in enumerate(parents)
    ]
    write_filtered(lake, parents)
    write_derived(lake, "synthetic/notes", copies)
    write_indexes(lake)
    text = TWO.replace("languages: [python]", "tables: [synthetic/notes]")
    mix = mix_of(tmp_path, text)
    rows, report = choose_rows(lake, mix, catalog=catalog_of({"a": ()}, [mix]))
    assert rows["id"].to_list() == [min(row["id"] for row in copies)]
    assert report.excluded == {"same_content": 1}


def test_shard_layout_changes_nothing(tmp_path: Path) -> None:
    mix = mix_of(tmp_path, TWO)
    catalog = catalog_of({"a": (), "b": ()}, [mix], mix_tokens=1000)
    found = []
    for name, shards in (("one", 1), ("three", 3)):
        lake = Lake.at(tmp_path / name)
        rows = [*code("a", 40), *code("b", 40, start=500, language="rust")]
        for number, row in enumerate(rows):
            row["shard"] = f"{number % shards:03d}"
        write_filtered(lake, rows)
        write_indexes(lake)
        found.append(choose_rows(lake, mix, catalog=catalog)[0].drop("shard"))
    assert found[0].equals(found[1])


def test_a_profile_without_a_budget_is_refused(lake: Lake, tmp_path: Path) -> None:
    mix = mix_of(tmp_path, TWO)
    with pytest.raises(ContractViolation, match="mix_tokens"):
        choose_rows(lake, mix, catalog=catalog_of({"a": ()}))


def test_code_version_follows_what_matters(tmp_path: Path) -> None:
    def version(mix: Mix, *, tokens: int = 10_000, policy: str = "p") -> str:
        profile = catalog_of({}, [mix], mix_tokens=tokens).profile
        return code_version(mix, profile=profile, policy_digest=policy)

    first = version(mix_of(tmp_path, TWO))
    assert version(mix_of(tmp_path, TWO.replace("title: Two", "title: Other"))) == first
    reweighted = mix_of(tmp_path, TWO.replace("0.6", "0.5").replace("0.4", "0.5"))
    assert version(reweighted) != first
    assert version(mix_of(tmp_path, TWO), tokens=7) != first
    assert version(mix_of(tmp_path, TWO), policy="q") != first


def test_a_mix_prints_itself(lake: Lake, tmp_path: Path) -> None:
    _two_languages(lake)
    mix = mix_of(tmp_path, TWO)
    catalog = catalog_of({"a": (), "b": ()}, [mix], mix_tokens=1000)
    build_mix(lake, mix, catalog=catalog, fingerprint=FINGERPRINT)
    tree = describe_mix(lake, "phase1_base")
    text = to_text(tree)
    assert text.splitlines()[0].startswith("phase1_base: ")
    assert "|- python_code: " in text
    assert "`- a: " in text
    assert "licences: MIT (" in text
    assert "obligations: attribution (" in text
    assert "| **python_code** |" in to_markdown(tree)
    assert sum(branch.tokens for branch in tree.branches) == tree.tokens
