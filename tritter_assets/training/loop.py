"""The training loop: steps, evaluations, and a state that can be left and taken up bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.contracts.profile import TrainingRecipe
from tritter_assets.errors import TrainingFailed
from tritter_assets.training.checkpoint import SavedState, newest_state, save_state
from tritter_assets.training.host_store import HostStore
from tritter_assets.training.objective import Objective
from tritter_assets.training.optimizer import AdamState, adamw_step, learning_rate_at
from tritter_assets.training.order import SequenceOrder
from tritter_assets.training.packed_linear import pack_model, repack
from tritter_assets.training.scales import pack_codes, ternary_codes, unpack_codes
from tritter_assets.training.ternary import ternary_weights

if TYPE_CHECKING:
    import torch

EVALUATIONS_PER_RUN = 6
MIN_STEPS_BETWEEN_EVALUATIONS = 30
"""An evaluation costs about as much as ten steps; short runs are evaluated less often."""
MAX_STEPS_BETWEEN_EVALUATIONS = 250

Progress = Callable[[int, dict[str, Any]], None]


@contextmanager
def deterministic_torch(num_threads: int) -> Iterator[None]:
    """Fixes what torch's CPU results depend on besides its inputs, and restores it afterwards."""
    import torch

    threads = torch.get_num_threads()
    algorithms = torch.are_deterministic_algorithms_enabled()
    # Filling fresh memory costs 1,000 calls a step and no kernel used here reads it unwritten.
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(algorithms)
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


