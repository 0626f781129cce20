"""How much memory a training run needs, by formula, before anything is allocated.

    static    weights, gradients and optimiser states that live through the run
    dynamic   checkpointed activations L.S.h.2 + one recomputed layer 139.h.S
              + one chunk of logits 512.V.6 + hidden states 4.S.h     (bf16, S tokens at once)

P parameters, of which E = V.h embedding (tied head) and T ternary; h hidden size, L layers. The 139
bytes a token and hidden unit hold for an eager layer: measured with a memory tracker at real
widths within 1 % at 8,192 tokens, 6 % over at 16,384. `float32_adam` is what a CPU run does: its
layers are not recomputed, so each keeps 139.h.S for backward (136 measured, in float32: saved
tensors only) and its quantised weights, and one layer's worth of passing tensors comes on top.

Not covered: the allocator's fragmentation and the device's context (`RESERVED_BYTES` stands for
both), and attention kernels that hold the full score matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tritter_assets.contracts.profile import TrainingRecipe
from tritter_assets.errors import TrainingFailed

GIB = 1 << 30

RESERVED_BYTES = int(0.8 * GIB)
"""Device context and fragmentation; nothing of the kind on a CPU."""

_ADAM_8BIT = 2.033
"""Bytes a parameter of both moments in 8 bits with block scales."""
_LAYER_BYTES = 139
_LOGIT_CHUNK_TOKENS = 512
_APOLLO_RANK = 256
_LORA_RANK = 64
_LIVE_LAYERS = 4


class MemoryRecipe(StrEnum):
    """Ways to hold a ternary model in training, from the fewest compromises to the most."""

    FLOAT32_ADAM = "float32_adam"
    """Float32 masters, gradients and moments; nothing recomputed."""
    BF16_ADAM = "bf16_adam"
    """bf16 weights and gradients, float32 moments."""
    BF16_ADAM8 = "bf16_adam8"
    """bf16 with stochastic rounding, 8-bit moments, gradients released in backward."""
    BF16_ADAM8_HOST = "bf16_adam8_host"
    """The same with the moments on the host."""
    BF16_APOLLO = "bf16_apollo"
    """bf16 with low-rank moments (APOLLO, rank 256)."""
    PACKED_HOST = "packed_host"
    """2-bit codes on the device, masters and moments on the host: full training."""
    PACKED_LIVE_LAYERS = "packed_live_layers"
    """2-bit codes, four layers trained in bf16."""
    PACKED_LORA = "packed_lora"
    """2-bit codes with adapters of rank 64; these cannot be merged into ternary losslessly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """What the formulas read of an architecture."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    vocab_size: int

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> ModelShape:
        """Returns the shape of a training recipe."""
        return cls(
            hidden_size=recipe.hidden_size,
            intermediate_size=recipe.intermediate_size,
            num_layers=recipe.num_layers,
            num_heads=recipe.num_heads,
            num_kv_heads=recipe.num_kv_heads,
            vocab_size=recipe.vocab_size,
        )

    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Returns (rows, columns) of the ternary matrices of one layer."""
        hidden, inner = self.hidden_size, self.intermediate_size
        kv = hidden // self.num_heads * self.num_kv_heads
        attention = ((hidden, hidden), (kv, hidden), (kv, hidden), (hidden, hidden))
        return (*attention, (inner, hidden), (inner, hidden), (hidden, inner))

    @property
    def layer_parameters(self) -> int:
        """Ternary parameters of one layer."""
        return sum(rows * columns for rows, columns in self.matrices())

    @property
    def ternary_parameters(self) -> int:
        """Ternary parameters of all layers."""
        return self.num_layers * self.layer_parameters

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, which is also the head."""
        return self.vocab_size * self.hidden_size

    @property
    def parameters(self) -> int:
        """All parameters but the norms' (under 0.1 %)."""
        return self.ternary_parameters + self.embedding_parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Bytes a run needs where the model lives (`device`) and beside it (`host`)."""

    recipe: MemoryRecipe
    static_bytes: int
    dynamic_bytes: int
    reserved_bytes: int
    host_bytes: int

    @property
    def device_bytes(self) -> int:
        """The sum that must fit the device."""
        return self.static_bytes + self.dynamic_bytes + self.reserved_bytes


def plan_memory(shape: ModelShape, recipe: MemoryRecipe, tokens: int) -> MemoryPlan:
    """Returns the plan of a recipe for `tokens` tokens in one pass (context times rows)."""
    return MemoryPlan(
        recipe=recipe,
        static_bytes=round(_static_bytes(shape, recipe)),
        dynamic_bytes=_dynamic_bytes(shape, recipe, tokens),
        reserved_bytes=0 if recipe is MemoryRecipe.FLOAT32_ADAM else RESERVED_BYTES,
        host_bytes=round(_host_bytes(shape, recipe)),
    )


def choose_recipe(
    shape: ModelShape,
    tokens: int,
    *,
    device_bytes: int,
    host_bytes: int | None = None,
    among: Sequence[MemoryRecipe] = tuple(MemoryRecipe),
) -> MemoryPlan | None:
    """Returns the plan with the fewest compromises that fits, or None."""
    plans = (plan_memory(shape, recipe, tokens) for recipe in among)
    return next(
        (
            plan
            for plan in plans
            if plan.device_bytes <= device_bytes
            and (host_bytes is None or plan.host_bytes <= host_bytes)
        ),
        None,
    )


def require_plan(
    shape: ModelShape,
    recipe: MemoryRecipe,
    tokens: int,
    *,
    device_bytes: int,
    host_bytes: int | None = None,
) -> MemoryPlan:
    """Returns the plan of a recipe.

    Raises:
        TrainingFailed: it does not fit; the message names the recipe with the fewest compromises
            that does, or the longest context that some recipe can hold.
    """
    plan = plan_memory(shape, recipe, tokens)
    host_fits = host_bytes is None or plan.host_bytes <= host_bytes
    if plan.device_bytes <= device_bytes and host_fits:
        return plan
    problem = (
        f"{shape.parameters / 1e9:.2f}B parameters at {tokens} tokens need "
        f"{plan.device_bytes / GIB:.1f} GiB with {recipe} (host {plan.host_bytes / GIB:.1f} GiB), "
        f"and {device_bytes / GIB:.1f} GiB are there"
    )
    if not host_fits and host_bytes is not None:
        problem += f" (host {host_bytes / GIB:.1f} GiB)"
    other = choose_recipe(shape, tokens, device_bytes=device_bytes, host_bytes=host_bytes)
    if other is not None:
        raise TrainingFailed(
            f"{problem}: use {other.recipe}, which needs {other.device_bytes / GIB:.1f} GiB"
        )
    shorter = tokens
    while shorter > 1:
        shorter //= 2
        other = choose_recipe(shape, shorter, device_bytes=device_bytes, host_bytes=host_bytes)
        if other is not None:
            raise TrainingFailed(
                f"{problem}: no recipe fits; {other.recipe} does at {shorter} tokens"
            )
    raise TrainingFailed(f"{problem}: no recipe fits at any context; choose a smaller model")


def require_fit(
    recipe: TrainingRecipe, context_tokens: int, *, packed: bool, budget_bytes: int
) -> MemoryPlan:
    """Checks a run of this package's own loop (float32, on the CPU) against a budget.

    A packed run's host store is the same memory as the model's here, so the masters count either
    way and `packed` only adds the codes.

    Raises:
        TrainingFailed: the run needs more; see `require_plan`.
    """
    shape = ModelShape.of(recipe)
    codes = shape.ternary_parameters // 4 if packed else 0
    return require_plan(
        shape,
        MemoryRecipe.FLOAT32_ADAM,
        recipe.batch_sequences * context_tokens,
        device_bytes=budget_bytes - codes,
    )


def _static_bytes(shape: ModelShape, recipe: MemoryRecipe) -> float:
    everything, embedding = shape.parameters, shape.embedding_parameters
    # The head's gradient and the sum it is added into, both bf16.
    head_gradient = 2 * 2 * embedding
    packed = 0.25 * shape.ternary_parameters + 2 * embedding
    low_rank = 2 * 2 * _APOLLO_RANK * shape.num_layers * sum(map(max, shape.matrices()))
    adapters = _LORA_RANK * shape.num_layers * sum(sum(matrix) for matrix in shape.matrices())
    return {
        MemoryRecipe.FLOAT32_ADAM: 16.0 * everything,
        MemoryRecipe.BF16_ADAM: 12.0 * everything,
        MemoryRecipe.BF16_ADAM8: (2 + _ADAM_8BIT) * everything + head_gradient,
        MemoryRecipe.BF16_ADAM8_HOST: 2.0 * everything + head_gradient,
        MemoryRecipe.BF16_APOLLO: 2.0 * everything
        + head_gradient
        + _ADAM_8BIT * embedding
        + low_rank,
        MemoryRecipe.PACKED_HOST: packed + 2 * embedding + 2 * shape.layer_parameters,
        MemoryRecipe.PACKED_LIVE_LAYERS: packed
        + (4 + _ADAM_8BIT) * _LIVE_LAYERS * shape.layer_parameters,
        MemoryRecipe.PACKED_LORA: packed + 12.0 * adapters,
    }[recipe]


def _host_bytes(shape: ModelShape, recipe: MemoryRecipe) -> float:
    if recipe is MemoryRecipe.PACKED_HOST:
        return (2 + _ADAM_8BIT) * shape.ternary_parameters
    if recipe is MemoryRecipe.BF16_ADAM8_HOST:
        return _ADAM_8BIT * shape.parameters
    return 0.0


def _dynamic_bytes(shape: ModelShape, recipe: MemoryRecipe, tokens: int) -> int:
    hidden, layers = shape.hidden_size, shape.num_layers
    layer = _LAYER_BYTES * hidden * tokens
    logits = _LOGIT_CHUNK_TOKENS * shape.vocab_size * 6
    if recipe is MemoryRecipe.FLOAT32_ADAM:
        kept = layers * (layer + 4 * shape.layer_parameters)
        return kept + layer + 2 * logits + 8 * tokens * hidden
    checkpoints = layers * tokens * hidden * 2
    return checkpoints + layer + logits + 4 * tokens * hidden
