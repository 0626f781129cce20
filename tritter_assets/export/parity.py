"""Is the exported model the trained model: logits on the same tokens, runtime by runtime.

masters         the trained model in this package: the reference
frozen          the exported file read back: bit for bit the reference
transformers    transformers' packed `BitLinear` over the exported file: the same integers in
                another arithmetic order, so int8 rounding may fall the other way here and there
llama_cpp       llama.cpp over the GGUF, when the library is installed: activations in float (for
                F32 weights) or in blocks (for TQ types)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.errors import TrainingFailed
from tritter_assets.export.report import LogitParity
from tritter_assets.training.model import final_hidden, head_weight, read_config

if TYPE_CHECKING:
    import torch

MAX_TRANSFORMERS_KL_NATS = 1e-2
"""The wrong meaning of `weight_scale` gives more than 1; the right one measured under 1e-4."""

MAX_LLAMA_CPP_F32_ERROR = 5e-3
"""Against unquantised activations: 0.002 is the right graph, 2.4 the wrong activation function."""


def logits_of(
    model: torch.nn.Module, tokens: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Returns all logits of a small batch."""
    import torch

    with torch.inference_mode():
        return final_hidden(model, tokens, positions) @ head_weight(model).t()


def compare_logits(reference: torch.Tensor, candidate: torch.Tensor) -> LogitParity:
    """Compares logits [..., vocabulary] position by position."""
    import torch

    expected = torch.log_softmax(reference.double(), dim=-1)
    found = torch.log_softmax(candidate.double(), dim=-1)
    divergence = (expected.exp() * (expected - found)).sum(-1)
    same = reference.argmax(-1) == candidate.argmax(-1)
    return LogitParity(
        max_abs_error=float((reference - candidate).abs().max()),
        argmax_agreement=float(same.double().mean()),
        mean_kl_nats=float(divergence.mean()),
        num_positions=same.numel(),
    )


@contextmanager
def eager_transformers() -> Iterator[None]:
    """Keeps transformers' BitNet functions from being compiled, which needs a C++ compiler."""
    import torch

    torch.compiler.set_stance("force_eager")
    try:
        yield
    finally:
        torch.compiler.set_stance("default")


def load_in_transformers(config: Path, weights: Path) -> torch.nn.Module:
    """Loads an exported file into transformers' own packed layers.

    This is what `from_pretrained` does, without accelerate, which it asks for.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import BitNetForCausalLM
    from transformers.integrations.bitnet import replace_with_bitnet_linear
    from transformers.utils.quantization_config import BitNetQuantConfig

    with torch.random.fork_rng(devices=[]):
        model = BitNetForCausalLM(read_config(config))
    replace_with_bitnet_linear(
        model, ["lm_head"], BitNetQuantConfig(linear_class="bitlinear", quantization_mode="offline")
    )
    for name, module in model.named_modules():
        if type(module).__name__ == "BitLinear":
            layer: Any = module
            layer.dtype = torch.float32
            layer.to_empty(device="cpu")
            layer.weight_scale.fill_(float("nan"))
            assert layer.weight.dtype == torch.uint8, name
    missing, unexpected = model.load_state_dict(load_file(weights), strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise TrainingFailed(
            f"{weights.name} does not fit transformers' BitNet: missing {sorted(missing)[:3]}, "
            f"unexpected {sorted(unexpected)[:3]}"
        )
    return model


def llama_cpp_logits(gguf: Path, tokens: torch.Tensor, *, num_threads: int = 2) -> Any:
    """Returns llama.cpp's logits [rows, tokens, vocabulary], or None when it is not installed."""
    import importlib.util

    import numpy as np
    import torch

    if importlib.util.find_spec("llama_cpp") is None:
        return None
    import llama_cpp  # pyright: ignore[reportMissingImports]

    runtime = llama_cpp.Llama(
        model_path=str(gguf),
        n_ctx=int(tokens.shape[1]),
        n_batch=int(tokens.shape[1]),
        n_threads=num_threads,
        logits_all=True,
        verbose=False,
    )
    rows = []
    for row in tokens.tolist():
        runtime.reset()
        runtime.eval(row)
        rows.append(np.array(runtime.scores[: len(row)], dtype=np.float32))
    return torch.from_numpy(np.stack(rows))


def require_parity(parity: Mapping[str, LogitParity], runtime: str, *, max_kl_nats: float) -> None:
    """Fails an export whose logits are not the trained model's.

    Raises:
        TrainingFailed: the divergence passes the limit.
    """
    found = parity[runtime]
    if not found.mean_kl_nats <= max_kl_nats:
        raise TrainingFailed(
            f"the export is not the trained model under {runtime}: mean KL "
            f"{found.mean_kl_nats:.2e} nats over {max_kl_nats:.0e}, largest logit error "
            f"{found.max_abs_error:.3f}, argmax agreement {found.argmax_agreement:.1%}; a wrong "
            "weight_scale convention looks like this"
        )
