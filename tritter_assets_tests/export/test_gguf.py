from __future__ import annotations

import dataclasses
import json

import gguf
import numpy as np
import pytest
from safetensors.torch import load_file

from tritter_assets.errors import ContractViolation
from tritter_assets.export.gguf import GgufType, choose_type, export_gguf, gguf_name, read_gguf
from tritter_assets.export.gguf_vocabulary import read_gguf_vocabulary
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.model import new_config
from tritter_assets.training.scales import ternary_codes, ternary_values
from tritter_assets.training.train import train_phase
from tritter_assets_tests.training.rows import RECIPE, put_packed, put_tokenizer

FINGERPRINT = fingerprint_of("export")
WIDE = dataclasses.replace(
    RECIPE, hidden_size=256, intermediate_size=256, num_layers=1, steps=2, learning_rate=1e-3
)


def _trained(root, recipe, phase="phase1_base", parent=None, context=32):
    lake = Lake.at(root)
    if parent is None:
        put_tokenizer(lake)
    table = put_packed(lake, phase, context=context)
    train_phase(
        lake,
        phase,
        recipe=recipe,
        packed_table=table,
        parent=parent,
        fingerprint=FINGERPRINT,
    )
    return lake


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return _trained(tmp_path_factory.mktemp("small"), dataclasses.replace(RECIPE, steps=4))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return _trained(tmp_path_factory.mktemp("wide"), WIDE)


def _export(lake, gguf_type=GgufType.AUTO, phase="phase1_base"):
    report = export_gguf(lake, f"model/{phase}", fingerprint=FINGERPRINT, gguf_type=gguf_type)
    (name,) = report.files
    store = ArtifactStore(lake)
    masters = load_file(store.open_local(f"model/{phase}", "model.safetensors"))
    return report, store.open_local("export/gguf", name), masters


def test_reference_holds_exact_values(small):
    report, path, masters = _export(small)
    assert report.quantization == "F32"
    assert report.parity["frozen"].max_abs_error == 0
    assert report.heldout_loss_exported == report.heldout_loss_masters
    stored = read_gguf(path)
    assert len(stored) == len(masters)
    for name, master in masters.items():
        if name.endswith("_proj.weight"):
            assert np.array_equal(
                stored[gguf_name(name)], ternary_values(*ternary_codes(master)).numpy()
            )
        else:
            assert np.array_equal(stored[gguf_name(name)], master.numpy())


@pytest.mark.parametrize(("gguf_type", "bits"), [("TQ2_0", 2.0625), ("TQ1_0", 1.6875)])
def test_ternary_types_keep_every_code(wide, gguf_type, bits):
    report, path, masters = _export(wide, GgufType(gguf_type))
    assert report.bits_per_ternary_weight == bits
    stored = read_gguf(path)
    for name, master in masters.items():
        if name.endswith("_proj.weight"):
            codes, scale = ternary_codes(master)
            assert np.array_equal(np.sign(stored[gguf_name(name)]), codes.numpy())
            assert np.abs(stored[gguf_name(name)]).max() == pytest.approx(
                float(1 / scale), rel=5e-4
            )
    assert report.heldout_loss_exported == pytest.approx(report.heldout_loss_masters, abs=0.01)
    types = {t.name: t.tensor_type.name for t in gguf.GGUFReader(str(path)).tensors}
    assert types["blk.0.ffn_down.weight"] == gguf_type
    assert types["token_embd.weight"] == "F16"
    assert types["output_norm.weight"] == "F32"


def test_auto_takes_two_bits_where_rows_are_whole_blocks():
    assert choose_type(new_config(WIDE, 32), GgufType.AUTO) is GgufType.TQ2_0
    assert choose_type(new_config(RECIPE, 32), GgufType.AUTO) is GgufType.F32
    with pytest.raises(ContractViolation, match="multiple"):
        choose_type(new_config(RECIPE, 32), GgufType.TQ2_0)


def test_squared_relu_is_refused():
    config = new_config(RECIPE, 32)
    config.hidden_act = "relu2"
    with pytest.raises(ContractViolation, match="SiLU"):
        choose_type(config, GgufType.F32)


def _keys(path):
    reader = gguf.GGUFReader(str(path))
    return {name: field.contents() for name, field in reader.fields.items()}


def test_tokenizer_and_architecture_keys(small):
    _, path, _ = _export(small)
    keys = _keys(path)
    tokenizer = json.loads(
        ArtifactStore(small).open_local("tokenizer", "tokenizer.json").read_text()
    )
    vocab = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    assert keys["general.architecture"] == "bitnet"
    assert keys["tokenizer.ggml.model"] == "gpt2"
    assert keys["tokenizer.ggml.pre"] == "gpt-2"
    assert keys["tokenizer.ggml.eos_token_id"] == 0
    assert keys["tokenizer.ggml.padding_token_id"] == 1
    assert keys["tokenizer.ggml.add_bos_token"] is False
    tokens = keys["tokenizer.ggml.tokens"]
    assert len(tokens) == RECIPE.vocab_size
    assert all(tokens[number] == text for number, text in vocab.items())
    assert keys["tokenizer.ggml.token_type"][:3] == [3, 3, 1]
    assert len(keys["tokenizer.ggml.merges"]) == len(tokenizer["model"]["merges"])
    assert keys["bitnet.attention.head_count_kv"] == 2
    assert keys["bitnet.rope.freq_base"] == 10000.0
    assert "bitnet.rope.scaling.type" not in keys


def test_yarn_is_written(small):
    recipe = dataclasses.replace(RECIPE, steps=2)
    _trained(small.location.root, recipe, "phase2_domain", parent="phase1_base", context=64)
    _, path, _ = _export(small, phase="phase2_domain")
    keys = _keys(path)
    assert keys["bitnet.context_length"] == 64
    assert keys["bitnet.rope.scaling.type"] == "yarn"
    assert keys["bitnet.rope.scaling.factor"] == 2.0
    assert keys["bitnet.rope.scaling.original_context_length"] == 32


def test_an_unknown_pre_tokenizer_is_refused(small, tmp_path):
    path = ArtifactStore(small).open_local("tokenizer", "tokenizer.json")
    loaded = json.loads(path.read_text())
    loaded["pre_tokenizer"] = {"type": "Whitespace"}
    other = tmp_path / "tokenizer.json"
    other.write_text(json.dumps(loaded))
    with pytest.raises(ContractViolation, match=r"no name that llama\.cpp knows"):
        read_gguf_vocabulary({"tokenizer.json": other}, {}, 288)


def test_llama_cpp_gives_the_same_logits(small):
    pytest.importorskip("llama_cpp")
    report, _, _ = _export(small)
    assert report.parity["llama_cpp"].max_abs_error < 5e-3
