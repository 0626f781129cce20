"""Source distributions of the Python package index, read as archives and never built.

The pinned SHA-256 decides what the bytes are; the index only says where they are. Once an archive
is in the cache, nothing here needs a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tritter_assets.contracts.source import SdistOrigin, SourceContract
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.lake import fingerprint_of
from tritter_assets.sources.archive_tree import (
    ArchiveIndex,
    IndexedMember,
    index_archive,
    member_contents,
    planned_files,
)
from tritter_assets.sources.download import (
    DEFAULT_RETRIES,
    RetryPolicy,
    fetch_verified,
    is_cached,
    masked,
)
from tritter_assets.sources.loader import LoaderContext, UpstreamFile
from tritter_assets.sources.package_index import (
    WAY_OUT,
    IndexFile,
    PackageIndex,
    configured_index,
    project_files,
)
from tritter_assets.sources.package_info import NO_INFO, PackageInfo, parse_package_info
from tritter_assets.sources.tree import TreeFacts, tree_evidence, tree_frames

if TYPE_CHECKING:
    from packaging.version import Version

    from tritter_assets.licensing.repo_evidence import RepoEvidence

_FORMAT = "tar.gz"


@dataclass(frozen=True, kw_only=True, slots=True)
class SdistLoader:
    """Loads `SdistOrigin`."""

    index: PackageIndex | None = None
    """None: the index that pip is configured with."""
    retries: RetryPolicy = field(default=DEFAULT_RETRIES)

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        """Returns a digest of the archive's hash and the globs."""
        origin = _origin(contract)
        return fingerprint_of("sdist", origin.sha256, origin.include, origin.exclude)

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the archive's files below its top folder."""
        origin = _origin(contract)
        _, index = self._open(origin, context)
        return planned_files(index, origin.include, origin.exclude)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns the package's metadata, licence files and crate manifests."""
        origin = _origin(contract)
        _, index = self._open(origin, context)
        info = _package_info(index)
        repo, _ = _repo(origin, info)
        return {repo: tree_evidence(repo, index.texts, metadata=info.metadata, emails=info.emails)}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams one row per text file."""
        from packaging.utils import canonicalize_name

        origin = _origin(contract)
        path, index = self._open(origin, context)
        info = _package_info(index)
        repo, owner = _repo(origin, info)
        facts = TreeFacts(
            repo=repo,
            revision=origin.version,
            url=f"https://pypi.org/project/{canonicalize_name(origin.package)}/{origin.version}/",
            owner=owner,
            author_emails=info.emails,
            modality=contract.modality,
        )
        contents = member_contents(path, _FORMAT, index, files, context.limits)
        yield from tree_frames(contents, facts, context)

    def describe(
        self, origin: SdistOrigin, context: LoaderContext
    ) -> tuple[PackageInfo, tuple[IndexedMember, ...]]:
        """Returns what the archive's PKG-INFO says, and its members."""
        _, index = self._open(origin, context)
        return _package_info(index), index.members

    def _open(self, origin: SdistOrigin, context: LoaderContext) -> tuple[Path, ArchiveIndex]:
        path = self.fetch(origin, context)
        return path, index_archive(path, _FORMAT, origin.sha256, context.limits)

    def fetch(self, origin: SdistOrigin, context: LoaderContext) -> Path:
        """Returns the verified archive in the cache, downloading it when it is not there.

        Raises:
            UpstreamUnavailable: the index does not answer or does not have this version.
            UpstreamChanged: the index has it with another hash than the contract pins.
        """
        from packaging.utils import canonicalize_name

        name = canonicalize_name(origin.package)
        target = context.cache / "sdist" / f"{name}-{origin.version}-{origin.sha256[:16]}.tar.gz"
        if is_cached(target, origin.sha256):
            return target
        index = self.index or configured_index()
        what = f"sdist {origin.package} {origin.version}"
        listed = _find(origin, project_files(index, origin.package, retries=self.retries), index)
        if listed.sha256 and listed.sha256.lower() != origin.sha256.lower():
            raise UpstreamChanged(
                f"{what}: the index {masked(index.url)} lists SHA-256 {listed.sha256}, the "
                f"contract pins {origin.sha256}; look at what changed before you pin the new hash"
            )
        return fetch_verified(
            listed.url,
            target,
            sha256=origin.sha256,
            verify=index.verify,
            retries=self.retries,
            what=what,
            way_out=WAY_OUT,
        )


def releases(package: str, files: tuple[IndexFile, ...]) -> dict[str, IndexFile]:
    """Returns the source archives of a project by version, the oldest first.

    Pre-releases are left out unless there is nothing else.
    """
    found = _archives(package, files)
    final = {version for version in found if not version.is_prerelease} or set(found)
    return {str(version): found[version] for version in sorted(final)}


def _archives(package: str, files: tuple[IndexFile, ...]) -> dict[Version, IndexFile]:
    from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
    from packaging.version import InvalidVersion

    found: dict[Version, IndexFile] = {}
    for file in files:
        if not file.filename.endswith(f".{_FORMAT}"):
            continue
        try:
            name, version = parse_sdist_filename(file.filename)
        except (InvalidSdistFilename, InvalidVersion):
            continue  # names from before the naming rules
        if name == canonicalize_name(package):
            found.setdefault(version, file)
    return found


def _origin(contract: SourceContract) -> SdistOrigin:
    assert isinstance(contract.origin, SdistOrigin)
    return contract.origin


def _find(origin: SdistOrigin, files: tuple[IndexFile, ...], index: PackageIndex) -> IndexFile:
    from packaging.version import Version

    archives = _archives(origin.package, files)
    found = archives.get(Version(origin.version))
    if found is not None:
        return found
    versions = [str(version) for version in sorted(archives)[-5:]]
    has = f"it has {', '.join(versions)}" if versions else "it has none"
    raise UpstreamUnavailable(
        f"sdist {origin.package} {origin.version} is not on the index {masked(index.url)} as a "
        f".{_FORMAT} ({has}); {WAY_OUT}"
    )


def _package_info(index: ArchiveIndex) -> PackageInfo:
    text = index.texts.get("PKG-INFO")
    return parse_package_info(text) if text else NO_INFO


def _repo(origin: SdistOrigin, info: PackageInfo) -> tuple[str, str | None]:
    """The home repository and its owner; without one, the package stands for itself."""
    from packaging.utils import canonicalize_name

    if info.home is None:
        return f"pypi/{canonicalize_name(origin.package)}", None
    return "/".join(info.home), info.home[0]
