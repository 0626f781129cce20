"""Ternary layers that keep 2-bit codes and no master: 0.25 byte a weight where they are resident.

Forward and backward compute exactly what `TernaryLinear` computes (the codes over the scale are
bit for bit the values online quantisation makes), saving int8 activations instead of float ones.
The weight gradient never becomes a `.grad`: it goes to the host store inside backward, which
answers with the codes of the stepped master. Measured on a tiny model: 8 steps, losses and masters
bit-identical to online training.

transformers' own packed `BitLinear` cannot be trained through: its `.to(int8)` cuts the gradient
to its input (cosine 0.015 with the true one), without an error.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tritter_assets.training.scales import ternary_values, unpack_codes
from tritter_assets.training.ternary import quantize_activations, ternary_linear_class

if TYPE_CHECKING:
    import torch

    from tritter_assets.training.host_store import HostStore


@cache
def _packed_straight_through() -> Any:
    import torch
    from torch.nn import functional

    class PackedStraightThrough(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, layer: Any) -> torch.Tensor:
            levels, x_scale = quantize_activations(x)
            ctx.save_for_backward(levels.to(torch.int8), x_scale)
            ctx.layer = layer
            return functional.linear(levels.div_(x_scale), layer.values())

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            levels, x_scale = ctx.saved_tensors
            rows = grads[0].reshape(-1, grads[0].shape[-1])
            # The input's gradient first: stepping the master replaces the codes.
            grad_x = rows.mm(ctx.layer.values()).view(levels.shape)
            quantized_x = levels.float().div_(x_scale)
            ctx.layer.step(rows.t().mm(quantized_x.reshape(-1, quantized_x.shape[-1])))
            return grad_x, None

    return PackedStraightThrough


@cache
def packed_linear_class() -> type[torch.nn.Module]:
    """Returns the class `PackedTernaryLinear`; made on first use."""
    import torch

    class PackedTernaryLinear(torch.nn.Module):
        """Holds `codes` (uint8, four to a byte) and `scale` (1/absmean) as buffers."""

        codes: torch.Tensor
        scale: torch.Tensor

        def __init__(self, name: str, store: HostStore) -> None:
            super().__init__()
            codes, scale = store.packed(name)
            self.register_buffer("codes", codes)
            self.register_buffer("scale", scale)
            self.master_name = name
            self._store = store

        def values(self) -> torch.Tensor:
            """Returns the float weight matrix; it lives only as long as one multiplication."""
            return ternary_values(unpack_codes(self.codes), self.scale)

        def step(self, grad: torch.Tensor) -> None:
            """Hands a gradient to the host and takes the new codes."""
            codes, scale = self._store.take_gradient(self.master_name, grad)
            self.codes.copy_(codes)
            self.scale.copy_(scale)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return _packed_straight_through().apply(x, self)

    return PackedTernaryLinear


def pack_model(model: torch.nn.Module, store: HostStore) -> None:
    """Moves the masters of every TernaryLinear into the store and leaves packed layers in place."""
    packed_linear, ternary_linear = packed_linear_class(), ternary_linear_class()
    for name, module in list(model.named_modules()):
        if isinstance(module, ternary_linear):
            key = f"{name}.weight"
            store.add(key, module.weight)
            model.set_submodule(name, packed_linear(key, store))


def resident_bytes(model: torch.nn.Module) -> int:
    """Returns the bytes of a model's parameters and buffers, shared ones counted once."""
    tensors = {t.data_ptr(): t for t in (*model.parameters(), *model.buffers())}
    return sum(t.numel() * t.element_size() for t in tensors.values())


def repack(model: torch.nn.Module) -> None:
    """Refreshes every packed layer from its master, after masters were loaded from outside."""
    packed_linear = packed_linear_class()
    for module in model.modules():
        if isinstance(module, packed_linear):
            layer: Any = module
            codes, scale = layer._store.packed(layer.master_name)  # noqa: SLF001 - own class
            layer.codes.copy_(codes)
            layer.scale.copy_(scale)
