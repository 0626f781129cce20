"""One archive or data file at an address, pinned by its SHA-256."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from tritter_assets.contracts.source import HttpOrigin, SourceContract
from tritter_assets.lake import fingerprint_of
from tritter_assets.sources.archive_tree import (
    ArchiveIndex,
    index_archive,
    member_contents,
    planned_files,
)
from tritter_assets.sources.data_file import read_rows
from tritter_assets.sources.download import DEFAULT_RETRIES, RetryPolicy, fetch_verified, masked
from tritter_assets.sources.frames import gather_frames
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.mapping import ColumnMapping, RowFacts, map_rows
from tritter_assets.sources.tree import TreeFacts, tree_evidence, tree_frames

if TYPE_CHECKING:
    from tritter_assets.licensing.conclude import RepoEvidence

_ARCHIVES = ("tar", "zip")
WAY_OUT = "check the network and the address, or point the contract at a mirror of the same file"


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLoader:
    """Loads `HttpOrigin`."""

    retries: RetryPolicy = field(default=DEFAULT_RETRIES)

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        """Returns a digest of the pinned hash and the globs."""
        origin = _origin(contract)
        return fingerprint_of("http", origin.sha256, origin.file_format, origin.include)

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the archive's members, or the data file itself."""
        origin = _origin(contract)
        path = self.fetch(origin, context)
        if origin.file_format in _ARCHIVES:
            return planned_files(_index(origin, path, context), origin.include)
        return (UpstreamFile(_name(origin), path.stat().st_size, origin.sha256),)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns an archive's licence files; a data file has none."""
        origin = _origin(contract)
        if origin.file_format not in _ARCHIVES:
            return {}
        index = _index(origin, self.fetch(origin, context), context)
        repo = _repo(origin)
        return {repo: tree_evidence(repo, index.texts)}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams an archive's text files, or a data file's rows."""
        origin = _origin(contract)
        path = self.fetch(origin, context)
        url = masked(origin.url)
        if origin.file_format in _ARCHIVES:
            facts = TreeFacts(
                repo=_repo(origin),
                revision=origin.sha256,
                url=url,
                owner=None,
                modality=contract.modality,
            )
            index = _index(origin, path, context)
            contents = member_contents(path, origin.file_format, index, files, context.limits)
            yield from tree_frames(contents, facts, context)
            return
        mapping = ColumnMapping.of(contract)
        for file in files:
            facts = RowFacts(
                repo=_repo(origin), file=file.name, revision=origin.sha256, url=url, split=None
            )
            with path.open("rb") as stream:
                rows = read_rows(
                    stream, file.name, origin.file_format, mapping.upstream_columns, context
                )
                yield from gather_frames(map_rows(rows, mapping, facts, context), context.limits)

    def fetch(self, origin: HttpOrigin, context: LoaderContext) -> Path:
        """Returns the verified file in the cache, downloading it when it is not there.

        Raises:
            UpstreamUnavailable: the address gives no complete answer.
            UpstreamChanged: it gives other bytes than the contract pins.
        """
        target = context.cache / "http" / origin.sha256[:16] / _name(origin)
        return fetch_verified(
            origin.url,
            target,
            sha256=origin.sha256,
            retries=self.retries,
            what=f"file {_name(origin)}",
            way_out=WAY_OUT,
        )


def _origin(contract: SourceContract) -> HttpOrigin:
    assert isinstance(contract.origin, HttpOrigin)
    return contract.origin


def _name(origin: HttpOrigin) -> str:
    name = urlsplit(origin.url).path.rstrip("/").rsplit("/", 1)[-1]
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "file"


def _repo(origin: HttpOrigin) -> str:
    """The file stands for itself: `http/<host>/<name>`."""
    return f"http/{urlsplit(origin.url).hostname or 'unknown'}/{_name(origin)}"


def _index(origin: HttpOrigin, path: Path, context: LoaderContext) -> ArchiveIndex:
    return index_archive(path, origin.file_format, origin.sha256, context.limits)
