from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation, TrainingFailed
from tritter_assets.training.host_store import HostStore
from tritter_assets.training.loop import Weights, deterministic_torch
from tritter_assets.training.loss import masked_cross_entropy, token_log_probs
from tritter_assets.training.model import final_hidden, head_weight, new_config, new_model
from tritter_assets.training.optimizer import (
    BETA_1,
    BETA_2,
    EPSILON,
    AdamState,
    adamw_step,
    learning_rate_at,
)
from tritter_assets.training.packed_linear import resident_bytes
from tritter_assets.training.scales import (
    ScaleConvention,
    pack_codes,
    scale_from,
    ternary_codes,
    ternary_values,
    unpack_codes,
    weight_scale_as,
)
from tritter_assets.training.ternary import ternary_linear_class
from tritter_assets_tests.training.rows import RECIPE


@pytest.fixture(autouse=True)
def _eager():
    """transformers wraps its BitNet functions in torch.compile."""
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


def test_forward_and_gradients_equal_transformers_online_layer():
    from transformers.integrations.bitnet import AutoBitLinear

    torch.manual_seed(1)
    theirs = AutoBitLinear(48, 36, bias=False, online_quant=True)
    ours = ternary_linear_class()(48, 36, bias=False)
    ours.weight.data.copy_(theirs.weight.data)
    x = torch.randn(3, 7, 48)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [theirs(inputs[0]), ours(inputs[1])]
    grad = torch.randn_like(outputs[0])
    for output in outputs:
        output.backward(grad)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    assert torch.equal(theirs.weight.grad, ours.weight.grad)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 1000))
def test_pack_round_trip_and_layout_of_transformers(quarters, columns, seed):
    from transformers.integrations.bitnet import pack_weights

    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(-1, 2, (4 * quarters, columns), generator=generator).to(torch.int8)
    packed = pack_codes(codes)
    assert torch.equal(unpack_codes(packed), codes)
    assert torch.equal(packed, pack_weights(codes.float()))


def test_pack_refuses_rows_that_leave_a_byte_half_full():
    with pytest.raises(ContractViolation, match="multiples of 4"):
        pack_codes(torch.zeros(6, 3, dtype=torch.int8))


def test_scale_conventions_are_inverse_and_round_trip():
    _, scale = ternary_codes(torch.tensor([[0.5, -0.25], [0.25, 1.0]]))
    assert float(scale) == 2.0
    assert float(weight_scale_as(scale, ScaleConvention.BITLINEAR)) == 2.0
    assert float(weight_scale_as(scale, ScaleConvention.AUTOBITLINEAR)) == 0.5
    for convention in ScaleConvention:
        assert float(scale_from(weight_scale_as(scale, convention), convention)) == 2.0


def test_adamw_is_torch_adamw_bit_for_bit():
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(5, 7))
    ours, state = parameter.data.clone(), AdamState.zeros(parameter.data)
    theirs = torch.optim.AdamW(
        [parameter], lr=3e-3, betas=(BETA_1, BETA_2), eps=EPSILON, weight_decay=0, foreach=False
    )
    for step in range(1, 9):
        parameter.grad = torch.randn(5, 7)
        adamw_step(ours, parameter.grad, state, step=step, learning_rate=3e-3)
        theirs.step()
        assert torch.equal(ours, parameter.data)


