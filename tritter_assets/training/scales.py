"""One codec for ternary weights: masters -> codes and scale -> two bits a weight, and back.

Absmean quantisation (BitNet b1.58, arXiv 2402.17764): `scale = 1 / mean(|W|)`,
`codes = clip(round(W * scale), -1, 1)`, and the value a matrix multiplication sees is
`codes / scale`. Rounding is half to even, as torch rounds.

The name `weight_scale` means two opposite things in published checkpoints, and the wrong one loads
without an error (measured: argmax agreement 34 %): `bitlinear` stores 1/absmean and divides by it,
`autobitlinear` stores absmean and multiplies. `weight_scale_as` is the only place that chooses.

Packing is transformers' layout: row r of `packed` holds, in bits 2i and 2i+1, code + 1 of row
`i * (rows / 4) + r`; so the number of rows must be a multiple of 4.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from tritter_assets.errors import ContractViolation

if TYPE_CHECKING:
    import torch

CODES_PER_BYTE = 4

MIN_ABSMEAN = 1e-5
"""Below this mean magnitude a matrix counts as this magnitude, as in transformers."""


class ScaleConvention(StrEnum):
    """What a stored `weight_scale` means."""

    BITLINEAR = "bitlinear"
    """1/absmean: the output is divided by it."""
    AUTOBITLINEAR = "autobitlinear"
    """absmean: the output is multiplied by it."""


def inverse_absmean(weight: torch.Tensor) -> torch.Tensor:
    """Returns the scalar 1/mean(|W|) in float32."""
    return 1.0 / weight.detach().float().abs().mean().clamp_(min=MIN_ABSMEAN)


def ternary_codes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns int8 codes in {-1, 0, 1} and the float32 scalar 1/absmean."""
    import torch

    scale = inverse_absmean(weight)
    codes = (weight.detach().float() * scale).round_().clamp_(-1, 1).to(torch.int8)
    return codes, scale


def ternary_values(codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Returns the float32 matrix `codes / scale`, bit for bit what online training uses."""
    return codes.float().div_(scale)


def pack_codes(codes: torch.Tensor) -> torch.Tensor:
    """Packs int8 codes [rows, columns] into uint8 [rows / 4, columns].

    Raises:
        ContractViolation: the number of rows is not a multiple of 4.
    """
    import torch

    rows = codes.shape[0]
    if rows % CODES_PER_BYTE:
        raise ContractViolation(
            f"a ternary matrix of {rows} rows cannot be packed four codes to a byte: "
            "choose hidden, intermediate and head sizes that are multiples of 4"
        )
    quarter = rows // CODES_PER_BYTE
    shifted = (codes + 1).to(torch.uint8)
    packed = shifted[:quarter].clone()
    for index in range(1, CODES_PER_BYTE):
        packed |= shifted[index * quarter : (index + 1) * quarter] << (2 * index)
    return packed


def unpack_codes(packed: torch.Tensor) -> torch.Tensor:
    """Inverse of `pack_codes`: uint8 [rows / 4, columns] to int8 codes [rows, columns]."""
    import torch

    parts = [(packed >> (2 * index)) & 3 for index in range(CODES_PER_BYTE)]
    return torch.cat(parts, dim=0).to(torch.int8).sub_(1)


def weight_scale_as(scale: torch.Tensor, convention: ScaleConvention) -> torch.Tensor:
    """Returns a one-element `weight_scale` tensor for a checkpoint of the given convention.

    Args:
        scale: 1/absmean, as `ternary_codes` returns it.
        convention: Which meaning the checkpoint's loader gives the name.
    """
    value = scale if convention is ScaleConvention.BITLINEAR else 1.0 / scale
    return value.reshape(1).float().clone()


def scale_from(weight_scale: torch.Tensor, convention: ScaleConvention) -> torch.Tensor:
    """Returns the scalar 1/absmean from a stored `weight_scale`."""
    value = weight_scale.reshape(()).float()
    return value if convention is ScaleConvention.BITLINEAR else 1.0 / value
