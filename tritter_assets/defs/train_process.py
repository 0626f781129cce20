"""The training process: started by `defs/training.py`, reports through Dagster Pipes.

A process of its own gives memory back to the system, keeps CUDA away from forks, and dies alone.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from dagster_pipes import PipesContext, open_dagster_pipes

from tritter_assets.settings import load_settings
from tritter_assets.training.train import train_phase

_STORED_WITH_THE_MODEL = ("log", "facts")


def main() -> None:
    """Trains the phase named by the Pipes extras and reports its figures."""
    with open_dagster_pipes() as pipes:
        settings = load_settings()
        lake = settings.lake()
        phase: str = pipes.get_extra("phase")
        report = train_phase(
            lake,
            phase,
            recipe=settings.catalog().profile.training[phase],
            packed_table=pipes.get_extra("packed_table"),
            parent=pipes.get_extra("parent"),
            fingerprint=pipes.get_extra("fingerprint"),
            progress=_progress(pipes, phase),
            work_dir=settings.cache / "training" / phase,
        )
        figures = json.loads(json.dumps(dataclasses.asdict(report), default=str))
        pipes.report_asset_materialization(
            metadata={
                f"tritter/{key}": _as_metadata(value)
                for key, value in figures.items()
                if value is not None and key not in _STORED_WITH_THE_MODEL
            }
        )


def _as_metadata(value: Any) -> Any:
    return {"raw_value": value, "type": "json"} if isinstance(value, dict | list) else value


def _progress(pipes: PipesContext, phase: str) -> Any:
    def progress(step: int, figures: dict[str, Any]) -> None:
        if "heldout_loss" not in figures:
            return  # every step stands in training_log.json; people read the evaluations
        shown = ", ".join(
            f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in figures.items()
            if isinstance(value, int | float)
        )
        pipes.log.info(f"{phase} step {step}: {shown}")

    return progress


if __name__ == "__main__":
    main()
