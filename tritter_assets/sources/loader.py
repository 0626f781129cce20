"""What every loader offers, and what it is given.

A loader turns one kind of origin into document rows. `plan` lists upstream's files at the pinned
revision, `evidence` gathers what each repository says of its licence, `read` streams rows of the
files of one shard. Loaders never guess in silence: whatever they cannot turn into a row is counted
in the context's `SkipLog`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import polars as pl

from tritter_assets.contracts.source import SourceContract

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence
    from tritter_assets.sources.pieces import PieceStore

MAX_EXAMPLES = 20
"""Skipped files named in a report."""


class SkipReason(StrEnum):
    """Why a file or a row of upstream did not become a document; the list is closed."""

    BINARY = "binary"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    MALFORMED_ROW = "malformed_row"
    OTHER_SPLIT = "other_split"
    NOT_SELECTED = "not_selected"
    LINK = "link"
    BLOB_MISSING = "blob_missing"
    BLOB_REFUSED = "blob_refused"
    BLOB_DAMAGED = "blob_damaged"
    BLOB_HASH_MISMATCH = "blob_hash_mismatch"


@dataclass(frozen=True, slots=True)
class UpstreamFile:
    """One file of upstream at the pinned revision."""

    name: str
    """Path inside the archive or repository; the sort key of the plan."""
    size_bytes: int
    digest: str
    """What upstream (or we) say the bytes are: a SHA-256, a git object id or an ETag."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds that no upstream may pass.

    The archive bounds stand far above real source archives: over 14 large ones measured, the
    greatest ratio was 6.8, the most members 8,530 and the largest total 64 MiB.
    """

    document_bytes: int = 8 << 20
    """A larger file is skipped as `too_large`."""
    member_bytes: int = 1 << 30
    """A larger archive member refuses the archive."""
    members: int = 500_000
    total_bytes: int = 16 << 30
    """Decompressed bytes of an archive."""
    compression_ratio: float = 100.0
    """Decompressed to compressed bytes, looked at once `ratio_floor_bytes` have come out."""
    ratio_floor_bytes: int = 16 << 20
    frame_bytes: int = 8 << 20
    """Content gathered before a frame is handed on."""
    frame_rows: int = 2048


class Skipped(NamedTuple):
    """One file or row that did not become a document."""

    reason: SkipReason
    where: str
    """Lets a person find it; no two of a shard are the same."""
    repo: str | None
    path: str | None
    revision: str | None


@dataclass(slots=True)
class SkipLog:
    """Counts what was skipped, per reason, with the first examples in reading order."""

    counts: Counter[SkipReason] = field(default_factory=Counter)
    examples: list[tuple[SkipReason, str]] = field(default_factory=list)
    sink: Callable[[Skipped], None] | None = None
    """Takes every skipped file or row; ingest writes them to the ledger."""

    def add(
        self,
        reason: SkipReason,
        where: str,
        *,
        repo: str | None = None,
        path: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Takes one skipped file or row, with what is known of its place upstream."""
        self.counts[reason] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append((reason, where))
        if self.sink is not None:
            self.sink(Skipped(reason, where, repo, path, revision))


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderContext:
    """What a loader may use besides the contract."""

    cache: Path
    """Folder of verified downloads; shared by all sources, safe to delete."""
    project_root: Path
    """Folder that holds `data_contracts`; relative file origins start here."""
    limits: Limits = field(default_factory=Limits)
    skips: SkipLog = field(default_factory=SkipLog)
    encodings: Counter[str] = field(default_factory=Counter)
    """Encoding -> documents that were decoded from it."""
    pieces: PieceStore | None = None
    """Where a loader keeps what it has read of the shard; None keeps nothing."""


class Loader(Protocol):
    """One kind of origin."""

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str | None:
        """Returns a digest of all of upstream when the contract pins it, without any network.

        None when upstream can change under the contract: the plan's digests then stand in.
        """
        ...

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists upstream's files that the contract includes, sorted by name."""
        ...

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns what each repository says of its licence, by the `repo` of its rows."""
        ...

    def read(
        self,
        contract: SourceContract,
        files: tuple[UpstreamFile, ...],
        context: LoaderContext,
    ) -> Iterator[pl.DataFrame]:
        """Streams document rows of `files`.

        Frames hold any columns of the document schema except those that ingest fills (`id`,
        `source`, `shard`, the content hash, the concluded licence); a column left out is null.
        """
        ...


def shard_files(files: tuple[UpstreamFile, ...], number: int, of: int) -> tuple[UpstreamFile, ...]:
    """Returns the files of a shard: every `of`-th file, from `number` on."""
    return files[number::of]
