"""Deployment profiles: what takes part, where the lake is, and how much of the machine to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecipe:
    """A named training run of one phase. Literals here are part of the checkpoint's identity."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int
    steps: int
    batch_sequences: int
    learning_rate: float
    warmup_steps: int
    seed: int = 0
    dpo_beta: float = 0.1
    """Only read in the alignment phase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One file of `data_contracts/profiles/`."""

    name: str
    lake_root: str
    """Folder (relative to the project) or `s3://` prefix; `TRITTER_LAKE` overrides it."""
    use_profile: str
    """Key of `policy/use_profiles.yaml`: `brief`, `strict` or `research`."""
    memory_limit_bytes: int
    workers: int
    engine: str = "local"
    bytes_per_token: float = 3.6
    """Used until the tokenizer exists; the packed assets report the measured figure."""
    near_threshold: float = 0.7
    semantic_enabled: bool = False
    semantic_embedding: str = "lexical"
    """`lexical`, `minilm` (the extra `semantic`), or the folder of a sentence-transformer."""
    semantic_epsilon: float = 0.05
    """A document falls at a cosine of 1 - epsilon or more to one that stays."""
    contexts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Phase -> context lengths in tokens to pack."""
    mix_tokens: Mapping[str, int] = field(default_factory=dict)
    """Phase -> tokens wanted in this profile (samples and pairs count their tokens)."""
    training: Mapping[str, TrainingRecipe] = field(default_factory=dict)
    """Phase -> recipe; the architecture fields must agree across phases."""
    filters: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of `policy/filters.yaml`, stage -> threshold -> value."""