class Weights:
    """All masters and their moments, whether a layer is packed or not."""

    def __init__(self, model: torch.nn.Module, *, packed: bool) -> None:
        self.ternary_names = list(ternary_weights(model))
        self.store = HostStore() if packed else None
        if self.store is not None:
            pack_model(model, self.store)
        self.model = model
        self._parameters = dict(sorted(model.named_parameters()))
        self._moments = {name: AdamState.zeros(p.data) for name, p in self._parameters.items()}

    def masters(self) -> dict[str, torch.Tensor]:
        """Returns every master by name, sorted."""
        found = {name: parameter.data for name, parameter in self._parameters.items()}
        if self.store is not None:
            found |= {name: entry.master for name, entry in self.store.entries.items()}
        return dict(sorted(found.items()))

    def moments(self) -> dict[str, AdamState]:
        """Returns every tensor's moments by name."""
        found = dict(self._moments)
        if self.store is not None:
            found |= {name: entry.state for name, entry in self.store.entries.items()}
        return found

    def codes(self) -> dict[str, torch.Tensor]:
        """Returns the int8 codes of every ternary matrix."""
        masters = self.masters()
        return {name: ternary_codes(masters[name])[0] for name in self.ternary_names}

    def step(self, loss: torch.Tensor, step: int, learning_rate: float) -> float:
        """Runs backward and the update; returns the norm of all gradients."""
        if self.store is not None:
            self.store.begin_step(step, learning_rate)
        loss.backward()
        squares: dict[str, float] = {}
        for name, parameter in self._parameters.items():
            grad = parameter.grad
            if grad is None:
                continue
            squares[name] = float(grad.square().sum())
            adamw_step(
                parameter.data,
                grad,
                self._moments[name],
                step=step,
                learning_rate=learning_rate,
            )
            parameter.grad = None
        if self.store is not None:
            squares |= {name: e.squared_norm for name, e in self.store.entries.items()}
        # By name, so that packed and plain runs add in the same order.
        return math.sqrt(sum(squares[name] for name in sorted(squares)))

    def tensors(self, codes: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns everything a resumed run needs, by a name that says what it is."""
        import torch

        out = {f"master/{name}": tensor for name, tensor in self.masters().items()}
        for name, state in self.moments().items():
            out |= {f"first/{name}": state.first, f"second/{name}": state.second}
        out |= {f"codes/{name}": pack_codes(tensor) for name, tensor in codes.items()}
        out["generator"] = torch.get_rng_state()
        return out

    def restore(self, saved: SavedState) -> dict[str, torch.Tensor]:
        """Copies a saved state in; returns the codes at its last evaluation."""
        import torch

        for name, master in self.masters().items():
            master.copy_(saved.tensors[f"master/{name}"])
        for name, state in self.moments().items():
            state.first.copy_(saved.tensors[f"first/{name}"])
            state.second.copy_(saved.tensors[f"second/{name}"])
        if self.store is not None:
            for entry in self.store.entries.values():
                entry.steps = saved.step
            repack(self.model)
        torch.set_rng_state(saved.tensors["generator"])
        return {name: unpack_codes(saved.tensors[f"codes/{name}"]) for name in self.ternary_names}


@dataclass(slots=True)
class RunResult:
    """What a run measured; `log` holds no clock readings, so it is part of the checkpoint."""

    log: dict[str, Any]
    resumed_from_step: int
    flipped_share: float
    """Share of ternary codes that differ between the start and the end of the run."""
    seconds: float
    """Wall time of the steps taken by this process."""
    tokens: int
    """Tokens through the model in those steps."""
    alarms: list[str] = field(default_factory=list)


def evaluation_interval(steps: int) -> int:
    """Returns the number of steps between evaluations."""
    wanted = -(-steps // EVALUATIONS_PER_RUN)
    return min(MAX_STEPS_BETWEEN_EVALUATIONS, max(MIN_STEPS_BETWEEN_EVALUATIONS, wanted))


def run_steps(
    weights: Weights,
    objective: Objective,
    order: SequenceOrder,
    recipe: TrainingRecipe,
    *,
    state_dir: Path,
    checkpoint_every_steps: int,
    progress: Progress,
) -> RunResult:
    """Trains from the newest state in `state_dir`, or from the start.

    Raises:
        TrainingFailed: the loss or a gradient is not a number.
    """
    first_codes = weights.codes()
    saved = newest_state(state_dir)
    interval = evaluation_interval(recipe.steps)
    if saved is None:
        step, codes = 0, first_codes
        log: dict[str, Any] = {"objective": objective.name, "steps": [], "evaluations": []}
        _evaluate(weights, objective, log, step=0, former=codes, progress=progress)
    else:
        step, log, codes = saved.step, saved.log, weights.restore(saved)
    resumed_from_step, tokens, started = step, 0, time.perf_counter()
    while step < recipe.steps:
        rate = learning_rate_at(
            step + 1,
            peak=recipe.learning_rate,
            warmup_steps=recipe.warmup_steps,
            steps=recipe.steps,
        )
        loss, batch_tokens = objective.loss(weights.model, order.batch(step))
        value = float(loss.detach())
        norm = weights.step(loss, step + 1, rate)
        step += 1
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise TrainingFailed(
                f"step {step}: loss {value}, gradient norm {norm}: lower learning_rate "
                f"({recipe.learning_rate}) or lengthen warmup_steps ({recipe.warmup_steps})"
            )
        tokens += batch_tokens
        entry = {
            "step": step,
            "loss": value,
            "learning_rate": rate,
            "grad_norm": norm,
            "tokens": batch_tokens,
        }
        log["steps"].append(entry)
        speed = tokens / max(1e-9, time.perf_counter() - started)
        progress(step, {**entry, "tokens_per_second": speed})
        if step % interval == 0 or step == recipe.steps:
            codes = _evaluate(weights, objective, log, step=step, former=codes, progress=progress)
        if step % checkpoint_every_steps == 0 and step < recipe.steps:
            save_state(state_dir, step, weights.tensors(codes), log)
    seconds = time.perf_counter() - started
    flipped = _share_flipped(first_codes, weights.codes())
    return RunResult(log, resumed_from_step, flipped, seconds, tokens, _alarms(log, flipped))


def _evaluate(
    weights: Weights,
    objective: Objective,
    log: dict[str, Any],
    *,
    step: int,
    former: Mapping[str, torch.Tensor],
    progress: Progress,
) -> dict[str, torch.Tensor]:
    codes = weights.codes()
    found = objective.evaluate(weights.model)
    entry = {
        "step": step,
        "heldout_loss": found.loss,
        "heldout_sequences": found.num_sequences,
        "heldout_targets": found.num_targets,
        **found.facts,
        "flip_rate": _share_flipped(former, codes),
        "zero_fraction": {n: float((c == 0).float().mean()) for n, c in codes.items()},
    }
    log["evaluations"].append(entry)
    progress(step, dict(entry))
    return codes


def _share_flipped(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> float:
    flipped = sum(int((before[name] != codes).sum()) for name, codes in after.items())
    return flipped / max(1, sum(codes.numel() for codes in after.values()))


def _alarms(log: Mapping[str, Any], flipped: float) -> list[str]:
    alarms = []
    evaluations = log["evaluations"]
    if all(entry["flip_rate"] == 0 for entry in evaluations) and flipped == 0:
        alarms.append(
            "no ternary code changed in the whole run: the learning rate is too low for the "
            "masters' precision, or the gradient does not reach them"
        )
    if evaluations[-1]["heldout_loss"] >= evaluations[0]["heldout_loss"]:
        alarms.append("the held-out loss is not below its start")
    for name, share in evaluations[-1]["zero_fraction"].items():
        if share > 0.95:
            alarms.append(f"{name}: {share:.1%} of its codes are zero")
    return alarms
