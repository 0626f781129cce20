"""Writing and reading one paper of a small lake."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.compliance.report import ReportSummary
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets_tests.lineage import small_lake as small

STATED = {
    "name": "Example Models Ltd",
    "contact": "rights@example.org",
    "authorised_representative": "not applicable",
    "placed_on_market": "2026-12-01",
    "enterprise": "sme",
    "code_of_practice": True,
    "user_interactions": False,
    "other_services": False,
    "weights_license": "apache-2.0",
    "summary_version": "1.0",
    "summary_date": "2026-11-24",
}
"""Every field that the template asks of a provider."""


def catalog_with_provider(folder: Path, stated: Mapping[str, Any], **changes: Any) -> Catalog:
    """The small lake's catalogue over a copy of the policy in which a provider states something."""
    root = folder / "data_contracts"
    shutil.copytree(small.CONTRACTS, root)
    days = {k: v for k, v in stated.items() if k in ("placed_on_market", "summary_date")}
    text = yaml.safe_dump({k: v for k, v in stated.items() if k not in days})
    text += "".join(f"{key}: {day}\n" for key, day in days.items())
    (root / "policy" / "provider.yaml").write_text(text)
    return dataclasses.replace(small.full_catalog(**changes), root=root)


def write(
    lake: Lake, report: Callable[..., ReportSummary], catalog: Catalog | None = None
) -> ReportSummary:
    return report(lake, catalog=catalog or small.full_catalog(), fingerprint=small.FINGERPRINT)


def read(lake: Lake, asset: str, name: str) -> str:
    return ArtifactStore(lake).open_local(asset, name).read_text("utf-8")


def read_json(lake: Lake, asset: str, name: str) -> Any:
    return json.loads(read(lake, asset, name))
