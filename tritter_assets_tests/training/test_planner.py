from __future__ import annotations

import dataclasses

import pytest
import torch

from tritter_assets.errors import TrainingFailed
from tritter_assets.training.model import final_hidden, new_config, new_model
from tritter_assets.training.planner import (
    GIB,
    MemoryRecipe,
    ModelShape,
    choose_recipe,
    plan_memory,
    require_fit,
    require_plan,
)
from tritter_assets_tests.training.rows import RECIPE


def _shape(hidden: int, inner: int, layers: int, kv: int) -> ModelShape:
    return ModelShape(
        hidden_size=hidden,
        intermediate_size=inner,
        num_layers=layers,
        num_heads=hidden // 128,
        num_kv_heads=kv,
        vocab_size=128256,
    )


SHAPES = {
    "2B": _shape(2560, 6912, 30, 5),
    "3B": _shape(3072, 8192, 28, 8),
    "7B": _shape(4096, 11008, 32, 8),
}


@pytest.mark.parametrize(("name", "billions"), [("2B", 2.413), ("3B", 3.213), ("7B", 6.197)])
def test_parameters(name, billions):
    assert SHAPES[name].parameters / 1e9 == pytest.approx(billions, abs=1.1e-3)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (MemoryRecipe.BF16_ADAM, (27.0, 35.9, 69.3)),
        (MemoryRecipe.BF16_ADAM8, (10.3, 13.5, 25.2)),
        (MemoryRecipe.BF16_ADAM8_HOST, (5.7, 7.5, 13.5)),
        (MemoryRecipe.BF16_APOLLO, (7.2, 9.2, 16.0)),
        (MemoryRecipe.PACKED_LORA, (2.1, 2.5, 4.0)),
        (MemoryRecipe.PACKED_LIVE_LAYERS, (2.7, 3.7, 6.3)),
        (MemoryRecipe.PACKED_HOST, (1.9, 2.4, 3.6)),
    ],
)
def test_static_gib(recipe, expected):
    found = [plan_memory(s, recipe, 2048).static_bytes / GIB for s in SHAPES.values()]
    assert found == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("tokens", "expected"), [(2048, (1.4, 1.5, 2.0)), (8192, (4.4, 5.0, 6.8))])
def test_dynamic_gib(tokens, expected):
    plans = [plan_memory(s, MemoryRecipe.PACKED_HOST, tokens) for s in SHAPES.values()]
    assert [p.dynamic_bytes / GIB for p in plans] == pytest.approx(expected, abs=0.1)


def test_seven_billion_in_bf16_is_refused_and_the_fitting_recipe_named():
    with pytest.raises(TrainingFailed, match="use packed_host"):
        require_plan(SHAPES["7B"], MemoryRecipe.BF16_ADAM8, 2048, device_bytes=15 * GIB)


def test_a_context_too_long_for_every_recipe_names_one_that_fits():
    with pytest.raises(TrainingFailed, match="at 8192 tokens"):
        require_plan(SHAPES["7B"], MemoryRecipe.PACKED_HOST, 32768, device_bytes=15 * GIB)


def test_host_memory_counts():
    plan = choose_recipe(SHAPES["7B"], 2048, device_bytes=15 * GIB, host_bytes=64 * GIB)
    assert plan is not None
    assert plan.recipe is MemoryRecipe.PACKED_HOST
    assert plan.host_bytes / GIB == pytest.approx(21.3, abs=0.1)
    small = choose_recipe(SHAPES["7B"], 2048, device_bytes=15 * GIB, host_bytes=8 * GIB)
    assert small is not None
    assert small.recipe is MemoryRecipe.PACKED_LIVE_LAYERS


@pytest.mark.parametrize(("hidden", "inner", "layers"), [(128, 352, 2), (256, 704, 3)])
def test_activations_of_a_cpu_run_are_what_autograd_keeps(hidden, inner, layers):
    recipe = dataclasses.replace(
        RECIPE, hidden_size=hidden, intermediate_size=inner, num_layers=layers
    )
    shape, tokens = ModelShape.of(recipe), 1024
    model = new_model(new_config(recipe, 256), seed=0)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.zeros(4, 256, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_states = final_hidden(model, ids, torch.arange(256).expand(4, -1))
    assert hidden_states.shape == (4, 256, hidden)
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    planned = layers * (139 * hidden * tokens + 4 * shape.layer_parameters)
    assert planned == pytest.approx(measured, rel=0.1)
    assert plan_memory(shape, MemoryRecipe.FLOAT32_ADAM, tokens).dynamic_bytes > planned


def test_a_training_recipe_is_checked_against_a_budget():
    assert require_fit(RECIPE, 32, packed=True, budget_bytes=GIB).device_bytes < 64 << 20
    with pytest.raises(TrainingFailed, match="float32_adam"):
        require_fit(RECIPE, 32, packed=False, budget_bytes=1 << 20)
