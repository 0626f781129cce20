from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tritter_assets.contracts.source import HubOrigin, SourceContract
from tritter_assets.errors import UpstreamChanged
from tritter_assets.sources.hub import HubLoader
from tritter_assets.sources.hub_client import HubClient
from tritter_assets.sources.loader import Limits
from tritter_assets_tests.sources.builders import context_of, contract_of
from tritter_assets_tests.sources.hub_process import COMMIT, REPO
from tritter_assets_tests.sources.servers import HubServer

ROWS = [
    {"text": f'x = {n}\n"quoted, with \u00e9"\n', "name": f"a/{n}.py", "by": f"o{n % 2}/r"}
    for n in range(7)
]
TABLE = pa.Table.from_pylist(ROWS)


def _ipc(stream: bool, dictionary: bool = False) -> bytes:
    table = TABLE
    if dictionary:
        table = table.set_column(2, "by", table.column("by").dictionary_encode())
    out = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(TABLE, out, row_group_size=2)
    return out.getvalue()


def _csv(delimiter: str = ",") -> bytes:
    out = io.BytesIO()
    pacsv.write_csv(TABLE, out, pacsv.WriteOptions(delimiter=delimiter))
    return out.getvalue()


def _zstd(raw: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(raw)
    return out.getvalue().to_pybytes()


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
PRETTY = json.dumps(ROWS, indent=2).encode()

FILES: dict[str, tuple[str, bytes]] = {
    "rows.parquet": ("parquet", _parquet()),
    "rows.jsonl": ("jsonl", LINES),
    "rows.json": ("jsonl", PRETTY),
    "marked.json": ("jsonl", b"\xef\xbb\xbf" + LINES),
    "rows.jsonl.gz": ("jsonl", gzip.compress(LINES[:300]) + gzip.compress(LINES[300:])),
    "rows.json.gz": ("jsonl", gzip.compress(PRETTY)),
    "rows.jsonl.zst": ("jsonl", _zstd(LINES)),
    "rows.jsonl.xz": ("jsonl", lzma.compress(LINES)),
    "rows.jsonl.bz2": ("jsonl", bz2.compress(LINES)),
    "rows.csv": ("csv", _csv()),
    "rows.csv.gz": ("csv", gzip.compress(_csv())),
    "rows.tsv": ("csv", _csv("\t")),
    "file.arrow": ("arrow", _ipc(stream=False)),
    "stream.arrow": ("arrow", _ipc(stream=True)),
    "coded.feather": ("arrow", _ipc(stream=False, dictionary=True)),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    files = {f"d/{name}": raw for name, (_, raw) in FILES.items()}
    with HubServer(REPO, COMMIT, files).running() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)


def _contract(name: str, file_format: str) -> SourceContract:
    origin = HubOrigin(
        repo=REPO, revision=COMMIT, data_files=(f"d/{name}",), file_format=file_format
    )
    return contract_of(origin, columns={"content": "text", "path": "name", "repo": "by"})


def _read(server: HubServer, contract: SourceContract, folder: Path, **limits: int) -> pl.DataFrame:
    loader = HubLoader(client=HubClient(endpoint=server.url, token=False))
    context = context_of(folder, limits=Limits(**limits))
    frames = list(loader.read(contract, loader.plan(contract, context), context))
    assert context.skips.counts == {}
    return pl.concat(frames)


@pytest.mark.parametrize("frame_rows", [2, 100])
@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_rows(
    hub: HubServer, tmp_path: Path, name: str, frame_rows: int
) -> None:
    rows = _read(hub, _contract(name, FILES[name][0]), tmp_path, frame_rows=frame_rows)
    assert rows.select("content", "path", "repo", "owner").rows() == [
        (row["text"], row["name"], row["by"], row["by"][:2]) for row in ROWS
    ]


def _streamed(
    server: HubServer, folder: Path, names: tuple[str, ...]
) -> dict[str, list[dict[str, Any]]]:
    """What the `datasets` client of the Hub reads from the same server."""
    command = [sys.executable, "-m", "tritter_assets_tests.sources.hub_process", "stream"]
    done = subprocess.run(
        [*command, server.url, str(folder), *(f"d/{name}" for name in names)],
        env={"PATH": "/usr/bin:/bin", "HF_HOME": str(folder / "hf")},
        cwd=Path(__file__).parents[2],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_rows_are_those_of_the_hubs_own_client(hub: HubServer, tmp_path: Path) -> None:
    names = ("rows.parquet", "rows.jsonl", "rows.jsonl.gz", "rows.csv")
    theirs = _streamed(hub, tmp_path, names)
    for name in names:
        ours = _read(hub, _contract(name, FILES[name][0]), tmp_path)
        found = ours.select(text="content", name="path", by="repo").to_dicts()
        assert found == theirs[f"d/{name}"] == ROWS


@pytest.mark.parametrize(
    ("file_format", "raw"),
    [
        ("parquet", b"PAR1 not really PAR1"),
        ("parquet", _parquet()[:-9] + b"\0" * 9),
        ("arrow", b"ARROW1 but no more"),
        ("arrow", b"no stream at all"),
        ("csv", b'text,name,by\n"a,b\n'),
        ("jsonl.gz", gzip.compress(LINES)[:-20]),
        ("jsonl.gz", b"not gzip"),
        ("jsonl.zst", _zstd(LINES)[:10] + b"broken"),
        ("jsonl.xz", b"not xz"),
        ("jsonl", b'{"text": "\xff"}\n'),
        ("parquet", io.BytesIO(b"").getvalue() + b"x"),
    ],
)
def test_a_file_in_another_format_is_told(tmp_path: Path, file_format: str, raw: bytes) -> None:
    name = f"d/broken.{file_format}"
    kind = file_format.split(".", maxsplit=1)[0]
    with HubServer(REPO, COMMIT, {name: raw}).running() as server:
        contract = _contract(f"broken.{file_format}", kind)
        with pytest.raises(UpstreamChanged, match=f"broken.*is not the {kind} file"):
            _read(server, contract, tmp_path)


def test_text_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    out = io.BytesIO()
    table = pa.table({"text": bad, "name": ["n"], "by": ["o/r"]})
    pq.write_table(table, out)
    with (
        HubServer(REPO, COMMIT, {"d/bad.parquet": out.getvalue()}).running() as server,
        pytest.raises(UpstreamChanged, match=r"bad\.parquet is not the parquet file"),
    ):
        _read(server, _contract("bad.parquet", "parquet"), tmp_path)
