from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.contracts.source import FileOrigin, HttpOrigin, LicenceFacts
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.record import Modality
from tritter_assets.sources.download import RetryPolicy
from tritter_assets.sources.file import FileLoader
from tritter_assets.sources.http import HttpLoader
from tritter_assets.sources.ingest import upstream_digest
from tritter_assets.sources.loader import SkipReason
from tritter_assets_tests.sources.builders import (
    SMALL_TREE,
    context_of,
    contract_of,
    deb,
    sha256,
    tar_gz,
)
from tritter_assets_tests.sources.servers import IndexServer

ROWS = [
    {"repo": "a/b", "path": "LICENSE", "content": "MIT License\n", "license_declared": "MIT"},
    {"repo": "a/b", "path": "x.py", "content": "x = 1\n", "license_declared": "MIT",
     "author_emails": ["a@example.org"], "split": "train"},
    {"repo": "c/d", "path": "y.rs", "content": "fn y() {}\n", "license_declared": None,
     "owner": "someone"},
]  # fmt: skip
DOCS = {
    "copyright": b"License: MIT\n",
    "html/a.html": b"<nav>Other pages</nav><main><h1>A</h1><p>Text.</main>",
    "html/logo.svg": b"<svg/>",
}
COLUMNS = {
    name: name
    for name in ("repo", "path", "content", "license_declared", "author_emails", "split", "owner")
}


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def server() -> Iterator[IndexServer]:
    files = {
        "tree.tar.gz": tar_gz(SMALL_TREE),
        "rows.jsonl.gz": gzip.compress(_lines(ROWS).encode()),
        "docs_1-1_all.deb": deb(tar_gz(DOCS, top="./usr/share/doc/pkg")),
    }
    with IndexServer({"pkg": files}).running() as running:
        yield running


def _http(server: IndexServer, name: str, file_format: str, **changes: Any):
    raw = server.packages["pkg"][name]
    origin = HttpOrigin(
        url=f"{server.url}/files/pkg/{name}", sha256=sha256(raw), file_format=file_format
    )
    return contract_of(origin, **changes)


def test_an_archive_at_an_address(server: IndexServer, tmp_path: Path) -> None:
    loader = HttpLoader(retries=RetryPolicy(sleep=lambda _: None))
    contract, context = _http(server, "tree.tar.gz", "tar"), context_of(tmp_path)
    server.faults.plan["tree"] = ["truncate", "503"]
    files = loader.plan(contract, context)
    rows = pl.concat(loader.read(contract, files, context))
    assert "src/small/core.py" in rows["path"].to_list()
    assert rows["repo"].unique().to_list() == ["http/127.0.0.1/tree.tar.gz"]
    (evidence,) = loader.evidence(contract, context).values()
    assert [path for path, _ in evidence.license_files] == ["LICENSE", "vendor/crate/Cargo.toml"]


def test_documentation_of_a_debian_package(server: IndexServer, tmp_path: Path) -> None:
    contract = _http(server, "docs_1-1_all.deb", "deb", clean="documentation")
    contract = replace(contract, origin=replace(contract.origin, include=("**/*.html",)))
    loader, context = HttpLoader(), context_of(tmp_path)
    rows = pl.concat(loader.read(contract, loader.plan(contract, context), context))
    assert rows.select("path", "language", "modality", "content").rows() == [
        ("usr/share/doc/pkg/html/a.html.md", "markdown", "text", "# A\n\nText.\n")
    ]
    (evidence,) = loader.evidence(contract, context).values()
    assert evidence.license_files == (("usr/share/doc/pkg/copyright", "License: MIT\n"),)


def test_a_data_file_at_an_address(server: IndexServer, tmp_path: Path) -> None:
    contract = _http(server, "rows.jsonl.gz", "jsonl", columns=COLUMNS)
    loader, context = HttpLoader(), context_of(tmp_path)
    rows = pl.concat(loader.read(contract, loader.plan(contract, context), context))
    assert rows["path"].to_list() == ["LICENSE", "x.py", "y.rs"]


