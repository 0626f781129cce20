from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.contracts.crate_origin import CrateOrigin, CratePin
from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import UnsafeArchive, UpstreamChanged, UpstreamUnavailable
from tritter_assets.lake import Lake
from tritter_assets.settings import find_project_root
from tritter_assets.sources.crate import CrateLoader
from tritter_assets.sources.crate_report import crate_table, license_by_crate
from tritter_assets.sources.download import RetryPolicy
from tritter_assets.sources.ingest import ingest_shard
from tritter_assets.sources.loader import Limits
from tritter_assets_tests.sources.builders import context_of, contract_of, sha256, tar_gz
from tritter_assets_tests.sources.crate_registry import MIT, CrateRegistry, crate_archive

LIBRARY = """//! Counts things.
//!
//! # Examples
//! ```
//! assert_eq!(tiny::count(&[1, 2]), 2);
//! ```

/// Returns how many there are.
pub fn count(of: &[u8]) -> usize {
    of.len()
}
"""
COPYLEFT = "// SPDX-License-Identifier: GPL-3.0-only\n\n/// Adds.\npub fn add(a: u8) -> u8 { a }\n"
TINY = crate_archive(
    "tiny-count",
    "0.3.1",
    {
        "src/lib.rs": LIBRARY,
        "src/deep/mod.rs": "//! Deeper.\n",
        "src/borrowed.rs": COPYLEFT,
        "src/silent.rs": "fn quiet() {}\n",
        "README.md": "# tiny-count\n\nCounts.\n",
        "LICENSE-MIT": MIT,
    },
    'license = "MIT/Apache-2.0"\nrepository = "https://github.com/ann/tiny-count"\n'
    'authors = ["Ann Author <Ann@Example.org>"]\n[lib]\nname = "tiny"\n',
)
GPL = crate_archive("strict", "1.0.0", {"src/lib.rs": "//! Words.\n"}, 'license = "GPL-3.0-only"\n')
CUSTOM = crate_archive(
    "custom",
    "2.0.0",
    {"src/lib.rs": "//! Own terms.\n", "legal/terms.txt": "Pay us for every use.\n"},
    'license-file = "legal/terms.txt"\n',
)
CRATES = {("tiny-count", "0.3.1"): TINY, ("strict", "1.0.0"): GPL, ("custom", "2.0.0"): CUSTOM}


@pytest.fixture
def registry() -> Iterator[CrateRegistry]:
    with CrateRegistry(CRATES).running() as server:
        yield server


def _contract(registry: CrateRegistry, *, num_shards: int = 1, **origin: object) -> SourceContract:
    pins = tuple(
        CratePin(name=name, version=version, sha256=sha256(raw))
        for (name, version), raw in CRATES.items()
    )
    facts = {"crates": pins, "downloads": f"{registry.url}/crates"}
    return contract_of(CrateOrigin(**(facts | origin)), num_shards=num_shards)  # type: ignore[arg-type]


def _loader(**retries: object) -> CrateLoader:
    return CrateLoader(retries=RetryPolicy(sleep=lambda _: None, **retries))  # type: ignore[arg-type]


def _read(contract: SourceContract, folder: Path) -> pl.DataFrame:
    loader, context = _loader(), context_of(folder)
    files = loader.plan(contract, context)
    return pl.concat(loader.read(contract, files, context)).sort("repo", "path", "language")


def test_documentation_is_text_with_its_docs_rs_page(
    registry: CrateRegistry, tmp_path: Path
) -> None:
    rows = _read(_contract(registry), tmp_path).filter(pl.col("repo") == "crate/tiny-count")
    assert rows["path"].to_list() == [
        "README.md", "src/borrowed.rs.md", "src/deep/mod.rs.md", "src/lib.rs.md",
    ]  # fmt: skip
    assert set(rows["language"]) == {"markdown"}
    assert set(rows["modality"]) == {"text"}
    root = "https://docs.rs/tiny-count/0.3.1/tiny"
    assert rows["url"].to_list() == [
        "https://docs.rs/crate/tiny-count/0.3.1/source/README.md",
        f"{root}/borrowed/index.html", f"{root}/deep/index.html", f"{root}/index.html",
    ]  # fmt: skip
    text = rows["content"][3]
    assert "Counts things." in text
    assert "pub fn count(of: &[u8]) -> usize" in text
    assert "Returns how many there are." in text
    assert "///" not in text
    assert rows["owner"].unique().to_list() == ["ann"]
    assert rows["author_emails"][0].to_list() == ["ann@example.org"]
    assert rows["license_declared"].to_list() == [None, "GPL-3.0-only", None, None]


@pytest.mark.parametrize(
    ("content", "languages"),
    [("docs", ["markdown"] * 6), ("code", ["rust"] * 6), ("both", ["markdown"] * 6 + ["rust"] * 6)],
)
def test_the_contract_says_what_is_taken(
    registry: CrateRegistry, tmp_path: Path, content: str, languages: list[str]
) -> None:
    rows = _read(_contract(registry, content=content), tmp_path)
    assert sorted(rows["language"]) == languages


