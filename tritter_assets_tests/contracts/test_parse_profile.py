from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.contracts.parse_profile import parse_profile
from tritter_assets.contracts.yaml_file import ContractProblems

STARTER = Path(__file__).parents[2] / "data_contracts" / "profiles" / "starter.yaml"


def test_units_and_recipes() -> None:
    profile = parse_profile(STARTER)
    assert profile.memory_limit_bytes == 2048 * 1024 * 1024
    assert profile.contexts["phase1_base"] == (256,)
    assert profile.training["phase4_align"].dpo_beta == 0.1
    assert profile.training["phase1_base"].hidden_size == 128


@pytest.mark.parametrize(
    ("old", "new", "field", "fix"),
    [
        ("name: starter", "name: begin", "name", "starter"),
        ("workers: 2", "worker: 2", "worker", "workers"),
        ("workers: 2", "workers: 0", "workers", "1"),
        ("engine: local", "engine: lokal", "engine", "local"),
        ("near_threshold: 0.7", "near_threshold: 7", "near_threshold", "0.7"),
        (
            "semantic_enabled: false",
            "semantic_epsilon: 1.5",
            "semantic_epsilon",
            "0 or more, below 1",
        ),
        ("semantic_enabled: false", "semantic_epsilon: lots", "semantic_epsilon", "a number"),
        (
            "semantic_enabled: false",
            "semantic_embedding: lexicl",
            "semantic_embedding",
            "lexical",
        ),
        (
            "semantic_enabled: false",
            "semantic_embedding: codebert",
            "semantic_embedding",
            "./models/codebert",
        ),
        ("semantic_enabled: false", "semantic_enabled: perhaps", "semantic_enabled", "true"),
        ("phase1_base: [256]", "phase1_bas: [256]", "contexts", "phase1_base"),
        ("phase1_base: [256]", "phase1_base: [x]", "contexts", "tokens"),
        ("num_heads: 4", "num_heads: 5", "architecture.num_heads", "divisor"),
        ("steps: 240", "step: 240", "training.phase1_base.step", "steps"),
        ("phase1_base: 3_000_000", "phase1_base: many", "mix_tokens", "number"),
    ],
)
def test_problem(tmp_path: Path, old: str, new: str, field: str, fix: str) -> None:
    path = tmp_path / "starter.yaml"
    text = STARTER.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ContractProblems) as caught:
        parse_profile(path)
    found = {p.field: p.fix for p in caught.value.problems}
    assert fix in found[field]


@pytest.mark.parametrize("name", ["starter", "workstation", "cluster"])
def test_semantic_deduplication_is_off_unless_asked_for(name: str) -> None:
    assert not parse_profile(STARTER.with_name(f"{name}.yaml")).semantic_enabled
