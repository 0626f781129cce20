"""What a phase minimises: next-token loss over target tokens, or DPO over preference pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from tritter_assets.errors import ContractViolation
from tritter_assets.training.loss import dpo_loss, masked_cross_entropy, token_log_probs
from tritter_assets.training.model import final_hidden, head_weight
from tritter_assets.training.sequences import HELDOUT, TRAIN, Batch, SequenceStore

if TYPE_CHECKING:
    import torch

ALIGNMENT_PHASE = "phase4_align"

MAX_HELDOUT_SEQUENCES = 64
"""Held-out rows an evaluation reads, evenly spread over their positions."""

Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The held-out rows under one state of the model."""

    loss: float
    """Mean over target tokens in nats, or mean over pairs."""
    num_sequences: int
    num_targets: int
    facts: dict[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """A phase's loss; `name` says its unit in reports."""

    name: str

    def loss(self, model: torch.nn.Module, ranks: Ranks) -> tuple[torch.Tensor, int]:
        """Returns the loss of training rows, and the tokens that went through the model."""
        ...

    def evaluate(self, model: torch.nn.Module) -> Evaluation:
        """Returns the held-out loss."""
        ...


def heldout_ranks(store: SequenceStore) -> Ranks:
    """Returns the held-out rows that evaluations read.

    Raises:
        ContractViolation: there are none, so the run could not show that it learnt anything.
    """
    count = store.num_rows(HELDOUT)
    if not count:
        raise ContractViolation(
            f"{store.path.name} holds no held-out sequences: pack more documents, or raise the "
            "held-out share"
        )
    wanted = min(count, MAX_HELDOUT_SEQUENCES)
    return (np.arange(wanted, dtype=np.int64) * count) // wanted


class CausalObjective:
    """Cross-entropy of the next token, over tokens whose loss mask is 1."""

    name = "cross_entropy_nats"

    def __init__(self, store: SequenceStore, batch_rows: int) -> None:
        self._store = store
        self._batch_rows = batch_rows
        self._heldout = heldout_ranks(store)

    def loss(self, model: torch.nn.Module, ranks: Ranks) -> tuple[torch.Tensor, int]:
        """Returns the loss of training rows, and the tokens that went through the model."""
        batch = self._store.batch(TRAIN, ranks)
        hidden, targets = target_states(model, batch)
        return masked_cross_entropy(hidden, head_weight(model), targets), batch.num_tokens

    def evaluate(self, model: torch.nn.Module) -> Evaluation:
        """Returns the held-out loss."""
        return evaluate_causal(model, self._store, self._batch_rows)


def evaluate_causal(model: torch.nn.Module, store: SequenceStore, batch_rows: int) -> Evaluation:
    """Returns the mean next-token loss over the held-out rows (of pairs, the chosen answers)."""
    import torch

    total, count = 0.0, 0
    ranks = heldout_ranks(store)
    with torch.inference_mode():
        for start in range(0, len(ranks), batch_rows):
            batch = store.batch(HELDOUT, ranks[start : start + batch_rows])
            hidden, targets = target_states(model, batch)
            log_probs = token_log_probs(hidden, head_weight(model), targets)
            total -= float(log_probs.double().sum())
            count += len(targets)
    if not count:
        raise ContractViolation(f"{store.path.name}: no held-out token counts as a target")
    return Evaluation(loss=total / count, num_sequences=len(ranks), num_targets=count)


class PreferenceObjective:
    """DPO with the parent's log-probabilities computed once, so no second model is held."""

    name = "dpo_sigmoid"

    def __init__(
        self, store: SequenceStore, batch_rows: int, beta: float, reference: Reference
    ) -> None:
        self._store = store
        self._batch_rows = batch_rows
        self._beta = beta
        self._reference = reference
        self._heldout = heldout_ranks(store)

    def loss(self, model: torch.nn.Module, ranks: Ranks) -> tuple[torch.Tensor, int]:
        """Returns the mean loss of training pairs, and the tokens that went through the model."""
        pairs = self._store.pairs(TRAIN, ranks)
        losses, _ = self._losses(model, pairs, self._reference.train[ranks])
        return losses.mean(), pairs.num_tokens

    def evaluate(self, model: torch.nn.Module) -> Evaluation:
        """Returns the held-out loss, the share of pairs ranked rightly and the mean margin."""
        import torch

        total, right, margins = 0.0, 0, 0.0
        with torch.inference_mode():
            for start in range(0, len(self._heldout), self._batch_rows):
                ranks = self._heldout[start : start + self._batch_rows]
                pairs = self._store.pairs(HELDOUT, ranks)
                losses, margin = self._losses(model, pairs, self._reference.heldout[ranks])
                total += float(losses.double().sum())
                right += int((margin > 0).sum())
                margins += float(margin.double().sum())
        count = len(self._heldout)
        facts = {"reward_accuracy": right / count, "reward_margin": margins / count}
        return Evaluation(loss=total / count, num_sequences=count, num_targets=count, facts=facts)

    def _losses(
        self, model: torch.nn.Module, pairs: Batch, reference: npt.NDArray[np.float32]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        policy = sequence_log_probs(model, pairs)
        half = len(policy) // 2
        frozen = torch.from_numpy(np.ascontiguousarray(reference.T))
        return dpo_loss((policy[:half], policy[half:]), (frozen[0], frozen[1]), self._beta)


@dataclass(frozen=True, slots=True)
class Reference:
    """The parent's summed log-probabilities of (chosen, rejected) by rank; NaN where not needed."""

    train: npt.NDArray[np.float32]
    heldout: npt.NDArray[np.float32]


def compute_reference(
    model: torch.nn.Module,
    store: SequenceStore,
    *,
    batches: Callable[[int], Ranks],
    steps: int,
    batch_rows: int,
) -> Reference:
    """Scores every pair the run will read, in the very batches it will read them in.

    The same batches because a kernel's rounding depends on a batch's shape, and one int8 rounding
    that falls the other way moves a log-probability by about 0.01: so the first step's loss is
    ln 2 exactly, as it should be.
    """
    import torch

    train = np.full((store.num_rows(TRAIN), 2), np.nan, dtype=np.float32)
    heldout = np.full((store.num_rows(HELDOUT), 2), np.nan, dtype=np.float32)

    def score(split: str, ranks: Ranks, into: npt.NDArray[np.float32]) -> None:
        missing = np.isnan(into[ranks, 0])
        if missing.any():
            scores = sequence_log_probs(model, store.pairs(split, ranks)).numpy()
            scores = scores.reshape(2, -1).T
            into[ranks[missing]] = scores[missing]

    with torch.inference_mode():
        for step in range(steps):
            score(TRAIN, batches(step), train)
        wanted = heldout_ranks(store)
        for start in range(0, len(wanted), batch_rows):
            score(HELDOUT, wanted[start : start + batch_rows], heldout)
    return Reference(train, heldout)


def sequence_log_probs(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Returns the summed log-probability of each row's target tokens, in nats."""
    import torch

    hidden, targets = target_states(model, batch)
    log_probs = token_log_probs(hidden, head_weight(model), targets)
    row = batch.is_target[:, 1:].nonzero()[:, 0]
    return torch.zeros(len(batch.tokens)).index_add(0, row, log_probs)


def target_states(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the hidden states that predict target tokens, and those tokens."""
    hidden = final_hidden(model, batch.tokens, batch.positions)
    wanted = batch.is_target[:, 1:]
    return hidden[:, :-1][wanted], batch.tokens[:, 1:][wanted]
