"""Whether a row may be used: four axes against one use profile; the first axis to refuse says why."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.verdict import Action, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """What the policy says of one combination of licence facts."""

    action: Action
    """`keep`, `drop` or `quarantine`."""
    reason: Reason
    obligations: tuple[str, ...]
    """Sorted keys of `obligations.yaml`, over all four axes."""
    chosen: str
    """The expression under which the row is used: every OR decided."""
    warnings: tuple[str, ...] = ()


def admit(
    *,
    concluded: str,
    wrapper: str,
    access_terms: str,
    generator: str,
    method: str,
    confidence: float,
    split: str | None,
    policy: Policy,
    use_profile: str,
) -> Admission:
    """Judges one combination of licence facts."""
    raise NotImplementedError


def admit_frame(frame: pl.DataFrame, policy: Policy, use_profile: str) -> pl.DataFrame:
    """Judges every row; columns id, action, reason, obligations (list of strings), chosen."""
    raise NotImplementedError
