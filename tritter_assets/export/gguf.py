"""Exports a checkpoint as GGUF, arch `bitnet`, for llama.cpp and what is built on it.

    in    model/<phase>, tokenizer
    out   artifact set export/gguf: model-<type>.gguf

Own writer over gguf-py: the upstream converter drops YaRN and takes SentencePiece vocabularies
only. Masters are ternarised by absmean before any block type sees them, because TQ block scales
come from the block's largest magnitude (raw masters keep 44 % of their codes). Types:

| type | bits a ternary weight | condition |
|---|---|---|
| F32 | 32 | none: the reference, exact values |
| TQ2_0 | 2.0625 | rows of 256 x k columns; codes exact, scale rounded to f16 |
| TQ1_0 | 1.6875 | same |
| AUTO | TQ2_0 where every matrix meets the condition, else F32 | |

The file is read back and every code compared before it is stored.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tritter_assets.errors import ContractViolation, TrainingFailed
from tritter_assets.export.frozen import Source, frozen_model, open_source
from tritter_assets.export.gguf_vocabulary import GgufVocabulary, read_gguf_vocabulary
from tritter_assets.export.parity import (
    MAX_LLAMA_CPP_F32_ERROR,
    compare_logits,
    llama_cpp_logits,
    logits_of,
)
from tritter_assets.export.report import ExportReport, LogitParity
from tritter_assets.export.safetensors import NUM_THREADS, is_ternary
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.loop import deterministic_torch
from tritter_assets.training.model import CONFIG_FILE, MASTERS_FILE, read_config
from tritter_assets.training.scales import ternary_codes, ternary_values

if TYPE_CHECKING:
    import torch
    from transformers import BitNetConfig

STAGE_VERSION = "1"

EXPORT_TABLE = "export/gguf"
ARCHITECTURE = "bitnet"
BLOCK_COLUMNS = 256

Floats = npt.NDArray[np.float32]

_LAYER_TENSORS = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.attn_sub_norm.weight": "attn_sub_norm.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.ffn_sub_norm.weight": "ffn_sub_norm.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
_OUTER_TENSORS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}


class GgufType(StrEnum):
    """How ternary weights are stored."""

    AUTO = "AUTO"
    F32 = "F32"
    TQ1_0 = "TQ1_0"
    TQ2_0 = "TQ2_0"


def code_version(gguf_type: GgufType = GgufType.AUTO) -> str:
    """Returns the version of everything but data that decides this export."""
    return f"{STAGE_VERSION}.{fingerprint_of(gguf_type, _LAYER_TENSORS, _OUTER_TENSORS)}"


def export_gguf(
    lake: Lake,
    model_table: str,
    *,
    fingerprint: str,
    gguf_type: GgufType = GgufType.AUTO,
    artifacts: ArtifactStore | None = None,
) -> ExportReport:
    """Writes the artifact set `export/gguf` from a checkpoint.

    Raises:
        ContractViolation: the type's blocks do not divide the rows, the activation function is
            not the one llama.cpp's graph runs, or the tokenizer is one that it does not know.
        MissingProvenance: the checkpoint or its tokenizer is not in the lake.
        TrainingFailed: what was written does not read back as the trained model.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        open_source(lake, model_table, artifacts=artifacts) as source,
    ):
        config = read_config(source.files[CONFIG_FILE])
        chosen = choose_type(config, gguf_type)
        path = Path(folder) / f"model-{chosen.lower()}.gguf"
        vocabulary = read_gguf_vocabulary(
            source.tokenizer_files, source.tokenizer_facts, config.vocab_size
        )
        write_gguf(path, source, config, vocabulary, chosen)
        with deterministic_torch(NUM_THREADS):
            report = _judge(source, path, chosen, vocabulary)
        facts = {
            "model_table": model_table,
            "model_data_version": source.data_version,
            "quantization": report.quantization,
            "tokenizer_sha256": source.facts["tokenizer_sha256"],
            "heldout_loss_masters": report.heldout_loss_masters,
            "heldout_loss_exported": report.heldout_loss_exported,
            "warnings": list(report.warnings),
        }
        store = artifacts or ArtifactStore(lake)
        files = {path.name: path}
        state = store.put(EXPORT_TABLE, files, fingerprint=fingerprint, facts=facts)
    return dataclasses.replace(report, data_version=state.data_version, facts=facts)


