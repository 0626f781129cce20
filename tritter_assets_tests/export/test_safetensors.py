from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tritter_assets.errors import MissingProvenance, TrainingFailed
from tritter_assets.export.parity import (
    compare_logits,
    eager_transformers,
    load_in_transformers,
    logits_of,
    require_parity,
)
from tritter_assets.export.safetensors import export_safetensors
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.model import load_model
from tritter_assets.training.scales import ternary_codes, unpack_codes
from tritter_assets.training.train import train_phase
from tritter_assets_tests.training.rows import RECIPE, put_packed, put_tokenizer

FINGERPRINT = fingerprint_of("export")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    lake = Lake.at(tmp_path_factory.mktemp("lake"))
    put_tokenizer(lake)
    table = put_packed(lake, "phase1_base")
    train_phase(
        lake,
        "phase1_base",
        recipe=RECIPE,
        packed_table=table,
        parent=None,
        fingerprint=FINGERPRINT,
    )
    return lake, export_safetensors(lake, "model/phase1_base", fingerprint=FINGERPRINT)


def _files(lake: Lake, table: str):
    store = ArtifactStore(lake)
    return {name: store.open_local(table, name) for name in store.list(table)}


def test_the_export_is_the_trained_model(exported):
    _, report = exported
    assert report.parity["frozen"].max_abs_error == 0
    assert report.parity["transformers"].mean_kl_nats < 1e-3
    assert report.parity["transformers"].argmax_agreement > 0.95
    assert report.heldout_loss_exported == report.heldout_loss_masters
    assert set(report.files) == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_codes_and_scales_are_those_of_the_masters(exported):
    lake, _ = exported
    masters = load_file(_files(lake, "model/phase1_base")["model.safetensors"])
    packed = load_file(_files(lake, "export/safetensors")["model.safetensors"])
    ternary = [name for name in masters if name.endswith("_proj.weight")]
    assert len(ternary) == 14
    for name in ternary:
        codes, scale = ternary_codes(masters[name])
        assert torch.equal(unpack_codes(packed[name]), codes)
        assert float(packed[name.replace("weight", "weight_scale")]) == float(scale)


def test_the_config_says_how_it_is_packed(exported):
    lake, _ = exported
    config = json.loads(_files(lake, "export/safetensors")["config.json"].read_text())
    assert config["quantization_config"]["linear_class"] == "bitlinear"
    assert config["hidden_act"] == "silu"
    assert config["tie_word_embeddings"] is True


def test_the_other_scale_convention_is_caught(exported, tmp_path):
    lake, _ = exported
    files = _files(lake, "export/safetensors")
    wrong = load_file(files["model.safetensors"])
    for name in wrong:
        if name.endswith("weight_scale"):
            wrong[name] = 1 / wrong[name]
    save_file(wrong, tmp_path / "wrong.safetensors")
    trained = load_model(_files(lake, "model/phase1_base"))
    tokens = torch.arange(32)[None] + 40
    batch = (tokens, torch.arange(32)[None])
    with eager_transformers():
        broken = load_in_transformers(files["config.json"], tmp_path / "wrong.safetensors")
        parity = {"x": compare_logits(logits_of(trained, *batch), logits_of(broken, *batch))}
    with pytest.raises(TrainingFailed, match="weight_scale convention"):
        require_parity(parity, "x", max_kl_nats=1e-2)


def test_stock_from_pretrained_loads_it(exported, tmp_path):
    pytest.importorskip("accelerate")
    from transformers import AutoModelForCausalLM

    lake, _ = exported
    for name, path in _files(lake, "export/safetensors").items():
        (tmp_path / name).write_bytes(path.read_bytes())
    trained = load_model(_files(lake, "model/phase1_base"))
    tokens = torch.arange(32)[None] + 40
    with eager_transformers(), torch.no_grad():
        stock = AutoModelForCausalLM.from_pretrained(tmp_path)(tokens).logits
    expected = logits_of(trained, tokens, torch.arange(32)[None])
    assert compare_logits(expected, stock).mean_kl_nats < 1e-3


def test_another_tokenizer_is_refused(exported, tmp_path):
    lake, _ = exported
    store = ArtifactStore(lake)
    before = _files(lake, "tokenizer")
    other = tmp_path / "tokenizer.json"
    other.write_text(before["tokenizer.json"].read_text().replace("<|pad|>", "<|pod|>"))
    store.put("tokenizer", before | {"tokenizer.json": other}, fingerprint=FINGERPRINT)
    try:
        with pytest.raises(MissingProvenance, match="trained with the tokenizer"):
            export_safetensors(lake, "model/phase1_base", fingerprint=FINGERPRINT)
    finally:
        store.put("tokenizer", before, fingerprint=FINGERPRINT)
    with pytest.raises(MissingProvenance, match="model/phase2_domain"):
        export_safetensors(lake, "model/phase2_domain", fingerprint=FINGERPRINT)
