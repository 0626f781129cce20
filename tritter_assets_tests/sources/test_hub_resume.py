from __future__ import annotations

import io
import json
import os
import random
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
from tritter_assets.sources.pieces import PieceStore
from tritter_assets_tests.sources.builders import context_of
from tritter_assets_tests.sources.hub_process import COMMIT, REPO, ingest
from tritter_assets_tests.sources.servers import HubServer

NUM_FILES = 6


def _parquet(label: int, rows: int = 40, group: int = 10) -> bytes:
    """Text that does not compress, so that bytes served tell what was read."""
    noise = random.Random(label)
    table = pa.Table.from_pylist(
        [{"text": noise.randbytes(500).hex() if n else "", "name": f"{label}/{n}.py"}
         for n in range(rows)]
    )  # fmt: skip
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=group, compression="none", use_dictionary=False)
    return out.getvalue()


FILES = {f"data/train-{n:02d}.parquet": _parquet(n, rows=30) for n in range(NUM_FILES)}


class CountingServer(HubServer):
    """Counts the bytes it serves of data files, and halts where it is told to."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(REPO, COMMIT, files)
        self.served = 0
        self.halt_at: str | None = None

    def _ranged(self, content: bytes, request: Any) -> tuple[int, bytes, dict[str, str]]:
        while self.halt_at and self.halt_at in request.path:
            time.sleep(0.02)
        found = super()._ranged(content, request)
        self.served += len(found[1])
        return found


@pytest.fixture
def hub() -> Iterator[CountingServer]:
    with CountingServer(FILES).running() as server:
        yield server


def _killed_at(server: CountingServer, folder: Path, name: str, pieces: int) -> None:
    """Starts an ingestion and kills it once it has kept `pieces` and waits for `name`."""
    server.halt_at = name
    command = [sys.executable, "-m", "tritter_assets_tests.sources.hub_process"]
    process = subprocess.Popen([*command, "ingest", server.url, str(folder)])
    kept: list[Path] = []
    for _ in range(3000):
        kept = list((folder / "cache" / "pieces").rglob("*.json"))
        if len(kept) == pieces and any(f"/cdn/{name}" in path for path in server.requests):
            break
        time.sleep(0.01)
    else:
        raise AssertionError(f"the ingestion kept {kept} and asked for {server.requests[-3:]}")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.halt_at = None
    time.sleep(0.2)  # the answer to the dead process is counted as well


def _table(folder: Path) -> pl.DataFrame:
    return Lake.at(folder / "lake").scan("raw/small").collect()


def test_a_killed_shard_goes_on_after_the_last_whole_file(
    hub: CountingServer, tmp_path: Path
) -> None:
    whole = ingest(hub.url, tmp_path / "whole")
    everything = hub.served
    hub.requests.clear()
    _killed_at(hub, tmp_path / "killed", "data/train-04", pieces=4)
    hub.served = 0
    assert ingest(hub.url, tmp_path / "killed") == whole
    assert hub.served < 0.4 * everything
    assert _table(tmp_path / "killed").equals(_table(tmp_path / "whole"))
    assert whole["rows"] == NUM_FILES * 29
    assert whole["skipped"] == {"empty": NUM_FILES}
    assert not list((tmp_path / "killed" / "cache").rglob("*.arrow"))


def test_one_large_file_goes_on_after_the_last_whole_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritter_assets.sources.hub_client._BLOCK_BYTES", 16 << 10)
    files = {"data/train.parquet": _parquet(1, rows=2000, group=400)}
    with CountingServer(files).running() as server:
        whole = ingest(server.url, tmp_path / "whole")
        store = tmp_path / "part" / "cache" / "pieces"
        answer = server._ranged

        def broken(content: bytes, request: Any) -> Any:
            if len(list(store.rglob("*.json"))) == 3:
                return 404, b"{}", {"X-Error-Code": "EntryNotFound"}
            return answer(content, request)

        server._ranged = broken  # type: ignore[method-assign]
        with pytest.raises(Exception, match="no such file"):
            ingest(server.url, tmp_path / "part")
        server._ranged = answer  # type: ignore[method-assign]
        server.served = 0
        assert ingest(server.url, tmp_path / "part") == whole
        assert server.served < 0.6 * len(files["data/train.parquet"])
    assert _table(tmp_path / "part").equals(_table(tmp_path / "whole"))


def _stopped(hub: CountingServer, folder: Path) -> list[Path]:
    """An ingestion that stops at the last file for want of an answer."""
    hub.faults.plan["/cdn/data/train-05"] = ["404"] * 8
    with pytest.raises(Exception, match="train-05"):
        ingest(hub.url, folder)
    hub.faults.plan.clear()
    return sorted((folder / "cache" / "pieces").rglob("*.arrow"))


def test_a_damaged_piece_is_read_again(hub: CountingServer, tmp_path: Path) -> None:
    whole = ingest(hub.url, tmp_path / "whole")
    pieces = _stopped(hub, tmp_path / "damaged")
    raw = bytearray(pieces[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    pieces[0].write_bytes(raw)
    pieces[1].write_bytes(b"")
    pieces[2].with_suffix(".json").write_text('{"sha256": ')
    pieces[3].unlink()
    assert ingest(hub.url, tmp_path / "damaged") == whole
    assert _table(tmp_path / "damaged").equals(_table(tmp_path / "whole"))


def test_pieces_of_another_key_are_removed_and_not_used(
    hub: CountingServer, tmp_path: Path
) -> None:
    _stopped(hub, tmp_path)
    (folder,) = (tmp_path / "cache" / "pieces" / "small" / "000").iterdir()
    folder.rename(folder.with_name("0" * 15))
    hub.served = 0
    ingest(hub.url, tmp_path)
    assert hub.served > sum(len(raw) for raw in FILES.values()) * 0.9
    assert not (tmp_path / "cache" / "pieces" / "small" / "000").exists()


def test_a_replayed_piece_gives_rows_skips_and_encodings_again(tmp_path: Path) -> None:
    from tritter_assets.sources.loader import LoaderContext, SkipReason

    def make(inner: LoaderContext) -> Iterator[pl.DataFrame]:
        inner.skips.add(SkipReason.EMPTY, "f#1", repo="o/r", path="p")
        inner.skips.counts[SkipReason.NOT_SELECTED] += 3
        inner.encodings["utf-8"] += 2
        yield pl.DataFrame({"content": ["a", "b"], "repo": ["r", "r"]})
        yield pl.DataFrame({"content": ["c"], "url": ["u"]})

    def never(inner: LoaderContext) -> Iterator[pl.DataFrame]:
        raise AssertionError("the piece is there")

    found: list[Any] = []
    for source in (make, never):
        context = context_of(tmp_path)
        store = PieceStore(tmp_path / "pieces", "key")
        rows = pl.concat(store.frames("n", source, context), how="diagonal")
        found.append(
            (rows.select("content", "repo", "url").rows(), context.skips.counts,
             context.skips.examples, context.encodings)
        )  # fmt: skip
    assert found[0] == found[1]
    assert found[0][1] == {SkipReason.EMPTY: 1, SkipReason.NOT_SELECTED: 3}
    json.dumps(found[0][0])
