"""One archive or data file at an address, pinned by its SHA-256.

| file | rows |
|---|---|
| data file (`parquet`, `jsonl`, `csv`) | its rows, through the column mapping |
| `tar`, `deb`, or `zip` without `inner_format` | one document per file of text |
| `zip` with `inner_format` | the rows of the data files inside that the globs select, streamed |

A contract whose hash is `unpinned` stands in the catalogue: nothing is fetched for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.source import HttpOrigin, SourceContract
from tritter_assets.errors import ContractViolation, UpstreamChanged
from tritter_assets.lake import fingerprint_of
from tritter_assets.sources.archive import open_zip_member, zip_members
from tritter_assets.sources.archive_tree import (
    ArchiveIndex,
    index_archive,
    member_contents,
    planned_files,
)
from tritter_assets.sources.batch_mapping import map_batches
from tritter_assets.sources.data_file import EXTENSIONS, read_batches
from tritter_assets.sources.download import (
    DEFAULT_RETRIES,
    RetryPolicy,
    fetch_unpinned,
    fetch_verified,
    masked,
)
from tritter_assets.sources.globs import selects
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.sources.tree import TreeFacts, tree_evidence, tree_frames

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence

_FOLDER = "http"
_ARCHIVES = ("tar", "zip", "deb")
WAY_OUT = "check the network and the address, or point the contract at a mirror of the same file"


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLoader:
    """Loads `HttpOrigin`."""

    retries: RetryPolicy = field(default=DEFAULT_RETRIES)

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        """Returns a digest of the pinned hash and the globs."""
        origin = _origin(contract)
        parts = ["http", origin.sha256, origin.file_format, origin.include]
        if origin.inner_format or origin.exclude:
            parts += [origin.inner_format, origin.exclude]
        return fingerprint_of(*parts)

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the archive's members, or the data file itself."""
        origin = _origin(contract)
        path = self.fetch(origin, context)
        if origin.inner_format is not None:
            return _tables(origin, path, context)
        if origin.file_format in _ARCHIVES:
            return planned_files(_index(origin, path, context), origin.include, origin.exclude)
        return (UpstreamFile(_name(origin), path.stat().st_size, origin.sha256),)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns an archive's licence files; data files have none."""
        origin = _origin(contract)
        if origin.file_format not in _ARCHIVES or origin.inner_format is not None:
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
        if origin.file_format in _ARCHIVES and origin.inner_format is None:
            facts = TreeFacts(
                repo=_repo(origin),
                revision=origin.sha256,
                url=url,
                owner=None,
                modality=contract.modality,
                clean=contract.clean,
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
            file_format = origin.inner_format or origin.file_format
            with _opened(origin, path, file, context) as stream:
                batches = read_batches(
                    stream, file.name, file_format, mapping.upstream_columns, context
                )
                yield from map_batches(batches, mapping, facts, context, contract.row_filter)

    def fetch(self, origin: HttpOrigin, context: LoaderContext) -> Path:
        """Returns the verified file in the cache, downloading it when it is not there.

        Raises:
            ContractViolation: the contract pins no hash yet.
            UpstreamUnavailable: the address gives no complete answer.
            UpstreamChanged: it gives other bytes than the contract pins.
        """
        if origin.sha256 == UNPINNED:
            raise ContractViolation(
                f"file {_name(origin)}: the contract pins no hash, so nothing at "
                f"{masked(origin.url)} can be trusted to be what it describes. Pin what it "
                "serves now with `tritter pin SOURCE --write`, or download it, look at it, and "
                "write the output of `sha256sum FILE` into origin.sha256"
            )
        target = context.cache / _FOLDER / origin.sha256[:16] / _name(origin)
        return fetch_verified(
            origin.url,
            target,
            sha256=origin.sha256,
            retries=self.retries,
            what=f"file {_name(origin)}",
            way_out=WAY_OUT,
        )

    def fetch_unpinned(self, origin: HttpOrigin, context: LoaderContext) -> str:
        """Puts what the address serves now into the cache and returns its SHA-256."""
        return fetch_unpinned(
            origin.url,
            context.cache / _FOLDER,
            _name(origin),
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


def _tables(origin: HttpOrigin, path: Path, context: LoaderContext) -> tuple[UpstreamFile, ...]:
    assert origin.inner_format is not None
    chosen = tuple(
        # The CRC only tells members apart: the archive's own hash vouches for the bytes.
        UpstreamFile(info.filename, info.file_size, f"{origin.sha256[:16]}-{info.CRC:08x}")
        for info in zip_members(path, context.limits)
        if selects(info.filename, origin.include, origin.exclude)
        and info.filename.endswith(EXTENSIONS[origin.inner_format])
    )
    if not chosen:
        raise UpstreamChanged(
            f"{path.name} holds no {origin.inner_format} file that {origin.include} selects; "
            "correct `origin.include` of the contract"
        )
    return chosen


@contextmanager
def _opened(
    origin: HttpOrigin, path: Path, file: UpstreamFile, context: LoaderContext
) -> Iterator[IO[bytes]]:
    if origin.inner_format is not None:
        with open_zip_member(path, file.name, context.limits) as stream:
            yield stream
    else:
        with path.open("rb") as stream:
            yield stream


def _repo(origin: HttpOrigin) -> str:
    """The file stands for itself: `http/<host>/<name>`."""
    return f"http/{urlsplit(origin.url).hostname or 'unknown'}/{_name(origin)}"


def _index(origin: HttpOrigin, path: Path, context: LoaderContext) -> ArchiveIndex:
    # The top folder `usr` that a Debian package's files share says where they belong.
    strip_top = origin.file_format != "deb"
    return index_archive(
        path, origin.file_format, origin.sha256, context.limits, strip_top=strip_top
    )
