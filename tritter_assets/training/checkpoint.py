"""Resumable training state on disk: safetensors and JSON, each state a folder renamed into place.

A kill at any moment leaves either the former state or the new one, never half of one. The state is
enough to go on bit for bit: masters, both moments, the codes at the last evaluation, the random
generator and the log so far.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KEPT_STATES = 2
_TENSORS, _STATE = "state.safetensors", "state.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedState:
    """A state read back."""

    step: int
    tensors: dict[str, torch.Tensor]
    log: dict[str, Any]


def save_state(
    folder: Path, step: int, tensors: Mapping[str, torch.Tensor], log: Mapping[str, Any]
) -> None:
    """Writes the state after `step` steps, then removes all but the newest two."""
    from safetensors.torch import save_file

    target = folder / f"step_{step:09d}"
    if target.exists():
        return
    unfinished = folder / f"unfinished_{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished / _TENSORS
    )
    (unfinished / _STATE).write_text(json.dumps({"step": step, "log": log}))
    for name in (_TENSORS, _STATE):
        with (unfinished / name).open("rb") as written:
            os.fsync(written.fileno())
    os.rename(unfinished, target)
    for old in _states(folder)[:-KEPT_STATES]:
        shutil.rmtree(old)


def newest_state(folder: Path) -> SavedState | None:
    """Returns the newest state of a folder, or None."""
    from safetensors.torch import load_file

    states = _states(folder)
    if not states:
        return None
    saved = json.loads((states[-1] / _STATE).read_text())
    return SavedState(
        step=saved["step"], tensors=load_file(states[-1] / _TENSORS), log=saved["log"]
    )


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*")) if folder.exists() else []
