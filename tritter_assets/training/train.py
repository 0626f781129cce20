"""Trains one phase: a packed table and a parent checkpoint in, a checkpoint with its lineage out.

    in    packed/<phase>_<context>, tokenizer, model/<parent> (unless the first phase)
    out   artifact set model/<phase>: model.safetensors (float32 masters), config.json,
          training_log.json, seen_documents.parquet; facts say what it was made from

Phases 1-3 minimise next-token loss over target tokens, phase 4 the DPO loss against its parent.
A run that was killed goes on from its newest state in the work folder and ends bit-identical to
one that was not. Nothing stored holds a clock reading; speeds are in the report only.

Blind spot: bit-identity holds for one kind of CPU and one set of library versions (both in the
facts); kernels of another instruction set round otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.contracts.profile import TrainingRecipe
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.ancestry import (
    PHASES,
    SEEN_FILE,
    Ancestry,
    model_table,
    read_ancestry,
)
from tritter_assets.training.loop import (
    Progress,
    RunResult,
    Weights,
    deterministic_torch,
    run_steps,
)
from tritter_assets.training.model import (
    CONFIG_FILE,
    MASTERS_FILE,
    MASTERS_QUANTIZATION,
    config_json,
    continued_config,
    count_parameters,
    load_masters,
    new_config,
    new_model,
    read_config,
)
from tritter_assets.training.objective import (
    ALIGNMENT_PHASE,
    CausalObjective,
    Objective,
    PreferenceObjective,
    compute_reference,
)
from tritter_assets.training.optimizer import BETA_1, BETA_2, EPSILON, FINAL_RATE
from tritter_assets.training.order import SequenceOrder
from tritter_assets.training.planner import require_fit
from tritter_assets.training.seen import documents_read, write_seen
from tritter_assets.training.sequences import TRAIN, SequenceStore, open_sequences

if TYPE_CHECKING:
    import torch

STAGE_VERSION = "1"

LOG_FILE = "training_log.json"

TRAINING_ENVIRONMENT: Mapping[str, str] = {
    # Without these glibc gives every large tensor back to the kernel: 13 % of a step (measured).
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
    # Threads that spin at barriers make a shared machine crawl: 60 steps in 22-27 s against 25-68 s
    # beside other work, and no slower alone.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
"""Environment that a process launched to train should have; changes speed, not results."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainReport:
    """What a run did; becomes asset metadata. Speeds are of this process, not of the checkpoint."""

    table: str
    phase: str
    objective: str
    steps: int
    resumed_from_step: int
    loss_before: float
    """Held-out loss before the first step, nats per target token or DPO loss per pair."""
    loss_after: float
    heldout_sequences: int
    trained_tokens: int
    """Tokens through the model over all steps, padding and repeats counted."""
    trained_sequences: int
    num_documents: int
    """Distinct documents read by this run and its ancestors."""
    ternary_parameters: int
    float_parameters: int
    flipped_share: float
    zero_fraction: Mapping[str, float]
    alarms: tuple[str, ...]
    log: Mapping[str, Any]
    """The training log as stored."""
    seconds: float
    tokens_per_second: float
    packed: bool
    size_bytes: int
    data_version: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def code_version(recipe: TrainingRecipe) -> str:
    """Returns the version of everything but data that decides a checkpoint."""
    digest = fingerprint_of(
        dataclasses.asdict(recipe), dict(MASTERS_QUANTIZATION), BETA_1, BETA_2, EPSILON, FINAL_RATE
    )
    return f"{STAGE_VERSION}.{digest}"


