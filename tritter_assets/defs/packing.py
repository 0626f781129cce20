"""tokenizer and packed/<phase>_<context>."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritter_assets.defs.audit import license_audit_check
from tritter_assets.defs.checks import packed_lineage_check
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.lake.artifacts import MANIFEST_SCHEMA
from tritter_assets.packing import pack, tokenizer


def packing_stages(base: Platform) -> Iterable[Stage]:
    """Declares the tokenizer and one packed table per phase and context length."""
    profile = base.catalog.profile
    phases = tuple(base.catalog.mixes)
    vocab_size = next(iter(profile.training.values())).vocab_size

    def train(step: Step) -> Any:
        return tokenizer.train_tokenizer(
            step.lake, phases=phases, vocab_size=vocab_size, fingerprint=step.fingerprint
        )

    yield Stage(
        key="tokenizer",
        group=Group.PACKING,
        description=f"Byte-level BPE of {vocab_size:,} tokens, trained on a sample of the mixes.",
        code_version=tokenizer.code_version(phases=phases, vocab_size=vocab_size),
        work=train,
        deps=tuple(f"mix/{phase}" for phase in phases),
        schema=MANIFEST_SCHEMA,
        kinds=frozenset({"huggingface"}),
        owner="team:training",
    )
    for phase in phases:
        for context_tokens in profile.contexts.get(phase, ()):
            key = f"packed/{phase}_{context_tokens}"
            yield Stage(
                key=key,
                group=Group.PACKING,
                description=(
                    f"Sequences of {context_tokens:,} tokens for {phase}; every token can be "
                    "traced to its document."
                ),
                code_version=pack.code_version(phase, context_tokens, base.catalog),
                work=_pack(phase, context_tokens),
                deps=("tokenizer", f"mix/{phase}"),
                schema=pack.PACKED_SCHEMA,
                owner="team:training",
                tags={"phase": phase, "context_tokens": str(context_tokens)},
                checks=(license_audit_check(key), packed_lineage_check(key)),
            )


def _pack(phase: str, context_tokens: int) -> Any:
    def work(step: Step) -> Any:
        return pack.pack_phase(
            step.lake,
            phase,
            context_tokens,
            catalog=step.catalog,
            fingerprint=step.fingerprint,
        )

    return work
