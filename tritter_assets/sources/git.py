"""Files of a git repository at a pinned commit, read from a shallow bare clone in the cache.

Nothing is checked out: blobs stream through `git cat-file --batch`, so no filter, hook, submodule
or large-file extension of the repository can act.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.contracts.source import GitOrigin, SourceContract
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.lake import fingerprint_of
from tritter_assets.sources.download import masked
from tritter_assets.sources.globs import selects
from tritter_assets.sources.loader import LoaderContext, SkipReason, UpstreamFile
from tritter_assets.sources.package_info import repository_of
from tritter_assets.sources.tree import (
    TreeFacts,
    evidence_text,
    is_evidence,
    tree_evidence,
    tree_frames,
)

if TYPE_CHECKING:
    from tritter_assets.licensing.conclude import RepoEvidence

_SCHEMES = ("https://", "http://", "ssh://", "git://", "file://", "/")
_TIMEOUT_SECONDS = 1800
_REGULAR = ("100644", "100755")


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    kind: str
    oid: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class GitLoader:
    """Loads `GitOrigin`; needs the program `git`."""

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        """Returns a digest of the commit, which names every byte, and the globs."""
        origin = _origin(contract)
        return fingerprint_of("git", origin.commit, origin.include, origin.exclude)

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the commit's regular files; links and submodules are left out."""
        origin = _origin(contract)
        return tuple(
            UpstreamFile(entry.path, entry.size_bytes, entry.oid)
            for entry in sorted(_tree(origin, context), key=lambda entry: entry.path)
            if entry.mode in _REGULAR and selects(entry.path, origin.include, origin.exclude)
        )

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns the licence files and crate manifests of the whole tree."""
        origin = _origin(contract)
        files = tuple(
            UpstreamFile(entry.path, entry.size_bytes, entry.oid)
            for entry in _tree(origin, context)
            if entry.mode in _REGULAR and is_evidence(entry.path)
        )
        texts: dict[str, str] = {}
        for path, raw in _contents(origin, files, context):
            text = evidence_text(raw)
            if text is not None:
                texts[path] = text
        repo, _ = _repo(origin)
        return {repo: tree_evidence(repo, texts)}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams one row per text file."""
        origin = _origin(contract)
        repo, owner = _repo(origin)
        home = repository_of(origin.url)
        address = masked(origin.url).removesuffix(".git")
        facts = TreeFacts(
            repo=repo,
            revision=origin.commit,
            url=f"{address}/blob/{origin.commit}/{{path}}" if home else None,
            owner=owner,
            modality=contract.modality,
        )
        if files and files[0] == _first(self.plan(contract, context)):
            for entry in _tree(origin, context):
                if entry.mode == "120000" and selects(entry.path, origin.include, origin.exclude):
                    context.skips.add(
                        SkipReason.LINK,
                        f"{repo}@{origin.commit}:{entry.path}",
                        repo=repo,
                        path=entry.path,
                        revision=origin.commit,
                    )
        yield from tree_frames(_contents(origin, files, context), facts, context)


def remote_refs(origin: GitOrigin) -> dict[str, str]:
    """Returns what a repository's branches and tags point at today; `HEAD` is its default branch.

    An annotated tag stands for the commit it names.

    Raises:
        UpstreamUnavailable: the repository cannot be reached.
    """
    listed = _git(Path.cwd(), "ls-remote", "--quiet", "--", origin.url, origin=origin).decode()
    refs: dict[str, str] = {}
    for line in listed.splitlines():  # in the order of names: `v1^{}` comes after `v1`
        commit, _, name = line.partition("\t")
        for prefix in ("refs/heads/", "refs/tags/"):
            name = name.removeprefix(prefix)
        refs[name.removesuffix("^{}")] = commit
    return refs


def _first(files: tuple[UpstreamFile, ...]) -> UpstreamFile | None:
    return files[0] if files else None


def _origin(contract: SourceContract) -> GitOrigin:
    assert isinstance(contract.origin, GitOrigin)
    return contract.origin


def _repo(origin: GitOrigin) -> tuple[str, str | None]:
    home = repository_of(origin.url)
    if home is not None:
        return "/".join(home), home[0]
    name = origin.url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    return f"git/{name}", None


def _clone(origin: GitOrigin, context: LoaderContext) -> Path:
    """Returns a bare clone that holds the commit, fetching only that commit when it is missing."""
    if not origin.url.startswith(_SCHEMES):
        raise UpstreamUnavailable(
            f"git {origin.url!r}: use an https://, ssh://, git:// or file:// address or an "
            "absolute path"
        )
    name = hashlib.sha256(origin.url.encode()).hexdigest()[:16]
    folder = context.cache / "git" / f"{name}-{origin.commit[:16]}.git"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _git(partial, "init", "--quiet", "--bare", ".", origin=origin)
        _git(
            partial, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
            "--", origin.url, origin.commit, origin=origin,
        )  # fmt: skip
        _git(partial, "cat-file", "-e", f"{origin.commit}^{{commit}}", origin=origin)
        if folder.is_dir():  # another process was faster
            return folder
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _tree(origin: GitOrigin, context: LoaderContext) -> list[_Entry]:
    folder = _clone(origin, context)
    listed = _git(folder, "ls-tree", "-r", "-z", "--long", "--full-tree", origin.commit,
                  origin=origin)  # fmt: skip
    entries: list[_Entry] = []
    for line in listed.split(b"\0"):
        if not line:
            continue
        head, _, path = line.partition(b"\t")
        mode, kind, oid, size = head.decode().split()
        name = path.decode("utf-8", "backslashreplace")
        entries.append(_Entry(mode, kind, oid, int(size) if size != "-" else 0, name))
    return entries


def _contents(
    origin: GitOrigin, files: tuple[UpstreamFile, ...], context: LoaderContext
) -> Iterator[tuple[str, bytes]]:
    """Streams (path, bytes) through one `git cat-file --batch`, a request at a time."""
    if not files:
        return
    folder = _clone(origin, context)
    process = subprocess.Popen(
        ["git", "cat-file", "--batch"],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for file in files:
            if file.size_bytes > context.limits.document_bytes:
                context.skips.add(
                    SkipReason.TOO_LARGE,
                    f"{origin.url}:{file.name}",
                    path=file.name,
                    revision=origin.commit,
                )
                continue
            process.stdin.write(f"{file.digest}\n".encode())
            process.stdin.flush()
            head = process.stdout.readline().split()
            if len(head) != 3:
                raise UpstreamUnavailable(
                    f"git {masked(origin.url)}@{origin.commit}: the clone lacks {file.name} "
                    f"({file.digest}); delete {folder} and run again"
                )
            content = process.stdout.read(int(head[2]))
            process.stdout.read(1)
            yield file.name, content
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def _git(folder: Path, *arguments: str, origin: GitOrigin) -> bytes:
    what = f"git {masked(origin.url)}@{origin.commit}"
    try:
        done = subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise UpstreamUnavailable(f"{what}: the program git is not installed") from None
    except subprocess.TimeoutExpired:
        raise UpstreamUnavailable(
            f"{what}: git {arguments[0]} took over {_TIMEOUT_SECONDS} s; check the network"
        ) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise UpstreamUnavailable(
            f"{what}: git {arguments[0]} failed ({said[-1]}); check that the address is reachable "
            "and still has this commit"
        )
    return done.stdout


def _environment() -> dict[str, Any]:
    # The outer repository's variables would redirect git; a prompt would hang a run.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in ("GIT_SSL_CAINFO", "GIT_SSH_COMMAND")
    }
    return kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