def train_phase(
    lake: Lake,
    phase: str,
    *,
    recipe: TrainingRecipe,
    packed_table: str,
    parent: str | None,
    fingerprint: str,
    progress: Progress | None = None,
    work_dir: Path | None = None,
    artifacts: ArtifactStore | None = None,
    packed: bool = False,
    checkpoint_every_steps: int = 50,
    num_threads: int = 2,
    memory_budget_bytes: int | None = None,
) -> TrainReport:
    """Trains a phase and stores its checkpoint as the artifact set `model/<phase>`.

    Args:
        lake: The lake.
        phase: One of `PHASES`.
        recipe: The named run; part of the checkpoint's identity.
        packed_table: `packed/<phase>_<context>`; the context is read from the name.
        parent: Phase or table (`model/<phase>`) to go on from; None starts from the seed.
        fingerprint: What the caller made from code versions and upstream data versions.
        progress: Called with (step, measurements) after every step and evaluation.
        work_dir: Folder for resumable states; without it a killed run starts again.
        artifacts: Store to read and write checkpoints with; needed with a cache for remote lakes.
        packed: Keep 2-bit codes in the model and masters in a host store. Same result, bit for
            bit; a quarter byte instead of four bytes a weight where the model lives.
        checkpoint_every_steps: Steps between states written to `work_dir`.
        num_threads: Threads of torch; results depend on it, so it is fixed and recorded.
        memory_budget_bytes: Refuse to start when the plan exceeds it.

    Raises:
        ContractViolation: phase, recipe, parent and packed table do not fit one another.
        MissingProvenance: the tokenizer or the parent is not in the lake.
        TrainingFailed: the loss left the numbers, or the plan does not fit the budget.
    """
    if phase not in PHASES:
        raise ContractViolation(f"phase {phase!r} is not one of {', '.join(PHASES)}")
    if work_dir is None:
        with tempfile.TemporaryDirectory() as folder:
            return train_phase(
                lake,
                phase,
                recipe=recipe,
                packed_table=packed_table,
                parent=parent,
                fingerprint=fingerprint,
                progress=progress,
                work_dir=Path(folder),
                artifacts=artifacts,
                packed=packed,
                checkpoint_every_steps=checkpoint_every_steps,
                num_threads=num_threads,
                memory_budget_bytes=memory_budget_bytes,
            )
    context = _context_tokens(packed_table)
    if memory_budget_bytes is not None:
        require_fit(recipe, context, packed=packed, budget_bytes=memory_budget_bytes)
    store = artifacts or ArtifactStore(lake, cache=work_dir / "artifacts")
    lineage = read_ancestry(lake, store, phase, packed_table, parent)
    sequences = open_sequences(lake, packed_table, lineage.facts["packed_data_version"], work_dir)
    order = SequenceOrder(
        data_version=lineage.facts["packed_data_version"],
        seed=recipe.seed,
        num_rows=sequences.num_rows(TRAIN),
        batch_rows=recipe.batch_sequences,
    )
    identity = [phase, dataclasses.asdict(recipe), lineage.facts, fingerprint, num_threads, context]
    state_dir = work_dir / f"{phase}-{fingerprint_of(STAGE_VERSION, *identity)}"
    with deterministic_torch(num_threads):
        model = _start_model(recipe, context, lineage)
        sizes = count_parameters(model)
        objective = _objective(model, phase, recipe, sequences, order)
        weights = Weights(model, packed=packed)
        result = run_steps(
            weights,
            objective,
            order,
            recipe,
            state_dir=state_dir,
            checkpoint_every_steps=checkpoint_every_steps,
            progress=progress or (lambda step, measured: None),
        )
        config: Any = model.config
        masters = weights.masters()
    own = documents_read(sequences, order, steps=recipe.steps, phase=phase)
    state_dir.mkdir(parents=True, exist_ok=True)
    num_documents = write_seen(own, lineage.parent_files.get(SEEN_FILE), state_dir / SEEN_FILE)
    facts = {
        **lineage.facts,
        **_run_facts(recipe, order, result, num_threads),
        "context_tokens": context,
        "ternary_parameters": sizes.ternary_parameters,
        "float_parameters": sizes.float_parameters,
        "documents_read": own.height,
        "documents_read_with_ancestors": num_documents,
    }
    files = _write_files(state_dir, masters, config_json(config, MASTERS_QUANTIZATION), result)
    state = store.put(model_table(phase), files, fingerprint=fingerprint, facts=facts)
    size_bytes = sum(path.stat().st_size for path in files.values())
    _clear(work_dir, phase, sequences.path)
    evaluations = result.log["evaluations"]
    return TrainReport(
        table=model_table(phase),
        phase=phase,
        objective=objective.name,
        steps=recipe.steps,
        resumed_from_step=result.resumed_from_step,
        loss_before=evaluations[0]["heldout_loss"],
        loss_after=evaluations[-1]["heldout_loss"],
        heldout_sequences=evaluations[-1]["heldout_sequences"],
        trained_tokens=facts["trained_tokens"],
        trained_sequences=facts["trained_sequences"],
        num_documents=num_documents,
        ternary_parameters=sizes.ternary_parameters,
        float_parameters=sizes.float_parameters,
        flipped_share=result.flipped_share,
        zero_fraction=evaluations[-1]["zero_fraction"],
        alarms=tuple(result.alarms),
        log=result.log,
        seconds=result.seconds,
        tokens_per_second=result.tokens / max(1e-9, result.seconds),
        packed=packed,
        size_bytes=size_bytes,
        data_version=state.data_version,
        facts=facts,
    )


