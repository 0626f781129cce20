"""Runs in a process of its own: one shard from a local Hub, or rows as `datasets` streams them.

python -m tritter_assets_tests.sources.hub_process ingest ENDPOINT FOLDER
python -m tritter_assets_tests.sources.hub_process stream ENDPOINT FOLDER DATA_FILE...
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tritter_assets.contracts.source import HubOrigin, SourceContract

REPO, COMMIT = "org/data", "a" * 40


def contract() -> SourceContract:
    from tritter_assets_tests.sources.builders import contract_of

    return contract_of(
        HubOrigin(repo=REPO, revision=COMMIT), columns={"content": "text", "path": "name"}
    )


def ingest(endpoint: str, folder: Path) -> dict[str, Any]:
    """Ingests the shard with parts of 50 kB; returns what the report says."""
    from tritter_assets.lake import Lake, fingerprint_of
    from tritter_assets.sources.hub import HubLoader
    from tritter_assets.sources.hub_client import HubClient
    from tritter_assets.sources.ingest import ingest_shard
    from tritter_assets_tests.sources.builders import without_licences

    with without_licences() as policy:
        report = ingest_shard(
            Lake.at(folder / "lake"),
            contract(),
            "000",
            policy=policy,
            cache=folder / "cache",
            fingerprint=fingerprint_of("test"),
            project_root=folder,
            loader=HubLoader(client=HubClient(endpoint=endpoint, token=False), part_bytes=50_000),
        )
    return {"data_version": report.data_version, "rows": report.num_rows, "skipped": report.skipped}


def stream(endpoint: str, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of each data file as the Hub's own client gives them."""
    os.environ["HF_ENDPOINT"] = endpoint
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    from datasets import load_dataset

    return {
        name: list(
            load_dataset(REPO, data_files=name, revision=COMMIT, split="train", streaming=True)
        )
        for name in names
    }


if __name__ == "__main__":
    kind, at, where, *rest = sys.argv[1:]
    found = ingest(at, Path(where)) if kind == "ingest" else stream(at, rest)
    sys.stdout.write(json.dumps(found) + "\n")
