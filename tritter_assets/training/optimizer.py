"""AdamW one tensor at a time, and the learning-rate schedule.

One tensor at a time because the packed layers step their master inside backward, as soon as its
gradient exists; no clipping by a global norm for the same reason. No weight decay: it pulls
masters towards zero and so turns codes off, and it hurts ternary models where it was measured.
The arithmetic is torch.optim.AdamW's single-tensor path, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BETA_1 = 0.9
BETA_2 = 0.95
EPSILON = 1e-8
FINAL_RATE = 0.1
"""Share of the peak learning rate that the last step still has."""


@dataclass(slots=True)
class AdamState:
    """First and second moments of one tensor."""

    first: torch.Tensor
    second: torch.Tensor

    @classmethod
    def zeros(cls, like: torch.Tensor) -> AdamState:
        """Returns the state before the first step."""
        import torch

        return cls(torch.zeros_like(like), torch.zeros_like(like))


def adamw_step(
    master: torch.Tensor,
    grad: torch.Tensor,
    state: AdamState,
    *,
    step: int,
    learning_rate: float,
) -> None:
    """Updates a master and its moments in place.

    Args:
        master: Float32 tensor without autograd (a parameter's `.data`).
        grad: Its gradient, same shape.
        state: Moments; updated in place.
        step: Number of this step, from 1.
        learning_rate: Rate of this step.
    """
    state.first.lerp_(grad, 1 - BETA_1)
    state.second.mul_(BETA_2).addcmul_(grad, grad, value=1 - BETA_2)
    denominator = (state.second.sqrt() / math.sqrt(1 - BETA_2**step)).add_(EPSILON)
    master.addcdiv_(state.first, denominator, value=-learning_rate / (1 - BETA_1**step))


def learning_rate_at(step: int, *, peak: float, warmup_steps: int, steps: int) -> float:
    """Returns the rate of step `step` (from 1): linear warm-up, then linear to a tenth."""
    if step <= warmup_steps:
        return peak * step / warmup_steps
    share = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * (1 - (1 - FINAL_RATE) * share)