def test_a_gone_file_is_told_at_once(server: IndexServer, tmp_path: Path) -> None:
    contract = _http(server, "tree.tar.gz", "tar")
    del server.packages["pkg"]["tree.tar.gz"]
    with pytest.raises(UpstreamUnavailable, match="HTTP 404"):
        HttpLoader().plan(contract, context_of(tmp_path))
    assert len(server.requests) == 1


def _write(tmp_path: Path, rows: list[dict[str, Any]], file_format: str) -> str:
    name = f"corpus.{file_format}"
    if file_format == "parquet":
        pl.DataFrame(rows, strict=False, infer_schema_length=None).write_parquet(tmp_path / name)
    elif file_format == "csv":
        flat = [{k: v for k, v in row.items() if k != "author_emails"} for row in rows]
        pl.DataFrame(flat, infer_schema_length=None).write_csv(tmp_path / name)
    else:
        (tmp_path / name).write_text(_lines(rows), encoding="utf-8")
    return name


@pytest.mark.parametrize("file_format", ["jsonl", "parquet", "csv"])
def test_a_data_file_carries_document_columns(tmp_path: Path, file_format: str) -> None:
    columns = {k: v for k, v in COLUMNS.items() if file_format != "csv" or k != "author_emails"}
    origin = FileOrigin(path=_write(tmp_path, ROWS, file_format), file_format=file_format)
    contract = contract_of(origin, columns=columns)
    loader, context = FileLoader(), context_of(tmp_path)
    rows = pl.concat(loader.read(contract, loader.plan(contract, context), context))
    assert rows.select("repo", "path", "content", "license_declared").rows() == [
        ("a/b", "LICENSE", "MIT License\n", "MIT"),
        ("a/b", "x.py", "x = 1\n", "MIT"),
        ("c/d", "y.rs", "fn y() {}\n", None),
    ]
    assert rows["owner"].to_list() == ["a", "a", "someone"]
    if file_format != "csv":
        assert rows["author_emails"].to_list() == [None, ["a@example.org"], None]
    evidence = loader.evidence(contract, context)
    assert evidence["a/b"].license_files == (("LICENSE", "MIT License\n"),)


def test_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.md").write_text("# A\n", encoding="utf-8")
    (folder / "LICENSE").write_text("MIT License\n", encoding="utf-8")
    (folder / "link.md").symlink_to("/etc/passwd")
    contract = contract_of(FileOrigin(path="texts", file_format="folder"))
    loader, context = FileLoader(), context_of(tmp_path)
    files = loader.plan(contract, context)
    assert [f.name for f in files] == ["LICENSE", "sub/a.md"]
    rows = pl.concat(loader.read(contract, files, context))
    assert rows["repo"].unique().to_list() == ["file/small"]
    before = upstream_digest(contract, "000", cache=tmp_path, project_root=tmp_path)
    (folder / "sub" / "a.md").write_text("# B\n", encoding="utf-8")
    assert upstream_digest(contract, "000", cache=tmp_path, project_root=tmp_path) != before


def test_a_missing_path_is_told(tmp_path: Path) -> None:
    contract = contract_of(FileOrigin(path="absent.jsonl", file_format="jsonl"))
    with pytest.raises(UpstreamUnavailable, match=r"absent.jsonl does not exist"):
        FileLoader().plan(contract, context_of(tmp_path))


