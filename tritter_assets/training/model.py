"""The model: transformers' BitNetForCausalLM with this package's ternary layers.

From-scratch models use SiLU, not squared ReLU: llama.cpp's `bitnet` graph runs SiLU whatever the
file says, so a squared-ReLU model gives wrong logits there without an error (measured: maximum
logit error 2.4 against 0.002). Sub-norms and the tied head are the architecture's own.

A checkpoint's weights are the float32 masters. Its config.json says `autobitlinear`, `online`,
which is what masters mean to transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.contracts.profile import TrainingRecipe
from tritter_assets.errors import ContractViolation
from tritter_assets.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch
    from transformers import BitNetConfig

MASTERS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

ROPE_THETA = 10_000.0
RMS_NORM_EPSILON = 1e-5
INITIALIZER_RANGE = 0.02

MASTERS_QUANTIZATION: Mapping[str, Any] = {
    "quant_method": "bitnet",
    "linear_class": "autobitlinear",
    "quantization_mode": "online",
    "modules_to_not_convert": ["lm_head"],
}

_ARCHITECTURE = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Counts of a model's parameters."""

    ternary_parameters: int
    float_parameters: int

    @property
    def parameters(self) -> int:
        """All parameters, the tied head counted once."""
        return self.ternary_parameters + self.float_parameters


def new_config(
    recipe: TrainingRecipe, context_tokens: int, vocabulary: Vocabulary | None = None
) -> BitNetConfig:
    """Returns the config of a model trained from scratch."""
    from transformers import BitNetConfig

    _check_sizes(recipe)
    return BitNetConfig(
        vocab_size=recipe.vocab_size,
        hidden_size=recipe.hidden_size,
        intermediate_size=recipe.intermediate_size,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        num_key_value_heads=recipe.num_kv_heads,
        hidden_act="silu",
        max_position_embeddings=context_tokens,
        initializer_range=INITIALIZER_RANGE,
        rms_norm_eps=RMS_NORM_EPSILON,
        tie_word_embeddings=True,
        bos_token_id=None if vocabulary is None else vocabulary.begin_id,
        eos_token_id=None if vocabulary is None else vocabulary.end_id,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        architectures=["BitNetForCausalLM"],
        dtype="float32",
    )


def continued_config(
    parent: BitNetConfig, recipe: TrainingRecipe, context_tokens: int
) -> BitNetConfig:
    """Returns the config of a model that goes on from a parent, at the same or a longer context.

    A context longer than the parent's is reached by YaRN (arXiv 2309.00071): the factor is the
    new context over the context that the frequencies were first trained at.

    Raises:
        ContractViolation: the recipe describes another architecture than the parent has.
    """
    from transformers import BitNetConfig

    for ours, theirs in _ARCHITECTURE.items():
        wanted, found = getattr(recipe, ours), getattr(parent, theirs)
        if wanted != found:
            raise ContractViolation(
                f"the recipe says {ours}={wanted} and the parent checkpoint has {found}: "
                "architecture fields must agree across the phases of a profile"
            )
    fields = parent.to_dict()
    if context_tokens > parent.max_position_embeddings:
        rope = dict(fields["rope_parameters"])
        first = int(rope.get("original_max_position_embeddings", parent.max_position_embeddings))
        fields["rope_parameters"] = {
            "rope_type": "yarn",
            "rope_theta": rope["rope_theta"],
            "factor": context_tokens / first,
            "original_max_position_embeddings": first,
        }
        fields["max_position_embeddings"] = context_tokens
    return BitNetConfig(**fields)


def new_model(config: BitNetConfig, seed: int) -> torch.nn.Module:
    """Builds a ternary model with weights drawn from the seed; the global generator is restored."""
    import torch
    from transformers import BitNetForCausalLM

    from tritter_assets.training.ternary import make_ternary

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BitNetForCausalLM(config)
    make_ternary(model)
    return model


def load_model(folder_files: Mapping[str, Path]) -> torch.nn.Module:
    """Builds a ternary model from a checkpoint's `config.json` and `model.safetensors` (masters).

    Raises:
        ContractViolation: the weights are not the weights of that config.
    """
    from safetensors.torch import load_file

    model = new_model(read_config(folder_files[CONFIG_FILE]), seed=0)
    load_masters(model, load_file(folder_files[MASTERS_FILE]))
    return model


def load_masters(model: torch.nn.Module, masters: Mapping[str, torch.Tensor]) -> None:
    """Copies masters into a model.

    Raises:
        ContractViolation: names or shapes differ.
    """
    import torch

    own = dict(model.named_parameters())
    if set(own) != set(masters):
        odd = sorted(set(own) ^ set(masters))
        raise ContractViolation(f"checkpoint and config disagree on the tensors {odd[:5]}")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != masters[name].shape:
                raise ContractViolation(
                    f"tensor {name!r} is {tuple(masters[name].shape)}, the config says "
                    f"{tuple(parameter.shape)}"
                )
            parameter.copy_(masters[name])


def read_config(path: Path) -> BitNetConfig:
    """Reads a config.json, without its quantisation section."""
    import json

    from transformers import BitNetConfig

    fields = json.loads(path.read_text())
    fields.pop("quantization_config", None)
    return BitNetConfig(**fields)


def config_json(config: BitNetConfig, quantization: Mapping[str, Any]) -> str:
    """Returns the text of a config.json that says how the weights are quantised."""
    import json

    fields = {k: v for k, v in config.to_dict().items() if k != "quantization_config"}
    fields["quantization_config"] = dict(quantization)
    fields.pop("_name_or_path", None)
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def final_hidden(
    model: torch.nn.Module, tokens: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Returns the final hidden states; no token sees another document's tokens.

    A position that is not the one before it plus 1 begins a document.
    """
    inner: Any = model
    return inner.model(input_ids=tokens, position_ids=positions, use_cache=False).last_hidden_state


def head_weight(model: torch.nn.Module) -> torch.nn.Parameter:
    """Returns the output embedding."""
    inner: Any = model
    return inner.lm_head.weight


def count_parameters(model: torch.nn.Module) -> Sizes:
    """Counts ternary and float parameters."""
    from tritter_assets.training.ternary import ternary_weights

    ternary = sum(weight.numel() for weight in ternary_weights(model).values())
    everything = sum(parameter.numel() for parameter in model.parameters())
    return Sizes(ternary_parameters=ternary, float_parameters=everything - ternary)


def _check_sizes(recipe: TrainingRecipe) -> None:
    if recipe.hidden_size % recipe.num_heads:
        raise ContractViolation(
            f"hidden_size={recipe.hidden_size} is not a multiple of num_heads={recipe.num_heads}"
        )
    if recipe.num_heads % recipe.num_kv_heads:
        raise ContractViolation(
            f"num_heads={recipe.num_heads} is not a multiple of num_kv_heads={recipe.num_kv_heads}"
        )
    head = recipe.hidden_size // recipe.num_heads
    for name, value in (
        ("hidden_size", recipe.hidden_size),
        ("intermediate_size", recipe.intermediate_size),
        ("head size times num_kv_heads", head * recipe.num_kv_heads),
    ):
        if value % 4:
            raise ContractViolation(f"{name}={value} is not a multiple of 4, which packing needs")
    if head % 2:
        raise ContractViolation(f"the head size {head} must be even for rotary positions")
