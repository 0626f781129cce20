"""Tiny lakes for the training and export tests: a tokenizer and packed tables with a pattern."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tritter_assets.contracts.profile import TrainingRecipe
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.packing.sequences import PACKED_SCHEMA

CONTEXT = 32
VOCAB = 288

RECIPE = TrainingRecipe(
    hidden_size=32,
    intermediate_size=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    vocab_size=VOCAB,
    steps=12,
    batch_sequences=4,
    learning_rate=1e-2,
    warmup_steps=2,
)


def put_tokenizer(lake: Lake) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, special=True, normalized=False) for t in ("<|endoftext|>", "<|pad|>")]
    tokenizer.train_from_iterator(
        ["def f(x):\n    return x + 1\n" * 4, "let mut value = other.value();"],
        trainers.BpeTrainer(
            vocab_size=VOCAB,
            show_progress=False,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(str(path))
        config = Path(folder) / "tokenizer_config.json"
        config.write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
        ArtifactStore(lake).put(
            "tokenizer",
            {"tokenizer.json": path, "tokenizer_config.json": config},
            fingerprint=fingerprint_of("tokenizer"),
            facts={"pre_tokenizer": "gpt-2"},
        )


def put_packed(
    lake: Lake, phase: str, *, num_rows: int = 40, pairs: bool = False, context: int = CONTEXT
) -> str:
    """Rows of two documents each that count upwards: easy to learn, so a few steps show it."""
    random = np.random.default_rng(len(phase))
    rows = []
    for position in range(num_rows):
        cut = int(random.integers(8, 24))
        begins = random.integers(2, 200, size=2)
        tokens = (
            np.concatenate([begins[0] + np.arange(cut), begins[1] + np.arange(context - cut)])
            % VOCAB
        )
        wrong = random.integers(2, VOCAB, size=context - 4)
        answer = [int(i >= context // 2) for i in range(context)]
        rows.append(
            {
                "id": f"{phase}-{position:04d}",
                "position": position,
                "split": "heldout" if position % 8 == 7 else "train",
                "tokens": tokens.tolist(),
                "loss_mask": answer if phase > "phase3" else [1] * context,
                "rejected_tokens": wrong.tolist() if pairs else None,
                "rejected_loss_mask": answer[: context - 4] if pairs else None,
                "segments": [
                    _segment(f"doc{position:03d}a", 0, cut),
                    _segment(f"doc{position // 2:03d}b", cut, context),
                ],
            }
        )
    table = f"packed/{phase}_{context}"
    lake.write(
        table,
        pa.Table.from_pylist(rows[::-1], schema=PACKED_SCHEMA),
        PACKED_SCHEMA,
        fingerprint=fingerprint_of(phase, num_rows),
    )
    return table


def _segment(doc_id: str, start: int, end: int) -> dict[str, object]:
    return {
        "doc_id": doc_id,
        "table": "filtered/toy",
        "source": "toy",
        "shard": "000",
        "token_start": start,
        "token_end": end,
        "doc_token_start": 0,
    }
