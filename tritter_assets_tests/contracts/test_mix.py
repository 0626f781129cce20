from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.contracts.mix import PHASES, Unit, mix_problems, parse_mix
from tritter_assets.contracts.yaml_file import ContractProblems

MIXES = Path(__file__).parents[2] / "data_contracts" / "mixes"

BRIEF = {
    "phase1_base": [45, 20, 10, 10, 5, 8, 2],
    "phase2_domain": [30, 20, 15, 20, 10, 5],
    "phase3_instruct": [30, 35, 20, 10, 5],
    "phase4_align": [50, 30, 15, 5],
}

GOOD = """phase: phase1_base
title: Good
components:
  - name: everything
    weight: 1.0
    select: {languages: [python]}
"""


def _problems(tmp_path: Path, text: str, name: str = "phase1_base") -> list[str]:
    path = tmp_path / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractProblems) as caught:
        parse_mix(path)
    return [str(problem).replace(f"{path}:", "") for problem in caught.value.problems]


@pytest.mark.parametrize("phase", PHASES)
def test_the_mixes_are_the_tables_of_the_plan(phase: str) -> None:
    mix = parse_mix(MIXES / f"{phase}.yaml")
    assert [round(component.weight * 100) for component in mix.components] == BRIEF[phase]
    assert mix.phase == phase
    assert mix.unit is {"phase3_instruct": Unit.SAMPLES, "phase4_align": Unit.PAIRS}.get(
        phase, Unit.TOKENS
    )


def test_a_good_file_parses(tmp_path: Path) -> None:
    path = tmp_path / "phase1_base.yaml"
    path.write_text(GOOD, encoding="utf-8")
    mix = parse_mix(path)
    assert mix.components[0].select.tables == ("filtered/*",)
    assert mix.components[0].title == "everything"
    assert not mix_problems([path])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: 1.0", "weight: 0.9", "3: components: the weights add up to 0.9, not to 1"),
        ("weight: 1.0", "weight: heavy", "5: components.0.weight: 'heavy' is not a number"),
        ("languages", "langages", "6: components.0.select.langages: is not a field here"),
        ("[python]", "python", "6: components.0.select.languages: must be a list"),
        ("languages: [python]", "modalities: [video]", "'video' is not a modality"),
        ("languages: [python]", "tables: [raw/a]", "'raw/a' is not a table that a mix reads"),
        ("languages: [python]", "tables: ['synthetic/*']", "name the table"),
        ("languages: [python]", "replay_of: phase3_instruct", "does not run before"),
        ("languages: [python]", "replay_components: [a]", "stands without 'replay_of'"),
        ("phase: phase1_base", "phase: phase9", "1: phase: 'phase9' is not a phase"),
        ("phase: phase1_base", "phase: phase2_domain", "is not the file's name"),
        ("title: Good", "title: Good\nunit: bytes", "3: unit: 'bytes' is not allowed"),
        ("    select: {languages: [python]}\n", "", "has no 'select'"),
    ],
)
def test_a_problem_names_line_field_and_fix(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    found = _problems(tmp_path, GOOD.replace(old, new))
    assert any(expected in problem for problem in found), found
    assert all("Fix: " in problem for problem in found)


def test_all_problems_are_found_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("title: Good", "titel: Good").replace("1.0", "0.4")
    assert len(_problems(tmp_path, text)) >= 3


def test_names_are_unique(tmp_path: Path) -> None:
    half = GOOD.replace("1.0", "0.5")
    twice = half + half.split("components:\n")[1]
    assert any("'everything' stands twice" in problem for problem in _problems(tmp_path, twice))
