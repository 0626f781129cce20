"""Masters and optimiser states off the device: the other half of packed ternary layers.

A ternary layer's backward needs its codes and one scale, never its master. So the device holds
2-bit codes, and master and moments live here, on the host, touched once per step: the gradient
comes in as soon as backward has made it, the master takes its AdamW step, and new codes go back.
At 7B that is 0.25 byte a weight on the device instead of 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.errors import TrainingFailed
from tritter_assets.training.optimizer import AdamState, adamw_step
from tritter_assets.training.scales import pack_codes, ternary_codes

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class HostEntry:
    """What the host keeps of one ternary matrix."""

    master: torch.Tensor
    state: AdamState
    squared_norm: float = 0.0
    """Squared norm of the newest gradient, for the log."""
    steps: int = 0


class HostStore:
    """Masters of packed layers by parameter name; steps them when their gradient arrives."""

    def __init__(self) -> None:
        self.entries: dict[str, HostEntry] = {}
        self._step = 0
        self._learning_rate = 0.0

    def add(self, name: str, master: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Takes a master in; returns the packed codes and scale for the device."""
        kept = master.detach().clone().float()
        self.entries[name] = HostEntry(kept, AdamState.zeros(kept))
        return self.packed(name)

    def packed(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns packed codes and the scalar 1/absmean of a master as it is now."""
        codes, scale = ternary_codes(self.entries[name].master)
        return pack_codes(codes), scale

    def begin_step(self, step: int, learning_rate: float) -> None:
        """Says which step the gradients to come belong to (counted from 1), and its rate."""
        self._step = step
        self._learning_rate = learning_rate

    def take_gradient(self, name: str, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps a master with its gradient; returns the new packed codes and scale.

        Raises:
            TrainingFailed: the layer was already stepped in this step; accumulating gradients
                over several backward passes would need them kept.
        """
        entry = self.entries[name]
        if entry.steps >= self._step:
            raise TrainingFailed(
                f"{name} got a second gradient in step {self._step}: a packed layer takes one "
                "backward pass per step, so train with packed=False to accumulate gradients"
            )
        host_grad = grad.to(entry.master.device, entry.master.dtype)
        adamw_step(
            entry.master,
            host_grad,
            entry.state,
            step=self._step,
            learning_rate=self._learning_rate,
        )
        entry.squared_norm = float(host_grad.square().sum())
        entry.steps = self._step
        return self.packed(name)
