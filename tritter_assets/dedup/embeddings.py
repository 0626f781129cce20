"""Embeddings for the semantic index: ours (lexical), or a local sentence-transformer folder.

The lexical embedding is a signed random projection of the set of words and word pairs of a
document (feature hashing, Weinberger et al. 2009), scaled to length 1. Its cosine follows
vocabulary, not meaning: it finds documents that use the same names in another order, which
5-grams miss, and is named lexical wherever it is reported. It needs no model, no download and no
knowledge of other documents, so an embedding is a function of one document.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tritter_assets.dedup.text_arrays import shingle_sets
from tritter_assets.errors import ContractViolation

Embed = Callable[[pa.Array], np.ndarray]
"""Takes an Arrow string array; returns float32 rows of length 1."""

LEXICAL = "lexical"
LEXICAL_DIMENSIONS = 512
_MODEL_BATCH = 32
_MODEL_TOKENS = 512


def embedder(name: str) -> Embed:
    """Returns the embedding function `lexical`, or one of the model in the folder `name`.

    Raises:
        ContractViolation: `name` is neither `lexical` nor a folder with a model.
    """
    if name == LEXICAL:
        return embed_lexical
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ContractViolation(
            f"semantic embedding {name!r} is neither 'lexical' nor a folder that holds a "
            "config.json: name the folder of a downloaded sentence-transformer"
        )
    return _model_embedder(folder)


def embed_lexical(content: pa.Array) -> np.ndarray:
    """Returns the lexical embedding of each text."""
    out = np.zeros((len(content), LEXICAL_DIMENSIONS), dtype=np.float32)
    for width, weight in ((1, np.float32(1.0)), (2, np.float32(0.5))):
        sets = shingle_sets(content, width)
        document = np.repeat(np.arange(len(content)), sets.counts())
        dimension = (sets.hashes % np.uint64(LEXICAL_DIMENSIONS)).astype(np.int64)
        sign = np.where(sets.hashes >> np.uint64(63), weight, -weight)
        cells = document * LEXICAL_DIMENSIONS + dimension
        out += np.bincount(cells, weights=sign, minlength=out.size).reshape(out.shape).astype("f4")
    return normalized(out)


def normalized(rows: np.ndarray) -> np.ndarray:
    """Scales rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-12)).astype(np.float32)


def _model_embedder(folder: Path) -> Embed:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model.eval()

    def embed(content: pa.Array) -> np.ndarray:
        texts = content.to_pylist()
        parts = []
        for begin in range(0, len(texts), _MODEL_BATCH):
            encoded = tokenizer(
                texts[begin : begin + _MODEL_BATCH],
                padding=True,
                truncation=True,
                max_length=_MODEL_TOKENS,
                return_tensors="pt",
            )
            with torch.inference_mode():
                hidden = model(**encoded).last_hidden_state
            mask = encoded["attention_mask"].unsqueeze(-1)
            parts.append(((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).float().numpy())
        return normalized(np.concatenate(parts))

    return embed
