"""A checkpoint opened for export, and exported weights put back into a model to be judged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.training.model import CONFIG_FILE, MASTERS_FILE, load_model, read_config
from tritter_assets.training.objective import evaluate_causal
from tritter_assets.training.sequences import HELDOUT, SequenceStore, open_sequences
from tritter_assets.training.ternary import (
    KEPT_FLOAT,
    make_ternary,
    quantize_activations,
    ternary_linear_class,
    ternary_weights,
)
from tritter_assets.training.vocabulary import TOKENIZER_FILE, TOKENIZER_TABLE, read_vocabulary

if TYPE_CHECKING:
    import torch

PARITY_SEQUENCES = 4
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A checkpoint and what stands beside it in the lake."""

    model_table: str
    data_version: str
    facts: Mapping[str, Any]
    files: Mapping[str, Path]
    tokenizer_files: Mapping[str, Path]
    tokenizer_facts: Mapping[str, Any]
    heldout: SequenceStore | None
    """Held-out rows of the packed table it was trained on, if that table is still there."""

    def trained_model(self) -> torch.nn.Module:
        """Builds the model from its masters."""
        return load_model(self.files)

    def parity_batch(self, vocab_size: int, context: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns tokens and positions to compare logits on, one document a row."""
        import torch

        if self.heldout is None:
            generator = torch.Generator().manual_seed(0)
            tokens = torch.randint(vocab_size, (PARITY_SEQUENCES, context), generator=generator)
        else:
            ranks = self.heldout.ranks(HELDOUT)[:PARITY_SEQUENCES]
            tokens = self.heldout.batch(HELDOUT, ranks).tokens
        return tokens, torch.arange(tokens.shape[1]).expand(tokens.shape)

    def heldout_loss(self, model: torch.nn.Module) -> float | None:
        """Returns the mean next-token loss over held-out rows."""
        if self.heldout is None:
            return None
        return evaluate_causal(model, self.heldout, batch_rows=PARITY_SEQUENCES).loss


@contextmanager
def open_source(
    lake: Lake, model_table: str, *, artifacts: ArtifactStore | None = None
) -> Iterator[Source]:
    """Opens a checkpoint; the copies it needs live as long as the context.

    Raises:
        MissingProvenance: there is no such checkpoint, or the lake's tokenizer is another one
            than it was trained with.
    """
    state = lake.state(model_table)
    if state is None:
        raise MissingProvenance(f"{model_table} is not in the lake: materialise it first")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store = artifacts or ArtifactStore(lake, cache=work / "artifacts")
        facts = store.facts(model_table)
        names = store.list(TOKENIZER_TABLE)
        tokenizer_files = {name: store.open_local(TOKENIZER_TABLE, name) for name in names}
        found = read_vocabulary(tokenizer_files[TOKENIZER_FILE]).sha256
        if found != facts["tokenizer_sha256"]:
            raise MissingProvenance(
                f"{model_table} was trained with the tokenizer {facts['tokenizer_sha256'][:12]} "
                f"and the lake holds {found[:12]}: materialise the model again"
            )
        yield Source(
            model_table=model_table,
            data_version=state.data_version,
            facts=facts,
            files={n: store.open_local(model_table, n) for n in (MASTERS_FILE, CONFIG_FILE)},
            tokenizer_files=tokenizer_files,
            tokenizer_facts=store.facts(TOKENIZER_TABLE),
            heldout=_heldout(lake, facts["packed_table"], work),
        )


def _heldout(lake: Lake, packed_table: str, work: Path) -> SequenceStore | None:
    state = lake.state(packed_table)
    if state is None:
        return None
    store = open_sequences(lake, packed_table, state.data_version, work, heldout_only=True)
    return store if store.num_rows(HELDOUT) else None


@cache
def frozen_linear_class() -> type[torch.nn.Module]:
    """Returns the class `FrozenTernaryLinear`; made on first use."""
    import torch
    from torch.nn import functional

    class FrozenTernaryLinear(torch.nn.Module):
        """Multiplies by weights exactly as they were exported, without quantising them again."""

        def __init__(self, values: torch.Tensor, *, quantize_inputs: bool) -> None:
            super().__init__()
            self.register_buffer("values", values)
            self._quantize_inputs = quantize_inputs

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self._quantize_inputs:
                levels, scale = quantize_activations(x)
                x = levels.div_(scale)
            values: Any = self.values
            return functional.linear(x, values)

    return FrozenTernaryLinear


def frozen_model(
    config_path: Path,
    values: Mapping[str, torch.Tensor],
    floats: Mapping[str, torch.Tensor],
    *,
    quantize_inputs: bool = True,
) -> torch.nn.Module:
    """Builds a model from exported weights.

    Args:
        config_path: Its config.json.
        values: Float matrices of the ternary layers by parameter name.
        floats: The other parameters by name.
        quantize_inputs: False leaves activations alone, as llama.cpp does for float weights.
    """
    import torch
    from transformers import BitNetForCausalLM

    frozen, ternary = frozen_linear_class(), ternary_linear_class()
    with torch.random.fork_rng(devices=[]):
        model = BitNetForCausalLM(read_config(config_path))
    make_ternary(model)
    for name in ternary_weights(model):
        module = name.removesuffix(".weight")
        model.set_submodule(module, frozen(values[name], quantize_inputs=quantize_inputs))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(floats[name])
    assert not any(isinstance(m, ternary) for m in model.modules()), KEPT_FLOAT
    return model