def _start_model(recipe: TrainingRecipe, context: int, lineage: Ancestry) -> torch.nn.Module:
    if lineage.vocabulary.num_tokens > recipe.vocab_size:
        raise ContractViolation(
            f"the tokenizer uses {lineage.vocabulary.num_tokens} ids and the recipe's vocab_size "
            f"is {recipe.vocab_size}: make vocab_size at least that"
        )
    if not lineage.parent_files:
        return new_model(new_config(recipe, context, lineage.vocabulary), recipe.seed)
    from safetensors.torch import load_file

    parent_config = read_config(lineage.parent_files[CONFIG_FILE])
    model = new_model(continued_config(parent_config, recipe, context), recipe.seed)
    load_masters(model, load_file(lineage.parent_files[MASTERS_FILE]))
    return model


def _objective(
    model: torch.nn.Module,
    phase: str,
    recipe: TrainingRecipe,
    sequences: SequenceStore,
    order: SequenceOrder,
) -> Objective:
    if phase != ALIGNMENT_PHASE:
        return CausalObjective(sequences, recipe.batch_sequences)
    reference = compute_reference(
        model,
        sequences,
        batches=order.batch,
        steps=recipe.steps,
        batch_rows=recipe.batch_sequences,
    )
    return PreferenceObjective(sequences, recipe.batch_sequences, recipe.dpo_beta, reference)


def _run_facts(
    recipe: TrainingRecipe, order: SequenceOrder, result: RunResult, num_threads: int
) -> dict[str, Any]:
    import torch

    evaluations = result.log["evaluations"]
    return {
        "objective": result.log["objective"],
        "recipe": dataclasses.asdict(recipe),
        "steps": recipe.steps,
        "trained_tokens": sum(entry["tokens"] for entry in result.log["steps"]),
        "trained_sequences": recipe.steps * recipe.batch_sequences,
        "order": {
            "algorithm": "feistel",
            "data_version": order.data_version,
            "seed": order.seed,
            "num_rows": order.num_rows,
            "batch_rows": order.batch_rows,
        },
        "heldout_loss_before": evaluations[0]["heldout_loss"],
        "heldout_loss_after": evaluations[-1]["heldout_loss"],
        "flipped_share": result.flipped_share,
        "alarms": list(result.alarms),
        "num_threads": num_threads,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _write_files(
    folder: Path, masters: Mapping[str, torch.Tensor], config: str, result: RunResult
) -> dict[str, Path]:
    from safetensors.torch import save_file

    save_file(
        {name: tensor.contiguous() for name, tensor in masters.items()},
        folder / MASTERS_FILE,
        metadata={"format": "pt"},
    )
    (folder / CONFIG_FILE).write_text(config)
    (folder / LOG_FILE).write_text(json.dumps(result.log, indent=1) + "\n")
    names = (MASTERS_FILE, CONFIG_FILE, LOG_FILE, SEEN_FILE)
    return {name: folder / name for name in names}


def _clear(work_dir: Path, phase: str, sequences: Path) -> None:
    """Removes what only a resumed run needs, states of runs that were given up included."""
    for states in work_dir.glob(f"{phase}-*"):
        shutil.rmtree(states)
    sequences.unlink()


def _context_tokens(packed_table: str) -> int:
    found = re.fullmatch(r"packed/\w+_(\d+)", packed_table)
    if found is None:
        raise ContractViolation(
            f"{packed_table!r} does not end in its context length: expected packed/<phase>_<tokens>"
        )
    return int(found[1])
