"""Data files inside a zip at an address, and contracts whose hash is not known yet."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.contracts.source import HttpOrigin
from tritter_assets.errors import ContractViolation, UnsafeArchive, UpstreamChanged
from tritter_assets.sources.http import HttpLoader
from tritter_assets.sources.loader import Limits
from tritter_assets_tests.sources.builders import context_of, contract_of, sha256
from tritter_assets_tests.sources.servers import IndexServer

COLUMNS = {"content": "msg", "path": "id"}


def _lines(count: int, start: int = 0) -> bytes:
    rows = ({"id": n, "msg": f"note {n}"} for n in range(start, start + count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _zip(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return out.getvalue()


FILES = {
    "Comments/train-0.jsonl": _lines(3),
    "Comments/train-1.jsonl": _lines(2, 10),
    "Comments/test.jsonl": _lines(2, 100),
    "Comments/README.txt": b"about",
}


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer({"pkg": {"notes.zip": _zip(FILES)}}).running() as running:
        yield running


def _contract(server: IndexServer, name: str = "notes.zip", **changes: Any):
    facts: dict[str, Any] = {
        "url": f"{server.url}/files/pkg/{name}",
        "sha256": sha256(server.packages["pkg"][name]),
        "file_format": "zip",
        "inner_format": "jsonl",
        "include": ("**/*train*.jsonl",),
    }
    return contract_of(HttpOrigin(**(facts | changes)), columns=COLUMNS)


def test_rows_come_from_the_chosen_members(server: IndexServer, tmp_path: Path) -> None:
    loader, contract, context = HttpLoader(), _contract(server), context_of(tmp_path)
    files = loader.plan(contract, context)
    assert [file.name for file in files] == ["Comments/train-0.jsonl", "Comments/train-1.jsonl"]
    rows = pl.concat(loader.read(contract, files, context))
    assert rows["content"].to_list() == ["note 0", "note 1", "note 2", "note 10", "note 11"]
    assert rows["path"].to_list() == ["0", "1", "2", "10", "11"]
    assert rows["revision"].unique().to_list() == [contract.origin.sha256]  # type: ignore[union-attr]
    second = pl.concat(loader.read(contract, files[1:], context))
    assert second["content"].to_list() == ["note 10", "note 11"]
    assert loader.evidence(contract, context) == {}


def test_globs_that_select_nothing_say_so(server: IndexServer, tmp_path: Path) -> None:
    contract = _contract(server, include=("Nothing/*.jsonl",))
    with pytest.raises(UpstreamChanged, match=r"no jsonl file that .*Nothing.* selects"):
        HttpLoader().plan(contract, context_of(tmp_path))


def test_a_member_is_streamed_and_the_limits_hold(server: IndexServer, tmp_path: Path) -> None:
    server.packages["pkg"]["bomb.zip"] = _zip({"train.jsonl": b'{"msg": "' + b" " * (40 << 20)})
    contract = _contract(server, "bomb.zip")
    loader, context = HttpLoader(), context_of(tmp_path)
    files = loader.plan(contract, context)
    with pytest.raises(UnsafeArchive, match="a ratio above 100"):
        list(loader.read(contract, files, context))
    whole = context_of(tmp_path, limits=Limits(member_bytes=10))
    assert len(loader.plan(_contract(server), whole)) == 2  # a streamed member may be large
    small = context_of(tmp_path, limits=Limits(total_bytes=30))
    with pytest.raises(UnsafeArchive, match="more than 30 bytes"):
        list(loader.read(_contract(server), loader.plan(_contract(server), small), small))


@pytest.mark.parametrize(
    ("files", "links", "why"),
    [
        ({"../train.jsonl": b"{}"}, {}, "leaves the archive's folder"),
        ({"/train.jsonl": b"{}"}, {}, "absolute path"),
        ({"train.jsonl": b"{}"}, {"x.jsonl": "/etc/passwd"}, "is a link"),
    ],
)
def test_a_hostile_archive_is_refused_at_the_plan(
    server: IndexServer, tmp_path: Path, files: dict[str, bytes], links: dict[str, str], why: str
) -> None:
    server.packages["pkg"]["bad.zip"] = _zip(files, links)
    with pytest.raises(UnsafeArchive, match=why):
        HttpLoader().plan(_contract(server, "bad.zip"), context_of(tmp_path))


def test_a_damaged_member_is_told(server: IndexServer, tmp_path: Path) -> None:
    raw = bytearray(_zip({"train.jsonl": _lines(500)}))
    raw[60:64] = b"\xff\xff\xff\xff"
    server.packages["pkg"]["cut.zip"] = bytes(raw)
    contract, context = _contract(server, "cut.zip"), context_of(tmp_path)
    files = HttpLoader().plan(contract, context)
    with pytest.raises(UnsafeArchive, match=r"cut\.zip is damaged or is no zip"):
        list(HttpLoader().read(contract, files, context))


def test_what_is_not_pinned_is_never_fetched(server: IndexServer, tmp_path: Path) -> None:
    contract, context = _contract(server, sha256="unpinned"), context_of(tmp_path)
    with pytest.raises(ContractViolation, match="sha256sum"):
        HttpLoader().plan(contract, context)
    assert server.requests == []
    assert HttpLoader().pinned_digest(contract, context) != HttpLoader().pinned_digest(
        _contract(server), context
    )
