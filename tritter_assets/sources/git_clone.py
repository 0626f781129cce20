"""The bare, shallow clone of one pinned commit in the cache, and what is read out of it.

Only the commit is fetched, and where the server can leave file contents out, only those that are
asked for: a repository of gigabytes costs what its documentation weighs. Nothing is checked out:
blobs stream through `git cat-file --batch`, so no filter, hook, submodule or large-file extension
of the repository can act. git itself verifies that every object is what its id says.

`TRITTER_GIT_MIRROR` lets a deployment read from elsewhere: pairs `FROM=TO` of address prefixes,
separated by blanks, e.g. `https://github.com/=file:///srv/mirror/`. The longest prefix wins. It
changes where bytes come from, never what they are: the commit is the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tritter_assets.contracts.source import GitOrigin
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.download import masked
from tritter_assets.sources.loader import LoaderContext, SkipReason, UpstreamFile

MIRROR_VARIABLE = "TRITTER_GIT_MIRROR"
REGULAR = ("100644", "100755")
LINK = "120000"
_SCHEMES = ("https://", "http://", "ssh://", "git://", "file://", "/")
_TIMEOUT_SECONDS = 1800
_NO_NEGOTIATION = ("fetch.negotiationAlgorithm", "noop")
"""Contents are asked for by id: what the clone has already is of no interest to the server."""
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
_TAG = re.compile(r"[\w+][\w+.-]*(?:/[\w+][\w+.-]*)*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of the commit's tree."""

    mode: str
    oid: str
    path: str


def clone(origin: GitOrigin, context: LoaderContext) -> Path:
    """Returns a bare clone that holds the commit, fetching only that commit when it is missing.

    Raises:
        UpstreamUnavailable: the address is of no kind that is read, or does not have the commit.
        UpstreamChanged: the tag of the contract names another commit than the pinned one.
    """
    if not origin.url.startswith(_SCHEMES):
        raise UpstreamUnavailable(
            f"git {origin.url!r}: use an https://, ssh://, git:// or file:// address or an "
            "absolute path"
        )
    named = f"{origin.url} {origin.tag}" if origin.tag else origin.url
    name = hashlib.sha256(named.encode()).hexdigest()[:16]
    folder = context.cache / "git" / f"{name}-{origin.commit[:16]}.git"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        run_git(partial, "init", "--quiet", "--bare", ".", origin=origin)
        for name, value in (("remote.origin.url", origin.url), _NO_NEGOTIATION):
            run_git(partial, "config", name, value, origin=origin)
        _fetch_commit(partial, origin)
        if folder.is_dir():  # another process was faster
            return folder
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _fetch_commit(folder: Path, origin: GitOrigin) -> None:
    ref = origin.commit
    if origin.tag is not None:
        if not _TAG.fullmatch(origin.tag) or ".." in origin.tag:
            raise UpstreamUnavailable(
                f"git {masked(origin.url)}: {origin.tag!r} is no tag name; correct `origin.tag`"
            )
        ref = f"refs/tags/{origin.tag}:refs/tags/{origin.tag}"
    run_git(
        folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
        "--filter=blob:none", "origin", ref, origin=origin,
    )  # fmt: skip
    if origin.tag is not None:
        name = f"refs/tags/{origin.tag}^{{commit}}"
        found = run_git(folder, "rev-parse", "--verify", name, origin=origin).decode().strip()
        if found != origin.commit:
            raise UpstreamChanged(
                f"git {masked(origin.url)}: the tag {origin.tag} names commit {found}, the "
                f"contract pins {origin.commit}; look at why the tag moved before you pin the new "
                "commit"
            )
    run_git(folder, "cat-file", "-e", f"{origin.commit}^{{commit}}", origin=origin)


def list_tree(origin: GitOrigin, context: LoaderContext) -> list[Entry]:
    """Lists the commit's files and links, sorted by path; submodules are left out."""
    folder = clone(origin, context)
    listed = run_git(folder, "ls-tree", "-r", "-z", "--full-tree", origin.commit, origin=origin)
    entries: list[Entry] = []
    for line in listed.split(b"\0"):
        if not line:
            continue
        head, _, path = line.partition(b"\t")
        mode, kind, oid = head.decode().split()
        if kind == "blob":
            entries.append(Entry(mode, oid, path.decode("utf-8", "backslashreplace")))
    return sorted(entries, key=lambda entry: entry.path)


