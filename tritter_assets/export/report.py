"""What every export reports: its files, its size, and the numbers that say it is the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitParity:
    """How far the logits of two models are apart on the same tokens."""

    max_abs_error: float
    """Largest difference of a logit."""
    argmax_agreement: float
    """Share of positions whose most likely token is the same."""
    mean_kl_nats: float
    """Mean Kullback-Leibler divergence from the reference's next-token distribution."""
    num_positions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """Counts and quality of one export; becomes asset metadata."""

    table: str
    model_table: str
    quantization: str
    files: Mapping[str, int]
    """File name to bytes."""
    ternary_parameters: int
    bits_per_ternary_weight: float
    heldout_loss_masters: float | None
    """Mean nats per token of the trained model; None when its packed table is gone."""
    heldout_loss_exported: float | None
    parity: Mapping[str, LogitParity]
    """Runtime to parity with the trained model."""
    warnings: tuple[str, ...] = ()
    data_version: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
