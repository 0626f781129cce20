"""export/{safetensors,gguf,model_card}: what a person downloads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritter_assets.contracts.provider import provider_digest
from tritter_assets.defs.audit import license_audit_check, require_admitted
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake.artifacts import MANIFEST_SCHEMA


def export_stages(base: Platform, model: str) -> Iterable[Stage]:
    """Declares the exports of the last checkpoint, `model`."""
    from tritter_assets.compliance import model_card
    from tritter_assets.export import gguf, safetensors

    def export_safetensors(step: Step) -> Any:
        require_admitted(step.platform, model)
        return safetensors.export_safetensors(step.lake, model, fingerprint=step.fingerprint)

    def export_gguf(step: Step) -> Any:
        require_admitted(step.platform, model)
        return gguf.export_gguf(step.lake, model, fingerprint=step.fingerprint)

    def write_card(step: Step) -> Any:
        return model_card.write_model_card(
            step.lake, catalog=step.catalog, fingerprint=step.fingerprint
        )

    yield Stage(
        key="export/safetensors",
        group=Group.EXPORT,
        description=(
            "Weights packed to 2 bits with their scales, loadable by transformers, and tokenizer."
        ),
        code_version=safetensors.code_version(),
        work=export_safetensors,
        deps=(model, "tokenizer"),
        schema=MANIFEST_SCHEMA,
        kinds=frozenset({"huggingface"}),
        owner="team:training",
        checks=(license_audit_check("export/safetensors"),),
    )
    yield Stage(
        key="export/gguf",
        group=Group.EXPORT,
        description="One GGUF file with ternary tensors for llama.cpp.",
        code_version=gguf.code_version(),
        work=export_gguf,
        deps=(model, "tokenizer"),
        schema=MANIFEST_SCHEMA,
        kinds=frozenset({"gguf"}),
        owner="team:training",
        checks=(license_audit_check("export/gguf"),),
    )
    yield Stage(
        key="export/model_card",
        group=Group.EXPORT,
        description="Model card: data, licences, obligations, training figures and limits.",
        code_version=model_card.code_version(),
        work=write_card,
        deps=(
            model,
            "compliance/license_audit",
            *(f"mix/{phase}" for phase in base.catalog.mixes),
        ),
        extra_inputs=lambda platform, _: provider_digest(platform.catalog.root),
        schema=MANIFEST_SCHEMA,
        kinds=frozenset({"markdown"}),
        owner="team:compliance",
    )