def test_each_crate_proves_its_own_licence(registry: CrateRegistry, tmp_path: Path) -> None:
    project = find_project_root(Path(__file__).parent)
    lake = Lake.at(tmp_path / "lake")
    report = ingest_shard(
        lake,
        _contract(registry),
        "000",
        policy=load_policy(project / "data_contracts" / "policy"),
        cache=tmp_path / "cache",
        fingerprint="f",
        project_root=project,
        loader=_loader(),
    )
    assert report.num_files == 3
    columns = ["repo", "path", "license_concluded", "license_method", "license_wrapper"]
    rows = lake.scan("raw/small").select(columns).collect()
    found = {(r[0].removeprefix("crate/"), r[1]): r[2:] for r in rows.iter_rows()}
    manifest = ("MIT OR Apache-2.0", "package_metadata", "NONE")
    assert found["tiny-count", "src/lib.rs.md"] == manifest
    assert found["tiny-count", "README.md"] == manifest
    # A header in the source is no part of its documentation and still counts for it.
    assert "GPL-3.0-only" in found["tiny-count", "src/borrowed.rs.md"][0]
    assert found["strict", "src/lib.rs.md"] == ("GPL-3.0-only", "package_metadata", "NONE")
    assert found["custom", "src/lib.rs.md"] == ("NOASSERTION", "none", "NONE")


def test_the_licence_filter_is_shown_per_crate(registry: CrateRegistry, tmp_path: Path) -> None:
    project = find_project_root(Path(__file__).parent)
    lake, policy = Lake.at(tmp_path / "lake"), load_policy(project / "data_contracts" / "policy")
    contract = _contract(registry)
    assert license_by_crate(lake, contract, policy=policy, use_profile="brief") == ()
    ingest_shard(
        lake, contract, "000", policy=policy, cache=tmp_path / "cache", fingerprint="f",
        project_root=project, loader=_loader(),
    )  # fmt: skip
    crates = license_by_crate(lake, contract, policy=policy, use_profile="brief")
    table = crate_table(crates, "brief").splitlines()[2:]
    assert table[0] == "| custom | 2.0.0 | NOASSERTION | 1 | 0 | license_unknown |"
    assert table[1] == "| strict | 1.0.0 | GPL-3.0-only | 1 | 0 | license_not_admitted |"
    tiny = crates[2]
    assert (tiny.crate, tiny.num_rows, tiny.num_admitted) == ("tiny-count", 4, 3)
    assert next(iter(tiny.licences)) == "MIT OR Apache-2.0"


def test_a_licence_file_that_the_manifest_names_is_read(
    registry: CrateRegistry, tmp_path: Path
) -> None:
    evidence = _loader().evidence(_contract(registry), context_of(tmp_path))
    assert evidence["crate/custom"].license_files == (("terms.txt", "Pay us for every use.\n"),)
    assert sorted(evidence) == ["crate/custom", "crate/strict", "crate/tiny-count"]
    assert evidence["crate/tiny-count"].emails == ("ann@example.org",)


def test_a_shard_downloads_only_its_own_crates(registry: CrateRegistry, tmp_path: Path) -> None:
    loader, contract = _loader(), _contract(registry, num_shards=3)
    context = context_of(tmp_path)
    files = loader.plan(contract, context)
    assert registry.requests == []
    rows = pl.concat(loader.read(contract, files[1::3], context))
    assert set(rows["repo"]) == {"crate/strict"}
    assert loader.evidence(contract, context).get("crate/strict") is not None
    assert registry.requests == ["/crates/strict/strict-1.0.0.crate"]


def test_other_bytes_and_missing_crates_are_refused(
    registry: CrateRegistry, tmp_path: Path
) -> None:
    registry.faults.plan["custom"] = ["corrupt"]
    with pytest.raises(UpstreamChanged, match=r"crate custom 2\.0\.0.*pins"):
        _read(_contract(registry), tmp_path / "a")
    registry.files.pop("/crates/strict/strict-1.0.0.crate")
    with pytest.raises(UpstreamUnavailable, match="strict"):
        _read(_contract(registry), tmp_path / "b")


def test_broken_downloads_are_tried_again(registry: CrateRegistry, tmp_path: Path) -> None:
    registry.faults.plan["tiny-count"] = ["503", "truncate"]
    assert _read(_contract(registry), tmp_path).height == 6
    assert sum("tiny-count" in request for request in registry.requests) == 3


def test_an_archive_of_another_crate_is_refused(registry: CrateRegistry, tmp_path: Path) -> None:
    pin = CratePin(name="tiny-count", version="9.9.9", sha256=sha256(TINY))
    registry.files["/crates/tiny-count/tiny-count-9.9.9.crate"] = TINY
    with pytest.raises(UpstreamUnavailable, match=r"names 'tiny-count' '0\.3\.1'"):
        _read(_contract(registry, crates=(pin,)), tmp_path)


def test_hostile_archives_are_refused(registry: CrateRegistry, tmp_path: Path) -> None:
    raw = tar_gz({"../escape": b"x"}, "bad-1.0.0")
    registry.files["/crates/bad/bad-1.0.0.crate"] = raw
    pin = CratePin(name="bad", version="1.0.0", sha256=sha256(raw))
    loader, contract = _loader(), _contract(registry, crates=(pin,))
    context = context_of(tmp_path)
    with pytest.raises(UnsafeArchive, match="escape"):
        list(loader.read(contract, loader.plan(contract, context), context))
    small = context_of(tmp_path / "small", limits=Limits(members=2))
    contract = _contract(registry)
    with pytest.raises(UnsafeArchive, match="more than 2 members"):
        list(loader.read(contract, loader.plan(contract, small), small))