def test_learning_rate_rises_then_falls_to_a_tenth():
    rates = [learning_rate_at(s, peak=1.0, warmup_steps=2, steps=6) for s in range(1, 7)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_losses_equal_torch_over_several_chunks(monkeypatch):
    monkeypatch.setattr("tritter_assets.training.loss.CHUNK_TOKENS", 5)
    torch.manual_seed(0)
    hidden, head = torch.randn(13, 6, dtype=torch.float64), torch.randn(9, 6, dtype=torch.float64)
    targets = torch.randint(0, 9, (13,))
    weight = torch.rand(13, dtype=torch.float64)

    def grads(loss_of):
        h, w = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        loss = loss_of(h, w)
        loss.backward()
        return loss.detach(), h.grad, w.grad

    plain = grads(lambda h, w: torch.nn.functional.cross_entropy(h @ w.t(), targets))
    ours = grads(lambda h, w: masked_cross_entropy(h, w, targets))
    for a, b in zip(plain, ours, strict=True):
        torch.testing.assert_close(a, b)
    rows = torch.arange(13)
    plain = grads(lambda h, w: (torch.log_softmax(h @ w.t(), -1)[rows, targets] * weight).sum())
    ours = grads(lambda h, w: (token_log_probs(h, w, targets) * weight).sum())
    for a, b in zip(plain, ours, strict=True):
        torch.testing.assert_close(a, b)


def test_no_token_sees_another_document():
    model = new_model(new_config(RECIPE, 32), seed=0)
    tokens = torch.randint(0, RECIPE.vocab_size, (1, 32))
    positions = torch.cat([torch.arange(12), torch.arange(20)])[None]
    other = tokens.clone()
    other[0, :12] = 7
    with torch.no_grad():
        a, b = (final_hidden(model, t, positions) for t in (tokens, other))
    assert torch.equal(a[:, 12:], b[:, 12:])
    assert not torch.equal(a[:, :12], b[:, :12])


def test_packed_training_is_bit_identical_to_transformers_online_training():
    """8 steps of full training: float masters under transformers' layer against 2-bit codes."""
    from transformers import BitNetForCausalLM
    from transformers.integrations.bitnet import AutoBitLinear

    config = new_config(RECIPE, 32)
    packed = Weights(new_model(config, seed=3), packed=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        online = BitNetForCausalLM(config)
    for name, module in list(online.named_modules()):
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            new = AutoBitLinear(
                module.in_features, module.out_features, bias=False, online_quant=True
            )
            new.weight = module.weight
            online.set_submodule(name, new)
    optimizer = torch.optim.AdamW(
        online.parameters(), betas=(BETA_1, BETA_2), weight_decay=0, foreach=False
    )
    positions = torch.arange(32).expand(3, -1)
    generator = torch.Generator().manual_seed(0)
    with deterministic_torch(1):
        for step in range(1, 9):
            tokens = torch.randint(0, RECIPE.vocab_size, (3, 32), generator=generator)
            losses = []
            for model in (online, packed.model):
                hidden = final_hidden(model, tokens, positions)[:, :-1].reshape(-1, 32)
                targets = tokens[:, 1:].reshape(-1)
                losses.append(masked_cross_entropy(hidden, head_weight(model), targets))
            optimizer.param_groups[0]["lr"] = 1e-3 * step
            losses[0].backward()
            optimizer.step()
            optimizer.zero_grad()
            packed.step(losses[1], step, 1e-3 * step)
            assert torch.equal(losses[0], losses[1])
    masters = packed.masters()
    for name, parameter in online.named_parameters():
        assert torch.equal(masters[name], parameter.data), name
    store = packed.store
    assert store is not None
    ternary = sum(entry.master.numel() for entry in store.entries.values())
    saved = resident_bytes(online) - resident_bytes(packed.model)
    assert saved == ternary * 15 // 4 - 4 * len(store.entries)


def test_packed_codes_are_what_online_quantisation_makes():
    torch.manual_seed(0)
    weight = torch.randn(16, 8)
    codes, scale = HostStore().add("w", weight)
    online = (weight * scale).round().clamp(-1, 1) / scale
    assert torch.equal(ternary_values(unpack_codes(codes), scale), online)


def test_packed_layer_refuses_a_second_backward_in_one_step():
    store = HostStore()
    store.add("w", torch.randn(4, 4))
    store.begin_step(1, 1e-3)
    store.take_gradient("w", torch.randn(4, 4))
    with pytest.raises(TrainingFailed, match="packed=False"):
        store.take_gradient("w", torch.randn(4, 4))
