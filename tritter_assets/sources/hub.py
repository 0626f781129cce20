"""Dataset repositories of the Hugging Face Hub: data files only, never a loading script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.contracts.source import HubOrigin, SourceContract
from tritter_assets.errors import UpstreamChanged
from tritter_assets.sources.data_file import read_rows
from tritter_assets.sources.download import file_sha256
from tritter_assets.sources.frames import gather_frames
from tritter_assets.sources.hub_client import HubClient, Listing
from tritter_assets.sources.hub_files import choose_files
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.mapping import ColumnMapping, RowFacts, map_rows
from tritter_assets.sources.swh import BlobStore, swh_documents
from tritter_assets.sources.tree import TreeFacts, tree_frames

if TYPE_CHECKING:
    from tritter_assets.licensing.conclude import RepoEvidence


@dataclass(frozen=True, kw_only=True, slots=True)
class HubLoader:
    """Loads `HubOrigin`."""

    client: HubClient = field(default_factory=HubClient)
    blobs: BlobStore = field(default_factory=BlobStore)
    """Where the text of Software Heritage blob ids is."""

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
        for file in files:
            if file not in listed:
                raise UpstreamChanged(
                    f"hub {origin.repo}: {file.name} changed between the plan and now (revision "
                    f"{revision}); run the shard again, and pin a revision to stop this"
                )
            if origin.file_format == "tar":
                yield from self._tar_frames(contract, origin, revision, file, context)
            else:
                documents = self._documents(contract, origin, revision, file, context)
                yield from gather_frames(documents, context.limits)

    def _documents(
        self,
        contract: SourceContract,
        origin: HubOrigin,
        revision: str,
        file: UpstreamFile,
        context: LoaderContext,
    ) -> Iterator[dict[str, Any]]:
        mapping = ColumnMapping.of(contract)
        facts = RowFacts(
            repo=f"hub/{origin.repo}",
            file=file.name,
            revision=revision,
            url=_page(origin, revision, file),
            split=origin.split,
        )
        with self.client.open(origin.repo, revision, file) as stream:
            if origin.content_from == "swh":
                blobs = mapping.for_blobs()
                rows = read_rows(
                    stream, file.name, origin.file_format, blobs.upstream_columns, context
                )
                yield from swh_documents(rows, blobs, facts, self.blobs, context)
                return
            rows = read_rows(
                stream, file.name, origin.file_format, mapping.upstream_columns, context
            )
            yield from map_rows(rows, mapping, facts, context)

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


def _origin(contract: SourceContract) -> HubOrigin:
    assert isinstance(contract.origin, HubOrigin)
    return contract.origin


def _page(origin: HubOrigin, revision: str, file: UpstreamFile) -> str:
    return f"https://huggingface.co/datasets/{origin.repo}/blob/{revision}/{file.name}"
