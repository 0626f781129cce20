"""Every Hub and http contract loads rows laid out as upstream lays them out, through ingestion.

Each case of `upstream_rows` is served over the Hub's protocol (or at an address), ingested with the
repository's own contract and policy, and compared with literal documents. Only the pin is replaced:
by the server's commit, or by the hash of the served file.
"""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.contracts.catalog import load_catalog
from tritter_assets.contracts.source import HttpOrigin, HubOrigin, SourceContract
from tritter_assets.errors import LicenseRefused
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.sources.http import HttpLoader
from tritter_assets.sources.hub import HubLoader
from tritter_assets.sources.hub_client import HubClient
from tritter_assets.sources.ingest import IngestReport, ingest_shard
from tritter_assets.sources.loader import Loader, LoaderContext
from tritter_assets.sources.swh import BlobStore
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.sources.builders import sha256
from tritter_assets_tests.sources.servers import HubServer, IndexServer, Server
from tritter_assets_tests.sources.upstream_rows import CASES, Case

CATALOG = load_catalog(REPOSITORY / "data_contracts", profile_name="workstation")
COMMIT = "a" * 40
LOADED = {
    name: contract
    for name, contract in sorted(CATALOG.sources.items())
    if isinstance(contract.origin, HubOrigin | HttpOrigin)
}
"""Contracts of the two loaders, the refused ones among them."""

REFUSED = sorted(name for name, contract in LOADED.items() if contract.refusal is not None)
CHECKED = (
    "content", "language", "repo", "path", "revision", "url", "split", "license_declared",
    "license_concluded", "license_method", "license_wrapper", "access_terms", "generator",
    "quality_score", "instruction", "response", "chosen", "rejected", "image",
)  # fmt: skip


class BlobServer(Server):
    """As much of S3 as reading public objects takes."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        super().__init__()
        self.blobs = blobs

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        blob = self.blobs.get(request.path.rsplit("/", 1)[-1])
        if blob is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        return 200, gzip.compress(blob), {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def _anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def _served(
    contract: SourceContract, case: Case, stack: ExitStack
) -> tuple[SourceContract, Loader]:
    """Serves a case and returns the contract pinned to what is served, and its loader."""
    origin = contract.origin
    if isinstance(origin, HttpOrigin):
        (name, raw), *others = case.files.items()
        assert not others
        assert origin.url.endswith(f"/{name}")
        server = stack.enter_context(IndexServer({"at": {name: raw}}).running())
        pinned = dataclasses.replace(
            origin, url=f"{server.url}/files/at/{name}", sha256=sha256(raw)
        )
        return dataclasses.replace(contract, origin=pinned, num_shards=1), HttpLoader()
    assert isinstance(origin, HubOrigin)
    files = dict(case.files) | ({"README.md": case.card.encode()} if case.card else {})
    server = stack.enter_context(HubServer(origin.repo, COMMIT, files, page_size=50).running())
    blobs = stack.enter_context(BlobServer(dict(case.blobs)).running())
    loader = HubLoader(
        client=HubClient(endpoint=server.url, token=False),
        blobs=BlobStore(endpoint=blobs.url),
    )
    pinned = dataclasses.replace(origin, revision=COMMIT)
    return dataclasses.replace(contract, origin=pinned, num_shards=1), loader


def _ingest(name: str, folder: Path, stack: ExitStack) -> tuple[IngestReport, pl.DataFrame]:
    contract, loader = _served(LOADED[name], CASES[name], stack)
    lake = Lake.at(folder / "lake")
    report = ingest_shard(
        lake,
        contract,
        "000",
        policy=CATALOG.policy,
        cache=folder / "cache",
        fingerprint=fingerprint_of("test"),
        project_root=folder,
        loader=loader,
    )
    return report, pl.read_delta(str(folder / "lake" / "raw" / name))


def test_every_contract_has_a_case() -> None:
    assert sorted({*CASES, *REFUSED}) == sorted(LOADED)
    assert not set(CASES) & set(REFUSED)


@pytest.mark.parametrize("name", sorted(CASES))
def test_rows_of_the_contract(name: str, tmp_path: Path, stack: ExitStack) -> None:
    case, contract = CASES[name], LOADED[name]
    report, frame = _ingest(name, tmp_path, stack)
    found = frame.select(CHECKED).sort("repo", "path").to_dicts()
    expected = []
    for row in case.rows:
        whole = dict.fromkeys(CHECKED) | dict(case.common) | row
        if isinstance(contract.origin, HubOrigin):
            whole["revision"] = row.get("revision", COMMIT)
        else:
            (raw,) = case.files.values()
            whole["revision"] = sha256(raw)
        expected.append(whole)
    expected.sort(key=lambda row: (row["repo"], row["path"]))
    for one, other in zip(found, expected, strict=False):
        if other["url"] is None:  # not mapped: the page of the file stands in
            assert one.pop("url").startswith("http")
            del other["url"]
    assert found == expected
    assert report.skipped == case.skipped
    assert frame["source"].unique().to_list() == [name]
    assert frame["modality"].null_count() == 0


@pytest.mark.parametrize("name", ["py_ast", "code_search_net_python"])
def test_a_script_data_set_is_looked_up_on_its_converted_branch(
    name: str, tmp_path: Path, stack: ExitStack
) -> None:
    contract = LOADED[name]
    origin = contract.origin
    assert isinstance(origin, HubOrigin)
    files = dict(CASES[name].files)
    server = stack.enter_context(HubServer(origin.repo, COMMIT, files).running())
    loader = HubLoader(client=HubClient(endpoint=server.url, token=False))
    context = LoaderContext(cache=tmp_path, project_root=tmp_path)
    assert [file.name for file in loader.plan(contract, context)] == [
        next(file for file in files if "/train/" in file)
    ]
    assert "refs%2Fconvert%2Fparquet" in server.requests[0]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_contract_names_its_clause(name: str, tmp_path: Path) -> None:
    contract = LOADED[name]
    assert contract.refusal is not None
    with pytest.raises(LicenseRefused) as raised:
        ingest_shard(
            Lake.at(tmp_path / "lake"),
            contract,
            "000",
            policy=CATALOG.policy,
            cache=tmp_path / "cache",
            fingerprint=fingerprint_of("test"),
            project_root=tmp_path,
        )
    assert contract.refusal.clause in str(raised.value)
    assert not (tmp_path / "lake").exists()
