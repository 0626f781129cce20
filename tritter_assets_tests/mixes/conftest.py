from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.lake import Lake
from tritter_assets.mixes import gate
from tritter_assets_tests.mixes.lake_of_rows import permissive_only


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


@pytest.fixture(autouse=True)
def _small_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "admit_frame", permissive_only)
