"""The small project with one source on a Hub, for tests of what its upstream does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.corpus import write_project

REPO = "org/data"
SOURCE = "hub_code"

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: hub_code
name: Hub code
version: 1.0.0
status: active
description: {purpose: Code on a Hub.}
team: {name: data}
tags: [code]
schema:
  - name: rows
    physicalType: parquet
    properties:
      - {name: text, logicalType: string, required: true}
      - {name: repo, logicalType: string}
      - {name: lic, logicalType: string}
customProperties:
  # Where the rows are.
  - property: origin
    value:
      kind: hub
      repo: org/data
      revision: unpinned  # the Hub was out of reach
      file_format: parquet
  - property: columns
    value: {content: text, repo: repo}
  - property: licence
    value: {content: NOASSERTION, row_column: lic, wrapper: MIT, access_terms: none,
            generator: human, claimed: MIT, found: per row, evidence: card, as_of: 2026-11-24}
  - {property: tier, value: 3}
  - {property: priority, value: 5}
  - {property: modality, value: code}
  - {property: languages, value: [python]}
  - {property: profiles, value: [starter]}
  - {property: shards, value: 2}
"""


def write_hub_project(folder: Path, *, text: str = CONTRACT) -> Settings:
    """Writes the project and adds the source to it."""
    write_project(folder)
    contract_file(folder).write_text(text)
    return load_settings(folder, {})


def contract_file(folder: Path) -> Path:
    """Where the contract of the source stands."""
    return folder / "data_contracts" / "sources" / f"{SOURCE}.yaml"


def custom_property(folder: Path, name: str) -> Any:
    """Returns the value of a custom property as it stands in the file."""
    listed = yaml.safe_load(contract_file(folder).read_text())["customProperties"]
    return next((item["value"] for item in listed if item["property"] == name), None)
