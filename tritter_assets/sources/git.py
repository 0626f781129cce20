"""Files of a git repository at a pinned commit, read from a shallow bare clone in the cache.

Links and submodules are never followed; a pointer to a large file kept elsewhere is no document.
See `git_clone.py` for how the commit is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tritter_assets.contracts.source import GitOrigin, SourceContract
from tritter_assets.lake import fingerprint_of
from tritter_assets.sources.download import masked
from tritter_assets.sources.git_clone import (
    LINK,
    REGULAR,
    BlobReader,
    list_tree,
    read_contents,
    run_git,
    upstream_files,
)
from tritter_assets.sources.globs import selects
from tritter_assets.sources.loader import LoaderContext, SkipReason, UpstreamFile
from tritter_assets.sources.package_info import repository_of
from tritter_assets.sources.prose.includes import MAX_INCLUDED_CHARS, ReadFile
from tritter_assets.sources.text import decode_text
from tritter_assets.sources.tree import (
    TreeFacts,
    evidence_text,
    is_evidence,
    tree_evidence,
    tree_frames,
)

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence


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
        chosen = (
            entry
            for entry in list_tree(origin, context)
            if entry.mode in REGULAR and selects(entry.path, origin.include, origin.exclude)
        )
        return upstream_files(origin, chosen, context)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns the licence files and crate manifests of the whole tree."""
        origin = _origin(contract)
        chosen = (
            entry
            for entry in list_tree(origin, context)
            if entry.mode in REGULAR and is_evidence(entry.path)
        )
        files = upstream_files(origin, chosen, context)
        texts: dict[str, str] = {}
        for path, raw in read_contents(origin, files, context):
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
            clean=contract.clean,
        )
        if files and files[0] == _first(self.plan(contract, context)):
            for entry in list_tree(origin, context):
                if entry.mode == LINK and selects(entry.path, origin.include, origin.exclude):
                    context.skips.add(
                        SkipReason.LINK,
                        f"{repo}@{origin.commit}:{entry.path}",
                        repo=repo,
                        path=entry.path,
                        revision=origin.commit,
                    )
        contents = read_contents(origin, files, context)
        if contract.clean is None:
            yield from tree_frames(contents, facts, context)
            return
        with _included_files(origin, context) as read:
            yield from tree_frames(contents, facts, context, read_included=read)


def remote_refs(origin: GitOrigin) -> dict[str, str]:
    """Returns what a repository's branches and tags point at today; `HEAD` is its default branch.

    An annotated tag stands for the commit it names.

    Raises:
        UpstreamUnavailable: the repository cannot be reached.
    """
    listed = run_git(Path.cwd(), "ls-remote", "--quiet", "--", origin.url, origin=origin).decode()
    refs: dict[str, str] = {}
    for line in listed.splitlines():  # in the order of names: `v1^{}` comes after `v1`
        commit, _, name = line.partition("\t")
        for prefix in ("refs/heads/", "refs/tags/"):
            name = name.removeprefix(prefix)
        refs[name.removesuffix("^{}")] = commit
    return refs


@contextmanager
def _included_files(origin: GitOrigin, context: LoaderContext) -> Iterator[ReadFile]:
    """Gives the text of any regular file of the commit, for pages that include others."""
    entries = {e.path: e.oid for e in list_tree(origin, context) if e.mode in REGULAR}
    with BlobReader.opened(origin, context) as blobs:

        def read(path: str) -> str | None:
            oid = entries.get(path)
            raw = blobs.read(oid) if oid else None
            if raw is None or len(raw) > MAX_INCLUDED_CHARS:
                return None
            decoded = decode_text(raw)
            return None if isinstance(decoded, SkipReason) else decoded.text

        yield read


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
