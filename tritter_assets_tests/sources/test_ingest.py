from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tritter_assets.contracts.source import Refusal, SdistOrigin, SourceContract
from tritter_assets.errors import ContractViolation, LicenseRefused, UnsafeArchive
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256, document_id
from tritter_assets.sources.ingest import STAGE_VERSION, code_version, ingest_shard, upstream_digest
from tritter_assets.sources.loader import Limits, Loader, UpstreamFile
from tritter_assets.sources.package_index import PackageIndex
from tritter_assets.sources.sdist import SdistLoader
from tritter_assets_tests.sources.builders import (
    SMALL_TREE,
    PlainConcluder,
    contract_of,
    sha256,
    tar_gz,
)
from tritter_assets_tests.sources.servers import IndexServer

MANY = SMALL_TREE | {f"src/m{n:02d}.py": f"N = {n % 7}\n".encode() for n in range(40)}
ARCHIVE = tar_gz(MANY)
POLICY: Any = SimpleNamespace(conclusion_digest="policy")
FINGERPRINT = fingerprint_of("test")


@pytest.fixture(autouse=True)
def _plain_licences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritter_assets.licensing.conclude.Concluder", PlainConcluder)


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    packages = {"small-package": {"small_package-1.2.tar.gz": ARCHIVE}}
    with IndexServer(packages).running() as server:
        yield SdistLoader(index=PackageIndex(f"{server.url}/simple"))


def _contract(num_shards: int = 1, **changes: Any) -> SourceContract:
    origin = SdistOrigin(package="small-package", version="1.2", sha256=sha256(ARCHIVE))
    return contract_of(origin, num_shards=num_shards, **changes)


def _ingest(tmp_path: Path, contract: SourceContract, loader: Loader, **options: Any) -> Any:
    lake = Lake.at(tmp_path / f"lake{contract.num_shards}")
    reports = [
        ingest_shard(
            lake,
            contract,
            shard,
            policy=POLICY,
            cache=tmp_path / "cache",
            fingerprint=FINGERPRINT,
            project_root=tmp_path,
            loader=loader,
            **options,
        )
        for shard in contract.shards
    ]
    rows = lake.scan("raw/small").collect()
    return reports, rows


def test_rows_are_whole_sorted_and_identified(tmp_path: Path, loader: Loader) -> None:
    (report,), rows = _ingest(tmp_path, _contract(), loader)
    assert rows.columns == [*(n for n in DOCUMENT_SCHEMA.names if n != "shard"), "shard"] or set(
        rows.columns
    ) == set(DOCUMENT_SCHEMA.names)
    assert rows["id"].to_list() == sorted(rows["id"].to_list())
    for row in rows.iter_rows(named=True):
        assert row["id"] == document_id("small", row["repo"], row["path"], row["content"])
        assert row["content_sha256"] == content_sha256(row["content"])
        assert row["content_bytes"] == len(row["content"].encode())
        assert (row["source"], row["shard"]) == ("small", "000")
    assert report.num_rows == rows.height == len(MANY) - 3
    assert report.num_files == len(MANY)
    assert report.content_bytes == rows["content_bytes"].sum()
    assert report.skipped == {"binary": 1, "empty": 1, "undecodable": 1}
    assert sum(report.languages.values()) == rows.height
    assert report.licenses == {"MIT": rows.height}


@pytest.mark.parametrize("num_shards", [2, 5])
def test_shard_count_does_not_change_the_rows(
    tmp_path: Path, loader: Loader, num_shards: int
) -> None:
    _, whole = _ingest(tmp_path, _contract(), loader)
    reports, parts = _ingest(tmp_path, _contract(num_shards), loader)
    assert len({report.upstream_digest for report in reports}) == num_shards
    columns = [name for name in sorted(DOCUMENT_SCHEMA.names) if name != "shard"]
    assert parts.select(columns).sort("id").equals(whole.select(columns).sort("id"))
    skipped = sum(sum(report.skipped.values()) for report in reports)
    assert parts.height + skipped == len(MANY)