def upstream_files(
    origin: GitOrigin, entries: Iterable[Entry], context: LoaderContext
) -> tuple[UpstreamFile, ...]:
    """Returns entries with their sizes; contents that the clone lacks are fetched in one go."""
    chosen = list(entries)
    folder = clone(origin, context)
    _fetch_contents(folder, {entry.oid for entry in chosen}, origin)
    asked = "".join(f"{entry.oid}\n" for entry in chosen).encode()
    answer = run_git(
        folder, "cat-file", "--batch-check=%(objectsize)", "--buffer", origin=origin, stdin=asked
    )
    sizes = answer.decode().split("\n")
    return tuple(
        UpstreamFile(entry.path, int(size), entry.oid)
        for entry, size in zip(chosen, sizes, strict=False)
    )


def _fetch_contents(folder: Path, wanted: set[str], origin: GitOrigin) -> None:
    if "promisor" not in (folder / "config").read_text(encoding="utf-8"):
        return
    listed = run_git(
        folder, "rev-list", "--objects", "--missing=print", "--no-object-names", origin.commit,
        origin=origin,
    ).decode()  # fmt: skip
    missing = {line[1:] for line in listed.split("\n") if line.startswith("?")} & wanted
    if missing:
        # One request for all: git left alone would ask once for each.
        run_git(
            folder, "fetch", "--quiet", "--no-tags",
            "--no-write-fetch-head", "--no-recurse-submodules", "--filter=blob:none",
            "--stdin", "origin", origin=origin,
            stdin="".join(f"{oid}\n" for oid in sorted(missing)).encode(),
        )  # fmt: skip


def read_contents(
    origin: GitOrigin, files: tuple[UpstreamFile, ...], context: LoaderContext
) -> Iterator[tuple[str, bytes]]:
    """Streams (path, bytes) through one `git cat-file --batch`, a request at a time."""
    if not files:
        return
    with BlobReader.opened(origin, context) as blobs:
        for file in files:
            if file.size_bytes > context.limits.document_bytes:
                context.skips.add(
                    SkipReason.TOO_LARGE,
                    f"{origin.url}:{file.name}",
                    path=file.name,
                    revision=origin.commit,
                )
                continue
            content = blobs.read(file.digest)
            if content is None:
                raise UpstreamUnavailable(
                    f"git {masked(origin.url)}@{origin.commit}: the clone lacks {file.name} "
                    f"({file.digest}); delete {blobs.folder} and run again"
                )
            yield file.name, content


@dataclass(frozen=True, slots=True)
class BlobReader:
    """A running `git cat-file --batch`."""

    folder: Path
    requests: IO[bytes]
    answers: IO[bytes]

    @classmethod
    @contextmanager
    def opened(cls, origin: GitOrigin, context: LoaderContext) -> Iterator[BlobReader]:
        """Runs the program as long as the block lasts."""
        folder = clone(origin, context)
        process = subprocess.Popen(
            ["git", *_SAFE, *_mirrors(), "cat-file", "--batch"],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield cls(folder, process.stdin, process.stdout)
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def read(self, oid: str) -> bytes | None:
        """Returns a blob's bytes, or None when neither the clone nor its server has it."""
        self.requests.write(f"{oid}\n".encode())
        self.requests.flush()
        head = self.answers.readline().split()
        if len(head) != 3:
            return None
        content = self.answers.read(int(head[2]))
        self.answers.read(1)
        return content


def run_git(folder: Path, *arguments: str, origin: GitOrigin, stdin: bytes = b"") -> bytes:
    """Runs git in a folder and returns what it prints.

    Raises:
        UpstreamUnavailable: git is missing, fails or takes too long.
    """
    what = f"git {masked(origin.url)}@{origin.commit}"
    try:
        done = subprocess.run(
            ["git", *_SAFE, *_mirrors(), *arguments],
            cwd=folder,
            env=_environment(),
            input=stdin,
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


def _mirrors() -> list[str]:
    """Git's own options for the pairs of `TRITTER_GIT_MIRROR`."""
    options: list[str] = []
    for pair in os.environ.get(MIRROR_VARIABLE, "").split():
        start, equals, mirror = pair.partition("=")
        if not equals or not start.startswith(_SCHEMES) or not mirror.startswith(_SCHEMES):
            raise UpstreamUnavailable(
                f"{MIRROR_VARIABLE} holds {pair!r}: write FROM=TO, two prefixes of addresses, "
                "e.g. https://github.com/=file:///srv/mirror/"
            )
        options += ["-c", f"url.{mirror}.insteadOf={start}"]
    return options
