from __future__ import annotations

import os
import subprocess
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.contracts.source import GitOrigin
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.git import GitLoader
from tritter_assets.sources.loader import SkipReason
from tritter_assets_tests.sources.builders import context_of, contract_of


def _git(folder: Path, *arguments: str) -> str:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")},
        **{f"GIT_{who}_DATE": "2024-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")},
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[str, str]:
    """A repository whose pinned commit is not its newest."""
    folder = tmp_path / "upstream"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("A = 1\n", encoding="utf-8")
    (folder / "src" / "sp ace\u00e9.rs").write_text("fn f() {}\n", encoding="utf-8")
    (folder / "src" / "big.py").write_text("B = 1\n" * 100, encoding="utf-8")
    (folder / "LICENSE").write_text("MIT License\n", encoding="utf-8")
    (folder / "src" / "link.py").symlink_to("/etc/passwd")
    (folder / "data.bin").write_bytes(b"\0\1")
    _git(folder, "init", "--quiet", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "--quiet", "-m", "first")
    commit = _git(folder, "rev-parse", "HEAD")
    (folder / "src" / "a.py").write_text("A = 2\n", encoding="utf-8")
    _git(folder, "commit", "--quiet", "-am", "second")
    return str(folder), commit


def _contract(repository: tuple[str, str], **origin: object):
    facts = {"url": repository[0], "commit": repository[1]} | origin
    return contract_of(GitOrigin(**facts))  # type: ignore[arg-type]


def test_rows_are_those_of_the_pinned_commit(repository: tuple[str, str], tmp_path: Path) -> None:
    contract, context = _contract(repository), context_of(tmp_path)
    files = GitLoader().plan(contract, context)
    assert [f.name for f in files] == [
        "LICENSE", "data.bin", "src/a.py", "src/big.py", "src/sp ace\u00e9.rs",
    ]  # fmt: skip
    rows = pl.concat(GitLoader().read(contract, files, context)).sort("path")
    assert dict(rows.select("path", "content").iter_rows()) == {
        "LICENSE": "MIT License\n",
        "src/a.py": "A = 1\n",
        "src/big.py": "B = 1\n" * 100,
        "src/sp ace\u00e9.rs": "fn f() {}\n",
    }
    assert rows["revision"].unique().to_list() == [repository[1]]
    assert rows["repo"].unique().to_list() == ["git/upstream"]
    assert context.skips.counts == {SkipReason.BINARY: 1, SkipReason.LINK: 1}


def test_the_clone_is_reused_when_upstream_is_gone(
    repository: tuple[str, str], tmp_path: Path
) -> None:
    contract, context = _contract(repository), context_of(tmp_path)
    before = GitLoader().plan(contract, context)
    Path(repository[0]).rename(tmp_path / "moved")
    assert GitLoader().plan(contract, context) == before
    evidence = GitLoader().evidence(contract, context)
    assert evidence["git/upstream"].license_files == (("LICENSE", "MIT License\n"),)


def test_repository_and_owner_come_from_a_forge_address() -> None:
    from tritter_assets.sources.git import _repo

    origin = GitOrigin(url="https://github.com/PyO3/pyo3.git", commit="a" * 40)
    assert _repo(origin) == ("PyO3/pyo3", "PyO3")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"commit": "b" * 40}, "still has this commit"),
        ({"url": "ext::sh -c id"}, "use an https://"),
        ({"url": "--upload-pack=id"}, "use an https://"),
        ({"url": "/nonexistent/repository"}, "fetch failed"),
    ],
)
def test_failures_are_told_and_leave_no_clone(
    repository: tuple[str, str], tmp_path: Path, origin: dict[str, str], said: str
) -> None:
    with pytest.raises(UpstreamUnavailable, match=said):
        GitLoader().plan(_contract(repository, **origin), context_of(tmp_path))
    assert not list((tmp_path / "cache").rglob("*.git"))


def test_a_tag_must_name_the_pinned_commit(repository: tuple[str, str], tmp_path: Path) -> None:
    folder = Path(repository[0])
    _git(folder, "tag", "-a", "v1.0", "-m", "release", repository[1])
    _git(folder, "tag", "newest")
    files = GitLoader().plan(_contract(repository, tag="v1.0"), context_of(tmp_path))
    assert "src/a.py" in {file.name for file in files}
    moved = _git(folder, "rev-parse", "newest")
    with pytest.raises(UpstreamChanged, match=f"(?s){moved}.*{repository[1]}"):
        GitLoader().plan(_contract(repository, tag="newest"), context_of(tmp_path))
    for tag, said in (("none", "fetch failed"), ("../x", "no tag name"), ("-x", "no tag name")):
        with pytest.raises(UpstreamUnavailable, match=said):
            GitLoader().plan(_contract(repository, tag=tag), context_of(tmp_path))


