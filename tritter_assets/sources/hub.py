"""Dataset repositories of the Hugging Face Hub: data files only, never a loading script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from tritter_assets.contracts.source import HubOrigin, SourceContract
from tritter_assets.errors import UpstreamChanged
from tritter_assets.sources.batch_mapping import map_batches
from tritter_assets.sources.data_file import parquet_row_groups, read_batches
from tritter_assets.sources.download import file_sha256
from tritter_assets.sources.frames import gather_frames
from tritter_assets.sources.hub_client import HubClient, Listing
from tritter_assets.sources.hub_files import choose_files
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.sources.row_filter import select_rows
from tritter_assets.sources.swh import BlobStore, swh_documents
from tritter_assets.sources.tree import TreeFacts, tree_frames

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence


@dataclass(frozen=True, kw_only=True, slots=True)
class HubLoader:
    """Loads `HubOrigin`."""

    client: HubClient = field(default_factory=HubClient)
    blobs: BlobStore = field(default_factory=BlobStore)
    """Where the text of Software Heritage blob ids is."""
    part_bytes: int = 64 << 20
    """Upstream bytes that a killed ingestion may have to read again; smaller shards are read whole.
    Of rows whose text comes from blobs, a part is one row group."""

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> None:
        """None: the listing's own digests say what the files are."""
        return

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the data files of the contract's config and split."""
        origin = _origin(contract)
        return choose_files(self._listing(origin, context), origin)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Nothing: the licence of a row is in the row or in the contract."""
        return {}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams the rows of each file, reading only the columns that are mapped."""
        origin = _origin(contract)
        listing = self._listing(origin, context)
        revision, listed = listing.revision, set(listing.files)
        # A small shard is read again sooner than its pieces are written and verified.
        small = sum(file.size_bytes for file in files) < self.part_bytes
        keeps = context.pieces is not None and (origin.content_from == "swh" or not small)
        for file in files:
            if file not in listed:
                raise UpstreamChanged(
                    f"hub {origin.repo}: {file.name} changed between the plan and now (revision "
                    f"{revision}); run the shard again, and pin a revision to stop this"
                )
            if origin.file_format == "tar":
                yield from self._tar_frames(contract, origin, revision, file, context)
                continue
            for part in self._parts(origin, revision, file, keeps):
                yield from self._frames(contract, origin, revision, part, context, keeps=keeps)

    def _parts(
        self, origin: HubOrigin, revision: str, file: UpstreamFile, keeps: bool
    ) -> Iterator[_Part]:
        """Cuts a large Parquet file at its row groups, so that a stop costs at most one part."""
        from_blobs = origin.content_from == "swh"
        large = from_blobs or file.size_bytes > self.part_bytes
        if not keeps or origin.file_format != "parquet" or not large:
            yield _Part(file)
            return
        with self.client.open(origin.repo, revision, file) as stream:
            sizes = parquet_row_groups(stream, file.name)
        groups: list[int] = []
        gathered = 0
        for number, size in enumerate(sizes):
            groups.append(number)
            gathered += size
            if from_blobs or gathered >= self.part_bytes or number == len(sizes) - 1:
                yield _Part(file, tuple(groups))
                groups, gathered = [], 0

    def _frames(
        self,
        contract: SourceContract,
        origin: HubOrigin,
        revision: str,
        part: _Part,
        context: LoaderContext,
        *,
        keeps: bool,
    ) -> Iterator[pl.DataFrame]:
        def make(inner: LoaderContext) -> Iterator[pl.DataFrame]:
            return self._rows(contract, origin, revision, part, inner)

        if context.pieces is None or not keeps:
            return make(context)
        name = f"{origin.repo}@{revision} {part.file} {part.row_groups}"
        return context.pieces.frames(name, make, context)

    def _rows(
        self,
        contract: SourceContract,
        origin: HubOrigin,
        revision: str,
        part: _Part,
        context: LoaderContext,
    ) -> Iterator[pl.DataFrame]:
        file, mapping = part.file, ColumnMapping.of(contract)
        facts = RowFacts(
            repo=f"hub/{origin.repo}",
            file=file.name,
            revision=revision,
            url=_page(origin, revision, file),
            split=origin.split,
        )
        from_blobs = origin.content_from == "swh"
        used = mapping.for_blobs() if from_blobs else mapping
        with self.client.open(origin.repo, revision, file) as stream:
            batches = read_batches(
                stream,
                file.name,
                origin.file_format,
                used.upstream_columns,
                context,
                row_groups=part.row_groups,
            )
            if not from_blobs:
                yield from map_batches(batches, used, facts, context, contract.row_filter)
                return
            chosen = (select_rows(batch, contract.row_filter, context) for batch in batches)
            rows = (
                row for batch in chosen for row in zip(batch.numbers, batch.to_rows(), strict=True)
            )
            documents = swh_documents(rows, used, facts, self.blobs, context)
            yield from gather_frames(documents, context.limits)

    def _tar_frames(
        self,
        contract: SourceContract,
        origin: HubOrigin,
        revision: str,
        file: UpstreamFile,
        context: LoaderContext,
    ) -> Iterator[pl.DataFrame]:
        from tritter_assets.sources.archive_tree import (
            index_archive,
            member_contents,
            planned_files,
        )

        folder = context.cache / "hub" / origin.repo.replace("/", "--") / revision
        target = folder / file.name.replace("/", "--")
        sha256 = file.digest
        if not target.is_file() or file_sha256(target) != sha256:
            folder.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            with self.client.open(origin.repo, revision, file) as stream, partial.open("wb") as out:
                while chunk := stream.read(4 << 20):
                    out.write(chunk)
            if len(sha256) == 64 and file_sha256(partial) != sha256:
                partial.unlink()
                raise UpstreamChanged(
                    f"hub {origin.repo}@{revision}: {file.name} is not the listed {sha256}"
                )
            partial.replace(target)
        index = index_archive(target, "tar", sha256, context.limits, strip_top=False)
        facts = TreeFacts(
            repo=f"hub/{origin.repo}",
            revision=revision,
            url=_page(origin, revision, file),
            owner=None,
            modality=contract.modality,
        )
        members = planned_files(index, ("**",))
        contents = member_contents(target, "tar", index, members, context.limits)
        yield from tree_frames(
            ((f"{file.name}/{path}", raw) for path, raw in contents), facts, context
        )

    def _listing(self, origin: HubOrigin, context: LoaderContext) -> Listing:
        return self.client.listing(
            origin.repo, origin.revision, origin.data_dir, context.cache, branch=origin.branch
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What is read, and kept, at once."""

    file: UpstreamFile
    row_groups: tuple[int, ...] | None = None
    """None: the whole file."""


def _origin(contract: SourceContract) -> HubOrigin:
    assert isinstance(contract.origin, HubOrigin)
    return contract.origin


def _page(origin: HubOrigin, revision: str, file: UpstreamFile) -> str:
    return f"https://huggingface.co/datasets/{origin.repo}/blob/{revision}/{file.name}"
