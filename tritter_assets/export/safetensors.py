"""Exports a checkpoint as packed 2-bit codes that stock transformers loads.

    in    model/<phase>, tokenizer
    out   artifact set export/safetensors: model.safetensors, config.json, tokenizer files

Layout: transformers' `bitlinear`, four codes to a byte, `weight_scale` = 1/absmean (the other
convention of that name loads without an error and gives a different model). Embedding and norms
stay float32. The export is read back two ways, and both must give the trained model's logits.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.export.frozen import Source, frozen_model, open_source
from tritter_assets.export.parity import (
    MAX_TRANSFORMERS_KL_NATS,
    compare_logits,
    eager_transformers,
    load_in_transformers,
    logits_of,
    require_parity,
)
from tritter_assets.export.report import ExportReport
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.loop import deterministic_torch
from tritter_assets.training.model import CONFIG_FILE, MASTERS_FILE, config_json, read_config
from tritter_assets.training.scales import (
    ScaleConvention,
    pack_codes,
    scale_from,
    ternary_codes,
    ternary_values,
    unpack_codes,
    weight_scale_as,
)

if TYPE_CHECKING:
    import torch

STAGE_VERSION = "1"

EXPORT_TABLE = "export/safetensors"

PACKED_QUANTIZATION: dict[str, Any] = {
    "quant_method": "bitnet",
    "linear_class": "bitlinear",
    "quantization_mode": "offline",
    "modules_to_not_convert": ["lm_head"],
}

NUM_THREADS = 2


def code_version() -> str:
    """Returns the version of everything but data that decides this export."""
    return f"{STAGE_VERSION}.{fingerprint_of(PACKED_QUANTIZATION, MAX_TRANSFORMERS_KL_NATS)}"


def export_safetensors(
    lake: Lake,
    model_table: str,
    *,
    fingerprint: str,
    artifacts: ArtifactStore | None = None,
) -> ExportReport:
    """Writes the artifact set `export/safetensors` from a checkpoint.

    Raises:
        MissingProvenance: the checkpoint or its tokenizer is not in the lake.
        TrainingFailed: what was written is not the trained model.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        open_source(lake, model_table, artifacts=artifacts) as source,
    ):
        files = write_packed(source, Path(folder))
        with deterministic_torch(NUM_THREADS):
            report = _judge(source, files)
        store = artifacts or ArtifactStore(lake)
        facts = {
            "model_table": model_table,
            "model_data_version": source.data_version,
            "quantization": report.quantization,
            "tokenizer_sha256": source.facts["tokenizer_sha256"],
            "heldout_loss_masters": report.heldout_loss_masters,
            "heldout_loss_exported": report.heldout_loss_exported,
        }
        state = store.put(EXPORT_TABLE, files, fingerprint=fingerprint, facts=facts)
    return _with(report, data_version=state.data_version, facts=facts)


def write_packed(source: Source, folder: Path) -> dict[str, Path]:
    """Writes the export's files into a folder; one master is in memory at a time."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    with safe_open(source.files[MASTERS_FILE], framework="pt") as masters:
        for name in sorted(masters.keys()):
            master = masters.get_tensor(name)
            if is_ternary(name):
                codes, scale = ternary_codes(master)
                tensors[name] = pack_codes(codes)
                stored = weight_scale_as(scale, ScaleConvention.BITLINEAR)
                tensors[name.removesuffix("weight") + "weight_scale"] = stored
            else:
                tensors[name] = master
    save_file(tensors, folder / MASTERS_FILE, metadata={"format": "pt"})
    config = read_config(source.files[CONFIG_FILE])
    (folder / CONFIG_FILE).write_text(config_json(config, PACKED_QUANTIZATION))
    files = {name: folder / name for name in (MASTERS_FILE, CONFIG_FILE)}
    for name, path in source.tokenizer_files.items():
        shutil.copyfile(path, folder / name)
        files[name] = folder / name
    return files


def read_packed(weights: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Reads an export back: float matrices of ternary layers, and the other parameters."""
    from safetensors.torch import load_file

    tensors = load_file(weights)
    scales = {n: t for n, t in tensors.items() if n.endswith(".weight_scale")}
    values: dict[str, torch.Tensor] = {}
    floats: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        scale = scales.get(name.removesuffix("weight") + "weight_scale")
        if scale is not None:
            inverse = scale_from(scale, ScaleConvention.BITLINEAR)
            values[name] = ternary_values(unpack_codes(tensor), inverse)
        elif name not in scales:
            floats[name] = tensor
    return values, floats


def is_ternary(name: str) -> bool:
    """True for the weight of a ternary layer, by its name."""
    return name.endswith("_proj.weight")


def _judge(source: Source, files: dict[str, Path]) -> ExportReport:
    trained = source.trained_model()
    values, floats = read_packed(files[MASTERS_FILE])
    frozen = frozen_model(files[CONFIG_FILE], values, floats)
    config: Any = trained.config
    batch = source.parity_batch(config.vocab_size, config.max_position_embeddings)
    expected = logits_of(trained, *batch)
    with eager_transformers():
        theirs = logits_of(load_in_transformers(files[CONFIG_FILE], files[MASTERS_FILE]), *batch)
    parity = {
        "frozen": compare_logits(expected, logits_of(frozen, *batch)),
        "transformers": compare_logits(expected, theirs),
    }
    require_parity(parity, "frozen", max_kl_nats=0.0)
    require_parity(parity, "transformers", max_kl_nats=MAX_TRANSFORMERS_KL_NATS)
    count = sum(tensor.numel() for tensor in values.values())
    return ExportReport(
        table=EXPORT_TABLE,
        model_table=source.model_table,
        quantization="bitlinear",
        files={name: path.stat().st_size for name, path in sorted(files.items())},
        ternary_parameters=count,
        bits_per_ternary_weight=2 + 32 * len(values) / count,
        heldout_loss_masters=source.heldout_loss(trained),
        heldout_loss_exported=source.heldout_loss(frozen),
        parity=parity,
    )


def _with(report: ExportReport, **changes: Any) -> ExportReport:
    import dataclasses

    return dataclasses.replace(report, **changes)