def test_frame_size_and_memory_limit_do_not_show(tmp_path: Path, loader: Loader) -> None:
    (first,), _ = _ingest(tmp_path, _contract(), loader)
    small = Limits(frame_rows=3, frame_bytes=100)
    (second,), _ = _ingest(tmp_path, _contract(), loader, limits=small, memory_limit_bytes=64)
    assert second == first
    assert not list((tmp_path / "cache" / "spill").glob("*"))


class _Repeating:
    """Yields every row twice, in reverse: what a careless upstream does."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: Any
    ) -> Iterator[pl.DataFrame]:
        for frame in self._inner.read(contract, files, context):
            yield frame.reverse()
            yield frame.with_columns(url=pl.lit("https://zzz.example.org/later"))


def test_repeated_rows_become_one_whatever_their_order(tmp_path: Path, loader: Loader) -> None:
    (plain,), _ = _ingest(tmp_path, _contract(), loader)
    repeating: Any = _Repeating(loader)
    (report,), _ = _ingest(tmp_path, _contract(), repeating)
    assert report.num_duplicates == plain.num_rows
    assert report.data_version == plain.data_version


def test_a_refused_contract_names_its_clause(tmp_path: Path, loader: Loader) -> None:
    refusal = Refusal(clause="OpenAI terms 2(c)(iii)", reason="output of a closed model")
    with pytest.raises(LicenseRefused, match=r"OpenAI terms 2\(c\)\(iii\).*closed model"):
        _ingest(tmp_path, _contract(refusal=refusal), loader)
    assert not (tmp_path / "lake1").exists()


def test_a_failed_shard_leaves_the_old_rows(tmp_path: Path, loader: Loader) -> None:
    _, before = _ingest(tmp_path, _contract(), loader)
    with pytest.raises(UnsafeArchive):
        _ingest(tmp_path, _contract(), loader, limits=Limits(members=2, member_bytes=30))
    after = Lake.at(tmp_path / "lake1").scan("raw/small").collect()
    assert after.equals(before)


def test_an_unknown_shard_is_told(tmp_path: Path, loader: Loader) -> None:
    lake = Lake.at(tmp_path)
    with pytest.raises(ContractViolation, match="it has 000 to 001"):
        ingest_shard(
            lake,
            _contract(2),
            "007",
            policy=POLICY,
            cache=tmp_path,
            fingerprint=FINGERPRINT,
            project_root=tmp_path,
            loader=loader,
        )


def test_digest_of_a_pinned_source_needs_no_network_and_no_cache(tmp_path: Path) -> None:
    nowhere = SdistLoader(index=PackageIndex("http://127.0.0.1:9"))

    def digest(contract: SourceContract, shard: str) -> str:
        return upstream_digest(
            contract, shard, cache=tmp_path / "none", project_root=tmp_path, loader=nowhere
        )

    one = _contract(2)
    assert digest(one, "000") != digest(one, "001")
    assert digest(one, "000") == digest(_contract(2), "000")
    assert digest(one, "000") != digest(_contract(3), "000")
    assert isinstance(one.origin, SdistOrigin)
    other = dataclasses.replace(one, origin=dataclasses.replace(one.origin, include=("**/*.py",)))
    assert digest(one, "000") != digest(other, "000")


def test_code_version_follows_contract_and_policy() -> None:
    base = code_version(_contract(), POLICY)
    assert base.startswith(f"{STAGE_VERSION}.")
    assert base != code_version(_contract(digest="other"), POLICY)
    changed: Any = SimpleNamespace(conclusion_digest="other")
    assert base != code_version(_contract(), changed)


def test_licence_files_are_kept_as_they_are(tmp_path: Path, loader: Loader) -> None:
    _, rows = _ingest(tmp_path, _contract(2), loader)
    texts = Lake.at(tmp_path / "lake2").scan("license_texts/small").collect()
    assert set(texts["repo"]) == set(rows["repo"])
    assert "LICENSE" in texts["path"].to_list()
    assert set(texts["shard"]) == {"000", "001"}