@pytest.mark.parametrize("array", [False, True])
def test_broken_json_rows_are_counted(tmp_path: Path, array: bool) -> None:
    good = [{"content": f"text {n} " + "x" * 50} for n in range(5)]
    if array:
        text = "[\n" + ",\n".join(json.dumps(row) for row in good) + ', 17, {"content": '
    else:
        text = _lines(good) + "{broken\n\n[1]\n" + json.dumps({"content": "\ud800"}) + "\n"
    (tmp_path / "c.jsonl").write_text(text, encoding="utf-8")
    contract = contract_of(
        FileOrigin(path="c.jsonl", file_format="jsonl"), columns={"content": "content"}
    )
    context = context_of(tmp_path)
    files = FileLoader().plan(contract, context)
    rows = pl.concat(FileLoader().read(contract, files, context))
    assert rows["content"].to_list() == [row["content"] for row in good]
    assert rows["path"].to_list() == [f"c.jsonl#{n}" for n in range(5)]
    assert context.skips.counts[SkipReason.MALFORMED_ROW] == 2
    assert context.skips.counts[SkipReason.UNDECODABLE] == (0 if array else 1)


def test_a_file_of_another_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.parquet").write_bytes(b"PAR1 but not really")
    contract = contract_of(
        FileOrigin(path="c.parquet", file_format="parquet"), columns={"content": "content"}
    )
    context = context_of(tmp_path)
    files = FileLoader().plan(contract, context)
    with pytest.raises(UpstreamChanged, match="is not the parquet file"):
        list(FileLoader().read(contract, files, context))


CHAT = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "Add."},
    {"role": "assistant", "content": "1 + 1"},
]


@pytest.mark.parametrize(
    ("modality", "columns", "row", "wanted"),
    [
        (Modality.INSTRUCTION, {"instruction": "q", "response": "a"}, {"q": "Q", "a": "A"},
         {"instruction": "Q", "response": "A", "content": "Q\n\nA"}),
        (Modality.INSTRUCTION, {"content": "messages"}, {"messages": CHAT},
         {"instruction": "Add.", "response": "1 + 1", "content": "Add.\n\n1 + 1"}),
        (Modality.INSTRUCTION, {"content": "m"},
         {"m": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
         {"instruction": "Q", "response": "A", "content": "Q\n\nA"}),
        (Modality.PREFERENCE, {"instruction": "p", "chosen": "c", "rejected": "r"},
         {"p": "P", "c": "C", "r": "R"},
         {"instruction": "P", "chosen": "C", "rejected": "R", "content": "P\n\nC\n\nR"}),
        (Modality.PREFERENCE, {"chosen": "c", "rejected": "r"},
         {"c": CHAT, "r": [*CHAT[:2], {"role": "assistant", "content": "3"}]},
         {"instruction": "Add.", "chosen": "1 + 1", "rejected": "3",
          "content": "Add.\n\n1 + 1\n\n3"}),
        (Modality.CODE, {"content": "meta.text", "language": "lang"},
         {"meta": {"text": "x"}, "lang": "C++"}, {"content": "x", "language": "cpp"}),
        (Modality.CODE, {"content": "text", "repo": "url"},
         {"text": "x", "url": "https://github.com/a/b/tree/main"}, {"repo": "a/b", "owner": "a"}),
        (Modality.INSTRUCTION, {"instruction": "q", "response": "a"}, {"q": "Q", "a": ""}, None),
    ],
)  # fmt: skip
def test_mapping_table(
    tmp_path: Path,
    modality: Modality,
    columns: dict[str, str],
    row: dict[str, Any],
    wanted: dict[str, Any] | None,
) -> None:
    (tmp_path / "c.jsonl").write_text(_lines([row]), encoding="utf-8")
    contract = contract_of(
        FileOrigin(path="c.jsonl", file_format="jsonl"),
        columns=columns,
        modality=modality,
        licence=LicenceFacts(),
        languages=("python", "rust"),
    )
    context = context_of(tmp_path)
    frames = list(FileLoader().read(contract, FileLoader().plan(contract, context), context))
    if wanted is None:
        assert frames == []
        assert context.skips.counts == {SkipReason.EMPTY: 1}
    else:
        found = frames[0].row(0, named=True)
        assert {name: found[name] for name in wanted} == wanted