def choose_type(config: BitNetConfig, wanted: GgufType) -> GgufType:
    """Returns the type to store ternary weights in.

    Raises:
        ContractViolation: a TQ type is wanted and a row is not whole blocks, or the model runs
            another activation function than llama.cpp's graph.
    """
    if config.hidden_act != "silu":
        raise ContractViolation(
            f"hidden_act={config.hidden_act!r}: llama.cpp's bitnet graph runs SiLU whatever the "
            "file says, so this model would give wrong logits there; export safetensors instead, "
            "or run a llama.cpp patched to squared ReLU"
        )
    columns = {"hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size}
    uneven = {name: value for name, value in columns.items() if value % BLOCK_COLUMNS}
    if wanted is GgufType.AUTO:
        return GgufType.F32 if uneven else GgufType.TQ2_0
    if wanted is not GgufType.F32 and uneven:
        raise ContractViolation(
            f"{wanted} stores blocks of {BLOCK_COLUMNS} columns and {uneven} is not a multiple: "
            "export F32, or choose sizes that are"
        )
    return wanted


def gguf_name(name: str) -> str:
    """Returns the GGUF name of a transformers parameter."""
    if name in _OUTER_TENSORS:
        return _OUTER_TENSORS[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_LAYER_TENSORS[rest]}"


def write_gguf(
    path: Path,
    source: Source,
    config: BitNetConfig,
    vocabulary: GgufVocabulary,
    chosen: GgufType,
) -> None:
    """Writes the file. No tensor is permuted: this arch rotates halves, as transformers does."""
    import gguf
    from safetensors import safe_open

    writer = gguf.GGUFWriter(str(path), ARCHITECTURE)
    _write_architecture(writer, config, source, chosen)
    vocabulary.write(writer)
    with safe_open(source.files[MASTERS_FILE], framework="pt") as masters:
        for name in sorted(masters.keys()):
            master = masters.get_tensor(name)
            target = gguf_name(name)
            if not is_ternary(name):
                half = chosen is not GgufType.F32 and name == "model.embed_tokens.weight"
                writer.add_tensor(target, master.numpy().astype(np.float16 if half else np.float32))
                continue
            values = ternary_values(*ternary_codes(master)).numpy()
            if chosen is GgufType.F32:
                writer.add_tensor(target, values)
                continue
            kind = gguf.GGMLQuantizationType[chosen]
            writer.add_tensor(target, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_gguf(path: Path) -> dict[str, Floats]:
    """Reads every tensor of a GGUF file back as float32, by GGUF name."""
    import gguf

    reader = gguf.GGUFReader(str(path))
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        .reshape(tuple(int(n) for n in reversed(tensor.shape)))
        .astype(np.float32)
        for tensor in reader.tensors
    }


def _write_architecture(
    writer: Any, config: BitNetConfig, source: Source, chosen: GgufType
) -> None:
    import gguf

    assert config.num_key_value_heads is not None
    writer.add_name(f"tritter {source.facts['phase']}")
    writer.add_file_type(
        {
            GgufType.F32: gguf.LlamaFileType.ALL_F32,
            GgufType.TQ1_0: gguf.LlamaFileType.MOSTLY_TQ1_0,
            GgufType.TQ2_0: gguf.LlamaFileType.MOSTLY_TQ2_0,
        }[chosen]
    )
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope: Mapping[str, Any] = dict(config.rope_parameters or {})  # type: ignore[arg-type]
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
    elif rope["rope_type"] != "default":
        raise ContractViolation(
            f"rope_type {rope['rope_type']!r} is not one this writer knows: use default or yarn"
        )
    writer.add_string("tritter.model_data_version", source.data_version)
    writer.add_string("tritter.facts", json.dumps(_public_facts(source.facts), sort_keys=True))


def _public_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    wanted = ("phase", "packed_data_version", "mix_data_version", "tokenizer_sha256", "parent")
    return {name: facts.get(name) for name in wanted}


def _judge(
    source: Source, path: Path, chosen: GgufType, vocabulary: GgufVocabulary
) -> ExportReport:
    import torch
    from safetensors import safe_open

    stored = {name: torch.from_numpy(array) for name, array in read_gguf(path).items()}
    values: dict[str, torch.Tensor] = {}
    floats: dict[str, torch.Tensor] = {}
    with safe_open(source.files[MASTERS_FILE], framework="pt") as masters:
        for name in sorted(masters.keys()):
            tensor = stored[gguf_name(name)]
            if not is_ternary(name):
                floats[name] = tensor
                continue
            codes, _ = ternary_codes(masters.get_tensor(name))
            if not torch.equal(torch.sign(tensor).to(torch.int8), codes):
                raise TrainingFailed(f"{path.name}: {name} reads back with other codes")
            values[name] = tensor
    trained = source.trained_model()
    frozen = frozen_model(source.files[CONFIG_FILE], values, floats)
    config: Any = trained.config
    batch = source.parity_batch(config.vocab_size, config.max_position_embeddings)
    parity = {"frozen": compare_logits(logits_of(trained, *batch), logits_of(frozen, *batch))}
    warnings = list(vocabulary.warnings)
    theirs = _llama_cpp(
        source,
        path,
        exact=chosen is GgufType.F32,
        values=values,
        floats=floats,
        batch=batch,
    )
    if theirs is None:
        warnings.append("llama_cpp is not installed: parity in llama.cpp was not checked")
    else:
        parity["llama_cpp"] = theirs
    count = sum(tensor.numel() for tensor in values.values())
    return ExportReport(
        table=EXPORT_TABLE,
        model_table=source.model_table,
        quantization=chosen.value,
        files={path.name: path.stat().st_size},
        ternary_parameters=count,
        bits_per_ternary_weight={"F32": 32.0, "TQ1_0": 1.6875, "TQ2_0": 2.0625}[chosen],
        heldout_loss_masters=source.heldout_loss(trained),
        heldout_loss_exported=source.heldout_loss(frozen),
        parity=parity,
        warnings=tuple(warnings),
    )


def _llama_cpp(
    source: Source,
    path: Path,
    *,
    exact: bool,
    values: Mapping[str, torch.Tensor],
    floats: Mapping[str, torch.Tensor],
    batch: tuple[torch.Tensor, torch.Tensor],
) -> LogitParity | None:
    """Compares llama.cpp with the model it can run: float weights leave activations alone there."""
    found = llama_cpp_logits(path, batch[0], num_threads=NUM_THREADS)
    if found is None:
        return None
    expected = frozen_model(source.files[CONFIG_FILE], values, floats, quantize_inputs=not exact)
    parity = compare_logits(logits_of(expected, *batch), found)
    if exact and parity.max_abs_error > MAX_LLAMA_CPP_F32_ERROR:
        raise TrainingFailed(
            f"llama.cpp gives other logits for {path.name}: largest error "
            f"{parity.max_abs_error:.4f} over {MAX_LLAMA_CPP_F32_ERROR}"
        )
    return parity
