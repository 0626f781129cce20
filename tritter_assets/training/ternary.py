"""The ternary linear layer with a straight-through estimator, and its place in a model.

Forward: weights by absmean to {-1, 0, 1} / scale, activations per token by absmax to int8, one
matrix multiplication of the two. Backward: gradients pass both quantisers unchanged, so
`dW = dy^T . xq` and `dx = dy . Wq`. Numbers equal transformers' AutoBitLinear (online) exactly;
this layer exists because that one is wrapped in torch.compile (75 s for the first CPU step,
and a compiler that a user may not have).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tritter_assets.training.scales import inverse_absmean, ternary_codes

if TYPE_CHECKING:
    import torch

KEPT_FLOAT = ("lm_head",)
"""Linear layers that are not ternary: the head shares its weight with the embedding."""


def quantize_activations(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns per-token absmax int8 levels as float32, and the scale they were multiplied by."""
    scale = 127 / x.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-5)
    return (x * scale).round_().clamp_(-128, 127), scale


@cache
def _straight_through() -> Any:
    import torch
    from torch.nn import functional

    class StraightThrough(torch.autograd.Function):
        """y = xq . Wq^T with gradients as if neither had been quantised."""

        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            scale = inverse_absmean(weight)
            quantized_weight = (weight * scale).round_().clamp_(-1, 1).div_(scale)
            levels, x_scale = quantize_activations(x)
            quantized_x = levels.div_(x_scale)
            ctx.save_for_backward(quantized_x, quantized_weight)
            return functional.linear(quantized_x, quantized_weight)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            quantized_x, quantized_weight = ctx.saved_tensors
            rows = grads[0].reshape(-1, grads[0].shape[-1])
            grad_x = grad_weight = None
            if ctx.needs_input_grad[0]:
                grad_x = rows.mm(quantized_weight).view(quantized_x.shape)
            if ctx.needs_input_grad[1]:
                grad_weight = rows.t().mm(quantized_x.reshape(-1, quantized_x.shape[-1]))
            return grad_x, grad_weight

    return StraightThrough


@cache
def ternary_linear_class() -> type[torch.nn.Linear]:
    """Returns the class `TernaryLinear`; made on first use so that importing this is cheap."""
    import torch

    class TernaryLinear(torch.nn.Linear):
        """A linear layer whose `weight` is the float32 master of ternary codes."""

        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
            return _straight_through().apply(input, self.weight)

    return TernaryLinear


def make_ternary(model: torch.nn.Module) -> None:
    """Replaces every linear layer of a model, except the head, by a TernaryLinear in place."""
    import torch

    ternary_linear = ternary_linear_class()
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name.rsplit(".", 1)[-1] not in KEPT_FLOAT:
            new = ternary_linear(module.in_features, module.out_features, bias=False, device="meta")
            new.weight = module.weight
            model.set_submodule(name, new)


def ternary_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the masters of a model's ternary layers by parameter name, sorted."""
    ternary_linear = ternary_linear_class()
    found = {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, ternary_linear)
    }
    return dict(sorted(found.items()))


def model_codes(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the int8 codes of every ternary layer, by parameter name."""
    return {name: ternary_codes(weight)[0] for name, weight in ternary_weights(model).items()}