def test_a_mirror_changes_where_bytes_come_from_and_nothing_else(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = _contract(repository, url="https://github.com/Owner/name")
    mirror = f"https://github.com/=/nonexistent/ https://github.com/Owner/name={repository[0]}"
    monkeypatch.setenv("TRITTER_GIT_MIRROR", mirror)
    context = context_of(tmp_path)
    rows = pl.concat(GitLoader().read(contract, GitLoader().plan(contract, context), context))
    assert rows["repo"].unique().to_list() == ["Owner/name"]
    url = f"https://github.com/Owner/name/blob/{repository[1]}/src/a.py"
    assert rows.filter(path="src/a.py")["url"].to_list() == [url]


@pytest.mark.parametrize("pair", ["https://github.com/", "github=/srv", "https://a/=ext::sh"])
def test_a_wrong_mirror_is_told(
    repository: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: str
) -> None:
    monkeypatch.setenv("TRITTER_GIT_MIRROR", pair)
    with pytest.raises(UpstreamUnavailable, match="FROM=TO"):
        GitLoader().plan(_contract(repository), context_of(tmp_path))


def test_only_the_contents_asked_for_are_fetched(
    repository: tuple[str, str], tmp_path: Path
) -> None:
    folder = Path(repository[0])
    _git(folder, "config", "uploadpack.allowFilter", "true")
    contract = _contract(repository, url=f"file://{folder}", include=("src/a.py",))
    context = context_of(tmp_path)
    files = GitLoader().plan(contract, context)
    assert [(f.name, f.size_bytes) for f in files] == [("src/a.py", 6)]
    clone = next((tmp_path / "cache" / "git").iterdir())
    missing = _git(clone, "rev-list", "--objects", "--missing=print", repository[1])
    assert missing.count("?") == 5  # all contents but the one
    assert GitLoader().evidence(contract, context)["git/upstream"].license_files
    folder.rename(tmp_path / "moved")
    rows = pl.concat(GitLoader().read(contract, files, context))
    assert rows["content"].to_list() == ["A = 1\n"]


def test_pointers_to_large_files_are_no_documents(tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    folder.mkdir()
    (folder / "model.py").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    _git(folder, "init", "--quiet", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "--quiet", "-m", "first")
    contract = _contract((str(folder), _git(folder, "rev-parse", "HEAD")))
    context = context_of(tmp_path)
    assert not list(GitLoader().read(contract, GitLoader().plan(contract, context), context))
    assert context.skips.counts == {SkipReason.BLOB_MISSING: 1}


def test_cleaned_pages_include_files_of_the_same_commit(tmp_path: Path) -> None:
    folder = tmp_path / "upstream"
    (folder / "src").mkdir(parents=True)
    (folder / "code").mkdir()
    page = "# T\n\n```rust\n{{#include ../code/a.rs}}\n```\n\n{{#include link.txt}}\n"
    (folder / "src" / "t.md").write_text(page)
    (folder / "src" / "link.txt").symlink_to("/etc/passwd")
    (folder / "src" / "note.ipynb").write_text("{}")
    (folder / "src" / "nothing.md").write_text("<!-- nothing -->\n")
    (folder / "code" / "a.rs").write_text("fn a() {}\n")
    _git(folder, "init", "--quiet", "-b", "main")
    _git(folder, "add", "-A")
    _git(folder, "commit", "--quiet", "-m", "first")
    origin = GitOrigin(url=str(folder), commit=_git(folder, "rev-parse", "HEAD"),
                       include=("src/**",))  # fmt: skip
    contract, context = contract_of(origin, clean="documentation"), context_of(tmp_path)
    rows = pl.concat(GitLoader().read(contract, GitLoader().plan(contract, context), context))
    assert rows.select("path", "language", "modality", "content").rows() == [
        ("src/t.md", "markdown", "text", "# T\n\n```rust\nfn a() {}\n```\n")
    ]
    assert context.skips.counts == {
        SkipReason.EMPTY: 1, SkipReason.MALFORMED_ROW: 1, SkipReason.LINK: 1,
    }  # fmt: skip


def test_the_digest_needs_no_clone(repository: tuple[str, str], tmp_path: Path) -> None:
    one = GitLoader().pinned_digest(_contract(repository), context_of(tmp_path))
    other = _contract(repository, include=("**/*.py",))
    assert one != GitLoader().pinned_digest(other, context_of(tmp_path))
    assert not (tmp_path / "cache").exists()
