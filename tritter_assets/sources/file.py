"""Local data files and folders. A JSONL or Parquet file may carry any document column directly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tritter_assets.contracts.source import FileOrigin, SourceContract
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.batch_mapping import map_batches
from tritter_assets.sources.data_file import EXTENSIONS, read_batches
from tritter_assets.sources.download import file_sha256
from tritter_assets.sources.globs import selects
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.sources.tree import (
    TreeFacts,
    evidence_text,
    is_evidence,
    tree_evidence,
    tree_frames,
)

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence

_NO_REVISION = "local"


@dataclass(frozen=True, slots=True)
class FileLoader:
    """Loads `FileOrigin`."""

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> None:
        """None: the files are hashed at each plan."""
        return

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the file, or the folder's files that the globs select, with their SHA-256."""
        origin, root = _open(contract, context)
        if root.is_file():
            return (UpstreamFile(root.name, root.stat().st_size, file_sha256(root)),)
        found: list[UpstreamFile] = []
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_symlink() or not path.is_file() or not selects(name, origin.include):
                continue
            if origin.file_format != "folder" and not name.endswith(EXTENSIONS[origin.file_format]):
                continue
            found.append(UpstreamFile(name, path.stat().st_size, file_sha256(path)))
        if not found:
            raise UpstreamUnavailable(
                f"source {contract.id}: {root} holds no {origin.file_format} file that "
                f"{origin.include} selects; correct `origin.path` or `origin.include`"
            )
        return tuple(sorted(found, key=lambda file: file.name))

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns a folder's licence files, or those that stand as rows of a data file."""
        origin, root = _open(contract, context)
        files = self.plan(contract, context)
        if origin.file_format == "folder":
            repo = _repo(contract)
            texts = {
                file.name: text
                for file in files
                if is_evidence(file.name)
                and (text := evidence_text((root / file.name).read_bytes())) is not None
            }
            return {repo: tree_evidence(repo, texts)}
        by_repo: dict[str, dict[str, str]] = defaultdict(dict)
        scratch = LoaderContext(
            cache=context.cache, project_root=context.project_root, limits=context.limits
        )
        for file in files:
            for frame in self._frames(contract, origin, root, file, scratch):
                evident = pl.Series([is_evidence(path) for path in frame["path"]], dtype=pl.Boolean)
                rows = frame.filter(evident).select("repo", "path", "content")
                for repo, path, content in rows.iter_rows():
                    by_repo[repo][path] = content
        return {repo: tree_evidence(repo, texts) for repo, texts in sorted(by_repo.items())}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams the folder's text files, or the data files' rows."""
        origin, root = _open(contract, context)
        if origin.file_format == "folder":
            facts = TreeFacts(
                repo=_repo(contract),
                revision=_NO_REVISION,
                url=None,
                owner=None,
                modality=contract.modality,
            )
            contents = ((file.name, (root / file.name).read_bytes()) for file in files)
            yield from tree_frames(contents, facts, context)
            return
        for file in files:
            yield from self._frames(contract, origin, root, file, context)

    @staticmethod
    def _frames(
        contract: SourceContract,
        origin: FileOrigin,
        root: Path,
        file: UpstreamFile,
        context: LoaderContext,
    ) -> Iterator[pl.DataFrame]:
        mapping = ColumnMapping.of(contract)
        facts = RowFacts(
            repo=_repo(contract), file=file.name, revision=_NO_REVISION, url=None, split=None
        )
        path = root if root.is_file() else root / file.name
        with path.open("rb") as stream:
            batches = read_batches(
                stream, file.name, origin.file_format, mapping.upstream_columns, context
            )
            yield from map_batches(batches, mapping, facts, context, contract.row_filter)


def _open(contract: SourceContract, context: LoaderContext) -> tuple[FileOrigin, Path]:
    origin = contract.origin
    assert isinstance(origin, FileOrigin)
    root = context.project_root / origin.path
    if not root.exists():
        raise UpstreamUnavailable(
            f"source {contract.id}: {root} does not exist; correct `origin.path` of "
            f"{contract.file.name or 'the contract'} (relative paths start at the project's root)"
        )
    return origin, root


def _repo(contract: SourceContract) -> str:
    return f"file/{contract.id}"
