from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tritter_assets.contracts.policy import Policy, load_policy
from tritter_assets.contracts.source import LicenceFacts, Origin, SdistOrigin, SourceContract
from tritter_assets.record import Modality

POLICY_FOLDER = Path(__file__).parents[2] / "data_contracts" / "policy"


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy(POLICY_FOLDER)


def contract_of(
    origin: Origin | None = None, licence: LicenceFacts | None = None, **changes: Any
) -> SourceContract:
    facts: dict[str, Any] = {
        "id": "small",
        "title": "Small",
        "description": "For tests.",
        "owner": "team:data",
        "tier": 3,
        "priority": 10,
        "modality": Modality.CODE,
        "languages": ("python",),
        "profiles": ("starter",),
        "columns": {},
        "num_shards": 1,
    }
    return SourceContract(
        origin=origin or SdistOrigin(package="small", version="1.0", sha256="0" * 64),
        licence=licence or LicenceFacts(),
        **(facts | changes),
    )
