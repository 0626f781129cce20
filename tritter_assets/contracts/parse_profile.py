"""Parses `data_contracts/profiles/<name>.yaml`: where the lake is and how big everything is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tritter_assets.contracts.fields import FieldReader, did_you_mean
from tritter_assets.contracts.profile import Profile, TrainingRecipe
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile

PHASES = ("phase1_base", "phase2_domain", "phase3_instruct", "phase4_align")
ENGINES = ("local", "daft", "ray")
EMBEDDINGS = ("lexical", "minilm")
_ARCHITECTURE = (
    "hidden_size", "intermediate_size", "num_layers", "num_heads", "num_kv_heads", "vocab_size"
)  # fmt: skip
_MIB = 1 << 20


def parse_profile(path: Path) -> Profile:
    """Reads one profile.

    Raises:
        ContractProblems: with every problem of the file.
    """
    file = YamlFile(path)
    problems: list[ContractProblem] = []
    reader = FieldReader(file, (), file.data, problems)
    name = reader.text("name")
    if name and name != path.stem:
        reader.problem("name", f"is {name!r} in {path.name}", f"write 'name: {path.stem}'")
    threshold = reader.number("near_threshold", 0.7)
    if not 0.0 < threshold <= 1.0:
        reader.problem("near_threshold", f"is {threshold}", "write a Jaccard similarity, e.g. 0.7")
    epsilon = reader.number("semantic_epsilon", 0.05)
    if not 0.0 <= epsilon < 1.0:
        way_out = "write 1 minus the least cosine of a duplicate: 0 or more, below 1, e.g. 0.05"
        reader.problem("semantic_epsilon", f"is {epsilon:g}", way_out)
    values: dict[str, Any] = {
        "name": name,
        "lake_root": reader.text("lake_root"),
        "use_profile": reader.text("use_profile"),
        "memory_limit_bytes": reader.integer("memory_limit_mib", low=256) * _MIB,
        "workers": reader.integer("workers", low=1, high=4096),
        "engine": reader.choice("engine", ENGINES, "local"),
        "bytes_per_token": reader.number("bytes_per_token", 3.6),
        "near_threshold": threshold,
        "semantic_enabled": reader.boolean("semantic_enabled", False),
        "semantic_embedding": _embedding(reader),
        "semantic_epsilon": epsilon,
        "contexts": _contexts(reader),
        "mix_tokens": _mix_tokens(reader),
        "training": _training(reader, problems),
        "filters": reader.mapping("filters", {}),
    }
    reader.done()
    if problems:
        raise ContractProblems(sorted(problems, key=lambda problem: problem.line))
    return Profile(**values)


def _embedding(reader: FieldReader) -> str:
    name = reader.text("semantic_embedding", EMBEDDINGS[0])
    if name not in EMBEDDINGS and "/" not in name:
        reader.problem(
            "semantic_embedding",
            f"is {name!r}, neither {' nor '.join(EMBEDDINGS)} nor a path",
            f"{did_you_mean(name, EMBEDDINGS)}; or name a model's folder, e.g. ./models/{name}",
        )
    return name


def _phases(reader: FieldReader, name: str) -> dict[str, Any]:
    found = reader.mapping(name, {})
    for phase in found:
        if phase not in PHASES:
            reader.problem(name, f"{phase!r} is not a phase", did_you_mean(str(phase), PHASES))
    return {phase: value for phase, value in found.items() if phase in PHASES}


def _contexts(reader: FieldReader) -> dict[str, tuple[int, ...]]:
    contexts = {}
    for phase, lengths in _phases(reader, "contexts").items():
        good = isinstance(lengths, list) and all(
            isinstance(length, int) and length >= 16 for length in lengths
        )
        if not good:
            reader.problem("contexts", f"{phase} holds {lengths!r}", "list lengths in tokens >= 16")
        contexts[phase] = tuple(lengths) if good else ()
    return contexts


def _mix_tokens(reader: FieldReader) -> dict[str, int]:
    tokens = {}
    for phase, wanted in _phases(reader, "mix_tokens").items():
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            reader.problem("mix_tokens", f"{phase} holds {wanted!r}", "write a number of tokens")
            continue
        tokens[phase] = wanted
    return tokens


def _training(reader: FieldReader, problems: list[ContractProblem]) -> dict[str, TrainingRecipe]:
    """Joins the shared architecture with each phase's own recipe, so phases cannot disagree."""
    architecture = reader.child("architecture")
    shared = {name: architecture.integer(name, low=1) for name in _ARCHITECTURE}
    architecture.done()
    hidden, heads = shared["hidden_size"], shared["num_heads"]
    if hidden % heads:
        architecture.problem("num_heads", f"{heads} does not divide hidden_size {hidden}",
                             "choose a divisor")  # fmt: skip
    if heads % shared["num_kv_heads"]:
        architecture.problem("num_kv_heads", f"does not divide num_heads {heads}",
                             "choose a divisor")  # fmt: skip
    recipes: dict[str, TrainingRecipe] = {}
    phases = reader.child("training")
    for phase in _phases(reader, "training"):
        recipe = phases.child(phase)
        recipes[phase] = TrainingRecipe(
            **shared,
            steps=recipe.integer("steps", low=1),
            batch_sequences=recipe.integer("batch_sequences", low=1),
            learning_rate=recipe.number("learning_rate"),
            warmup_steps=recipe.integer("warmup_steps", 0),
            seed=recipe.integer("seed", 0),
            dpo_beta=recipe.number("dpo_beta", 0.1),
        )
        recipe.done()
    return recipes
