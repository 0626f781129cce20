"""Losses that never hold all logits: tokens x vocabulary floats are the largest tensor of a step.

Both losses walk the target tokens in chunks. `masked_cross_entropy` makes its gradients in the same
pass (its weights are known beforehand); `token_log_probs` computes logits again in backward.
Only tokens that count as targets are multiplied with the head at all.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CHUNK_TOKENS = 512
"""Tokens whose logits exist at once: at 4,096 words 8 MiB, which stays in a core's cache."""


def masked_cross_entropy(
    hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Returns the mean cross-entropy in nats over target tokens.

    Args:
        hidden: Final hidden states of the target tokens, float32 [tokens, hidden size].
        head: Output embedding [vocabulary, hidden size].
        targets: Token ids [tokens].
    """
    return _chunked_cross_entropy().apply(hidden, head, targets)


def token_log_probs(
    hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Returns log p(target) of each token, in nats; differentiable in `hidden` and `head`."""
    return _token_log_probs().apply(hidden, head, targets)


def dpo_loss(
    policy: tuple[torch.Tensor, torch.Tensor],
    reference: tuple[torch.Tensor, torch.Tensor],
    beta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Direct preference optimisation (arXiv 2305.18290), sigmoid loss.

    Args:
        policy: Summed log-probabilities of (chosen, rejected) answers [pairs].
        reference: The same under the frozen parent.
        beta: Strength of the pull towards the parent.

    Returns:
        The loss of each pair, and each pair's reward margin.
    """
    from torch.nn import functional

    margin = beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]))
    return -functional.logsigmoid(margin), margin.detach()


@cache
def _chunked_cross_entropy() -> Any:
    import torch

    class ChunkedCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor
        ) -> torch.Tensor:
            count = max(1, hidden.shape[0])
            wants_grad = any(ctx.needs_input_grad[:2])
            grad_hidden = torch.empty_like(hidden) if wants_grad else None
            grad_head = torch.zeros_like(head) if wants_grad else None
            total = torch.zeros((), dtype=torch.float64)
            for start in range(0, hidden.shape[0], CHUNK_TOKENS):
                rows = hidden[start : start + CHUNK_TOKENS]
                target = targets[start : start + CHUNK_TOKENS, None]
                logits = rows.mm(head.t())
                normalizer = torch.logsumexp(logits, dim=-1, keepdim=True)
                total += (normalizer - logits.gather(1, target)).double().sum()
                if grad_hidden is None or grad_head is None:
                    continue
                slope = logits.sub_(normalizer).exp_()
                slope.scatter_add_(1, target, slope.new_full(target.shape, -1.0))
                slope.mul_(1.0 / count)
                torch.mm(slope, head, out=grad_hidden[start : start + CHUNK_TOKENS])
                grad_head.addmm_(slope.t(), rows)
            ctx.save_for_backward(grad_hidden, grad_head)
            return (total / count).to(hidden.dtype)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            grad_hidden, grad_head = ctx.saved_tensors
            return grad_hidden * grads[0], grad_head * grads[0], None

    return ChunkedCrossEntropy


@cache
def _token_log_probs() -> Any:
    import torch

    class TokenLogProbs(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor
        ) -> torch.Tensor:
            out = hidden.new_empty(hidden.shape[0])
            for start in range(0, hidden.shape[0], CHUNK_TOKENS):
                end = start + CHUNK_TOKENS
                logits = hidden[start:end].mm(head.t())
                chosen = logits.gather(1, targets[start:end, None])
                out[start:end] = (chosen - torch.logsumexp(logits, -1, keepdim=True)).squeeze(1)
            ctx.save_for_backward(hidden, head, targets)
            return out

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            hidden, head, targets = ctx.saved_tensors
            grad_hidden = torch.empty_like(hidden)
            grad_head = torch.zeros_like(head)
            for start in range(0, hidden.shape[0], CHUNK_TOKENS):
                end = start + CHUNK_TOKENS
                rows, target = hidden[start:end], targets[start:end, None]
                slope = torch.softmax(rows.mm(head.t()), dim=-1).neg_()
                slope.scatter_add_(1, target, torch.ones_like(target, dtype=slope.dtype))
                slope.mul_(grads[0][start:end, None])
                torch.mm(slope, head, out=grad_hidden[start:end])
                grad_head.addmm_(slope.t(), rows)
            return grad_hidden, grad_head, None

    return TokenLogProbs
