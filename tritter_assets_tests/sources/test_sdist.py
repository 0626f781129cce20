from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.contracts.source import SdistOrigin
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.download import RetryPolicy
from tritter_assets.sources.package_index import PackageIndex
from tritter_assets.sources.sdist import SdistLoader
from tritter_assets_tests.sources.builders import (
    SMALL_TREE,
    context_of,
    contract_of,
    sha256,
    tar_gz,
)
from tritter_assets_tests.sources.servers import IndexServer

ARCHIVE = tar_gz(SMALL_TREE)
NAME = "small_package-1.2.tar.gz"


@pytest.fixture
def index() -> Iterator[IndexServer]:
    packages = {"small-package": {NAME: ARCHIVE, "small_package-1.1.tar.gz": b"old"}}
    with IndexServer(packages).running() as server:
        yield server


def _loader(server: IndexServer, **retries: object) -> SdistLoader:
    policy = RetryPolicy(sleep=lambda _: None, **retries)  # type: ignore[arg-type]
    return SdistLoader(index=PackageIndex(f"{server.url}/simple"), retries=policy)


def _contract(**origin: object):
    facts = {"package": "Small.Package", "version": "1.2", "sha256": sha256(ARCHIVE)}
    return contract_of(SdistOrigin(**(facts | origin)))  # type: ignore[arg-type]


def _cached(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "cache").rglob("*") if p.is_file())


def test_rows_carry_repository_people_and_page(index: IndexServer, tmp_path: Path) -> None:
    loader, contract, context = _loader(index), _contract(), context_of(tmp_path)
    files = loader.plan(contract, context)
    assert [f.name for f in files] == sorted(SMALL_TREE)
    rows = pl.concat(loader.read(contract, files, context)).sort("path")
    assert rows["path"].to_list() == sorted(
        name for name in SMALL_TREE if not name.endswith(("__init__.py", "broken.py", "data.bin"))
    )
    core = rows.row(by_predicate=pl.col("path") == "src/small/core.py", named=True)
    assert core == {
        "repo": "Owner/small-package",
        "path": "src/small/core.py",
        "revision": "1.2",
        "url": "https://pypi.org/project/small-package/1.2/",
        "language": "python",
        "modality": "code",
        "content": "def one():\n    return 1\n",
        "owner": "Owner",
        "author_emails": ["ann@example.org", "m@example.org"],
    }
    by_path = dict(rows.select("path", "modality").iter_rows())
    assert by_path["README.md"] == "text"
    assert {str(k): v for k, v in context.skips.counts.items()} == {
        "empty": 1,
        "undecodable": 1,
        "binary": 1,
    }
    assert ("binary", "Owner/small-package@1.2:src/small/data.bin") in context.skips.examples
    assert context.encodings["iso8859-1"] == 1


def test_evidence_names_files_and_vendored_crates(index: IndexServer, tmp_path: Path) -> None:
    evidence = _loader(index).evidence(_contract(include=("**/*.py",)), context_of(tmp_path))
    found = evidence["Owner/small-package"]
    assert dict(found.license_files) == {
        "LICENSE": SMALL_TREE["LICENSE"].decode(),
        "vendor/crate/Cargo.toml": "SPDX-License-Identifier: MIT OR Apache-2.0\n",
    }
    assert found.metadata[0] == ("license_expression", "MIT")
    assert found.emails == ("ann@example.org", "m@example.org")


def test_globs_select_below_the_top_folder(index: IndexServer, tmp_path: Path) -> None:
    contract = _contract(include=("src/**/*.py",), exclude=("**/copy.py",))
    files = _loader(index).plan(contract, context_of(tmp_path))
    assert [f.name.rsplit("/", 1)[1] for f in files] == [
        "__init__.py",
        "broken.py",
        "core.py",
        "latin.py",
    ]


def test_a_cached_archive_needs_no_network(index: IndexServer, tmp_path: Path) -> None:
    loader, contract = _loader(index), _contract()
    loader.plan(contract, context_of(tmp_path))
    index.requests.clear()
    files = loader.plan(contract, context_of(tmp_path))
    list(loader.read(contract, files, context_of(tmp_path)))
    assert index.requests == []


