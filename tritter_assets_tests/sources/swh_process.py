"""Runs in a process of its own: one shard of blob ids from a local Hub and a local bucket.

python -m tritter_assets_tests.sources.swh_process HUB BUCKET FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tritter_assets.contracts.source import HubOrigin, LicenceFacts
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.sources.hub import HubLoader
from tritter_assets.sources.hub_client import HubClient
from tritter_assets.sources.ingest import ingest_shard
from tritter_assets.sources.swh import BlobStore
from tritter_assets_tests.sources.builders import contract_of, without_licences

REPO, COMMIT = "org/ids", "a" * 40


def ingest(hub: str, bucket: str, folder: Path) -> Any:
    """Ingests the shard; returns its report."""
    contract = contract_of(
        HubOrigin(repo=REPO, revision=COMMIT, content_from="swh"),
        columns={"repo": "repo_name", "path": "path", "revision": "blob_id"},
        licence=LicenceFacts(content="MIT"),
    )
    loader = HubLoader(
        client=HubClient(endpoint=hub, token=False),
        blobs=BlobStore(endpoint=bucket, workers=2, base_pause_seconds=0.01),
    )
    with without_licences() as policy:
        return ingest_shard(
            Lake.at(folder / "lake"),
            contract,
            "000",
            policy=policy,
            cache=folder / "cache",
            fingerprint=fingerprint_of("test"),
            project_root=folder,
            loader=loader,
        )


if __name__ == "__main__":
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    ingest(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
