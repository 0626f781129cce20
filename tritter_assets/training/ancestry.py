"""Where a checkpoint comes from: packed table, mix, tokenizer and parents, by version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.training.model import CONFIG_FILE, MASTERS_FILE
from tritter_assets.training.objective import ALIGNMENT_PHASE
from tritter_assets.training.vocabulary import (
    TOKENIZER_FILE,
    TOKENIZER_TABLE,
    Vocabulary,
    read_vocabulary,
)

PHASES = ("phase1_base", "phase2_domain", "phase3_instruct", "phase4_align")
SEEN_FILE = "seen_documents.parquet"

_LIBRARIES = ("torch", "transformers", "safetensors", "numpy")


def model_table(phase: str) -> str:
    """Returns the name of a phase's checkpoint table."""
    return f"model/{phase}"


@dataclass(frozen=True, slots=True)
class Ancestry:
    """What a run is made from, before it starts."""

    facts: dict[str, Any]
    vocabulary: Vocabulary
    parent_files: Mapping[str, Path]


def read_ancestry(
    lake: Lake, store: ArtifactStore, phase: str, packed_table: str, parent: str | None
) -> Ancestry:
    """Reads the versions of everything a phase starts from; they become its checkpoint's facts.

    Raises:
        MissingProvenance: the packed table, the tokenizer or the parent is not in the lake.
        ContractViolation: the alignment phase has no parent, or the tokenizer is not the parent's.
    """
    packed_state = lake.state(packed_table)
    if packed_state is None:
        raise MissingProvenance(f"{packed_table} is not in the lake: materialise it first")
    if not lake.exists(TOKENIZER_TABLE):
        raise MissingProvenance(
            "the lake has no tokenizer, so a checkpoint could not say what its token ids mean: "
            "materialise the asset 'tokenizer' first"
        )
    vocabulary = read_vocabulary(store.open_local(TOKENIZER_TABLE, TOKENIZER_FILE))
    mix = lake.state(f"mix/{phase}")
    facts: dict[str, Any] = {
        "phase": phase,
        "packed_table": packed_table,
        "packed_data_version": packed_state.data_version,
        "mix_table": None if mix is None else mix.table,
        "mix_data_version": None if mix is None else mix.data_version,
        "tokenizer_sha256": vocabulary.sha256,
        "parent": None,
        "parent_data_version": None,
        "ancestry": [],
        "library_versions": {name: version(name) for name in _LIBRARIES},
    }
    if parent is None:
        if phase == ALIGNMENT_PHASE:
            raise ContractViolation(f"{phase} compares a model with its parent, and none was given")
        return Ancestry(facts, vocabulary, {})
    table = parent if parent.startswith("model/") else model_table(parent)
    parent_state = lake.state(table)
    if parent_state is None:
        raise MissingProvenance(f"the parent {table} is not in the lake: materialise it first")
    parent_facts = store.facts(table)
    if parent_facts["tokenizer_sha256"] != vocabulary.sha256:
        raise ContractViolation(
            f"{table} was trained with another tokenizer "
            f"({parent_facts['tokenizer_sha256'][:12]}, now {vocabulary.sha256[:12]}): "
            "materialise it again"
        )
    facts["parent"] = table
    facts["parent_data_version"] = parent_state.data_version
    known = ("phase", "packed_table", "packed_data_version", "mix_data_version", "order", "steps")
    own = {"table": table, "data_version": parent_state.data_version}
    own |= {name: parent_facts.get(name) for name in known}
    facts["ancestry"] = [*parent_facts.get("ancestry", []), own]
    names = (MASTERS_FILE, CONFIG_FILE, SEEN_FILE)
    return Ancestry(facts, vocabulary, {name: store.open_local(table, name) for name in names})