def test_a_damaged_cache_is_fetched_again(index: IndexServer, tmp_path: Path) -> None:
    loader, contract = _loader(index), _contract()
    path = loader.fetch(contract.origin, context_of(tmp_path))  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-7])
    assert loader.fetch(contract.origin, context_of(tmp_path)).read_bytes() == ARCHIVE  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["429", "500", "503", "truncate"])
@pytest.mark.parametrize("where", ["/simple/", "/files/"])
def test_passing_faults_are_retried(
    index: IndexServer, tmp_path: Path, fault: str, where: str
) -> None:
    index.faults.plan[where] = [fault, fault]
    context = context_of(tmp_path)
    assert len(_loader(index).plan(_contract(), context)) == len(SMALL_TREE)
    assert not [name for name in _cached(tmp_path) if name.endswith(".partial")]


@pytest.mark.parametrize("fault", ["truncate", "503"])
def test_lasting_faults_leave_the_cache_empty(
    index: IndexServer, tmp_path: Path, fault: str
) -> None:
    index.faults.plan["/files/"] = [fault] * 9
    with pytest.raises(UpstreamUnavailable, match=r"Small\.Package 1\.2.*could not be downloaded"):
        _loader(index, attempts=3).plan(_contract(), context_of(tmp_path))
    assert _cached(tmp_path) == []


@pytest.mark.parametrize("fault", ["corrupt", "short"])
def test_a_wrong_hash_is_refused_and_never_cached(
    index: IndexServer, tmp_path: Path, fault: str
) -> None:
    index.faults.plan["/files/"] = [fault]
    with pytest.raises(UpstreamChanged, match=sha256(ARCHIVE)):
        _loader(index).plan(_contract(), context_of(tmp_path))
    assert _cached(tmp_path) == []


def test_a_repinned_release_is_refused_before_the_download(
    index: IndexServer, tmp_path: Path
) -> None:
    with pytest.raises(UpstreamChanged, match="before you pin"):
        _loader(index).plan(_contract(sha256="0" * 64), context_of(tmp_path))
    assert not any("/files/" in request for request in index.requests)


def test_a_missing_version_names_package_version_and_index(
    index: IndexServer, tmp_path: Path
) -> None:
    with pytest.raises(UpstreamUnavailable, match=r"Small\.Package 9\.9.*it has 1\.1, 1\.2") as e:
        _loader(index).plan(_contract(version="9.9"), context_of(tmp_path))
    assert index.url in str(e.value)
    assert "PIP_INDEX_URL" in str(e.value)


def test_a_missing_package_is_told(index: IndexServer, tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable, match=r"'absent'.*HTTP 404"):
        _loader(index).plan(_contract(package="absent"), context_of(tmp_path))


def test_an_unreachable_index_is_told_without_its_password(tmp_path: Path) -> None:
    retries = RetryPolicy(attempts=2, sleep=lambda _: None)
    loader = SdistLoader(index=PackageIndex("http://u:secret@127.0.0.1:9"), retries=retries)
    with pytest.raises(UpstreamUnavailable, match="gave no answer") as caught:
        loader.plan(_contract(), context_of(tmp_path))
    assert "secret" not in str(caught.value)


def test_an_html_index_works(tmp_path: Path) -> None:
    with IndexServer({"small-package": {NAME: ARCHIVE}}, html=True).running() as server:
        assert _loader(server).plan(_contract(), context_of(tmp_path))


def test_a_package_without_a_home_stands_for_itself(tmp_path: Path) -> None:
    raw = tar_gz({"PKG-INFO": b"Name: x\n", "a.py": b"x = 1\n"})
    with IndexServer({"small-package": {NAME: raw}}).running() as server:
        loader, contract = _loader(server), _contract(sha256=sha256(raw), include=("*.py",))
        context = context_of(tmp_path)
        rows = pl.concat(loader.read(contract, loader.plan(contract, context), context))
    assert rows["repo"].to_list() == ["pypi/small-package"]
    assert rows["owner"].to_list() == [None]


@pytest.mark.network
def test_the_real_index_has_a_pinned_package(tmp_path: Path) -> None:
    origin = SdistOrigin(
        package="tiktoken",
        version="0.14.0",
        sha256="231dec90efcdccf1b565a1416107736f1e09b1a08fe736ef9d6363e626d03874",
    )
    files = SdistLoader().plan(contract_of(origin), context_of(tmp_path))
    assert "src/lib.rs" in {file.name for file in files}
