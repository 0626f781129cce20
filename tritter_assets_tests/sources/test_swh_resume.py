from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tritter_assets.lake import Lake
from tritter_assets.sources.ledger import read_ledger
from tritter_assets_tests.sources.blob_servers import BlobServer, git_id
from tritter_assets_tests.sources.servers import HubServer
from tritter_assets_tests.sources.swh_process import COMMIT, REPO, ingest

CONTENTS = [f"def f{n}():\n    return {n}\n".encode() for n in range(40)]
IDS = [git_id(raw) for raw in CONTENTS]
GROUP = 8
MISSING = (IDS[3], IDS[30])
HELD = IDS[2 * GROUP + 4]


def _ids_file() -> bytes:
    rows = [
        {
            "blob_id": blob_id,
            "src_encoding": "UTF-8",
            "repo_name": "owner/name",
            "path": f"f{n}.py",
        }
        for n, blob_id in enumerate(IDS)
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=GROUP)
    return out.getvalue()


class _Bucket(BlobServer):
    held: str | None = None

    def handle(self, request: Any, body: bytes) -> None:
        while self.held and request.path.endswith(self.held):
            self.asked[self.held] = 1
            time.sleep(0.01)
        super().handle(request, body)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, _Bucket]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    bucket = _Bucket.of(*CONTENTS)
    assert isinstance(bucket, _Bucket)
    for blob_id in MISSING:
        del bucket.blobs[blob_id]
    hub = HubServer(REPO, COMMIT, {"data/train-0.parquet": _ids_file()})
    with hub.running(), bucket.running():
        yield hub.url, bucket


def _stored(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    lake = Lake.at(folder / "lake")
    return lake.scan("raw/small").collect(), read_ledger(lake, "small", "000")


def test_blobs_of_a_killed_shard_are_not_fetched_again(
    servers: tuple[str, _Bucket], tmp_path: Path
) -> None:
    hub, bucket = servers
    whole = ingest(hub, bucket.url, tmp_path / "whole")
    assert whole.num_rows == len(CONTENTS) - len(MISSING)
    assert whole.skipped == {"blob_missing": len(MISSING)}
    assert set(bucket.asked.values()) == {1}

    bucket.asked.clear()
    bucket.held = HELD
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "tritter_assets_tests.sources.swh_process"]
    process = subprocess.Popen([*command, hub, bucket.url, str(folder)])
    for _ in range(3000):
        if bucket.asked[HELD] and len(list((folder / "cache").rglob("pieces/**/*.json"))) == 2:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    bucket.held = None
    time.sleep(0.1)  # what the dead process asked for is counted first
    assert not Lake.at(folder / "lake").exists("raw/small")

    bucket.asked.clear()
    again = ingest(hub, bucket.url, folder)
    assert again == whole
    assert set(bucket.asked) == set(IDS[2 * GROUP :])
    for ours, theirs in zip(_stored(folder), _stored(tmp_path / "whole"), strict=True):
        assert ours.equals(theirs)
    assert _stored(folder)[1]["path"].sort().to_list() == ["f3.py", "f30.py"]
    assert not list((folder / "cache").rglob("*.arrow"))
