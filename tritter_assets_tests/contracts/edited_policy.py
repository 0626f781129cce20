"""Copies of the shipped policy with edits, for the tests of what edits may do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.contracts.policy import Policy, load_policy

FOLDER = Path(__file__).parents[2] / "data_contracts" / "policy"
TODAY = date(2026, 11, 24)
DECISION = {
    "id": "d1",
    "kind": "admit_license",
    "subject": "MPL-2.0",
    "use_profiles": ["brief"],
    "who": "Jane Doe <jane@example.org>",
    "when": date(2026, 11, 2),
    "evidence": "opinion of 2 November",
    "expires": date(2027, 11, 2),
}

Edit = Callable[[Any], None]


def edited(folder: Path, **edits: Edit) -> Path:
    """Copies the shipped policy and edits files by name."""
    target = folder / "policy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(FOLDER, target, ignore=shutil.ignore_patterns("license_texts", "malware"))
    for name, edit in edits.items():
        path = target / f"{name}.yaml"
        data = yaml.safe_load(path.read_text("utf-8"))
        edit(data)
        path.write_text(yaml.safe_dump(data), "utf-8")
    return target


def decided(folder: Path, **changes: Any) -> Policy:
    def edit(data: Any) -> None:
        data["decisions"] = [DECISION | changes]

    return load_policy(edited(folder, decisions=edit), today=TODAY)
