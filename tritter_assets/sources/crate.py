"""Crates of a Cargo registry: their documentation as Markdown, their code, or both.

Each crate is one archive, pinned by the SHA-256 that the registry's index states, read in memory
and never built. A shard is every k-th crate, so planning needs no network and a shard downloads
only its own crates.

| row | path | language, modality |
|---|---|---|
| README and other Markdown | as in the crate | markdown, text |
| documentation comments of a Rust file, with signatures | the file's, and `.md` | markdown, text |
| a Rust file itself | as in the crate | rust, code |

The `repo` of a row is `crate/<name>`, so licence evidence, the policy gate and removals work per
crate. A licence header in a Rust file counts for its documentation too, as declared by the row.
Blind spots: documentation that macros make; a docs.rs page may not exist for a private module.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.contracts.crate_origin import CrateOrigin, CratePin
from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality
from tritter_assets.sources.archive_tree import (
    ArchiveIndex,
    index_archive,
    member_contents,
    planned_files,
)
from tritter_assets.sources.download import (
    DEFAULT_RETRIES,
    RetryPolicy,
    fetch_verified,
)
from tritter_assets.sources.frames import gather_frames
from tritter_assets.sources.loader import LoaderContext, SkipReason, UpstreamFile
from tritter_assets.sources.package_info import repository_of
from tritter_assets.sources.prose.rustdoc import document_rust
from tritter_assets.sources.text import decode_text
from tritter_assets.sources.tree import evidence_text, tree_evidence

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence

STAGE_VERSION = "1"

_FORMAT = "tar.gz"
_MANIFEST = "Cargo.toml"
_PAGES = (".md", ".markdown")
_WAY_OUT = (
    "check the network, point `downloads` of the contract at a mirror, or pin another version"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Crate:
    """What a crate's manifest says of itself, as far as rows need it."""

    pin: CratePin
    library: str
    """Name of the library as code and docs.rs write it."""
    owner: str | None
    emails: tuple[str, ...]
    license_file: str | None

    @property
    def repo(self) -> str:
        return f"crate/{self.pin.name}"

    def page(self, path: str) -> str:
        """Returns the docs.rs page of a file."""
        name, version = self.pin.name, self.pin.version
        parts = PurePosixPath(path).with_suffix("").parts
        if path.endswith(".rs") and parts[0] == "src" and parts[1:2] not in (("bin",), ("main",)):
            modules = [part for part in parts[1:] if part not in ("lib", "mod")]
            below = "".join(f"{module}/" for module in modules)
            return f"https://docs.rs/{name}/{version}/{self.library}/{below}index.html"
        return f"https://docs.rs/crate/{name}/{version}/source/{path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CrateLoader:
    """Loads `CrateOrigin`."""

    retries: RetryPolicy = field(default=DEFAULT_RETRIES)

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        """Returns a digest of the pinned hashes and of what is taken from the crates."""
        origin = _origin(contract)
        pins = [(pin.name, pin.version, pin.sha256) for pin in origin.crates]
        return fingerprint_of(
            "crate", STAGE_VERSION, pins, origin.content, origin.include, origin.exclude
        )

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        """Lists the crates by file name; their sizes are unknown until they are downloaded."""
        pins = sorted(_origin(contract).crates, key=_file_name)
        return tuple(UpstreamFile(_file_name(pin), 0, pin.sha256) for pin in pins)

    def evidence(
        self, contract: SourceContract, context: LoaderContext
    ) -> Mapping[str, RepoEvidence]:
        """Returns each crate's licence files and manifest, read when a crate is first asked for."""
        return _Evidence(self, _origin(contract), context)

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        """Streams the rows of the crates in `files`."""
        origin = _origin(contract)
        pins = {_file_name(pin): pin for pin in origin.crates}
        rows = (row for file in files for row in self._rows(origin, pins[file.name], context))
        yield from gather_frames(rows, context.limits)

    def open(
        self, origin: CrateOrigin, pin: CratePin, context: LoaderContext
    ) -> tuple[Path, ArchiveIndex]:
        """Returns the verified archive of a crate and what it holds.

        Raises:
            UpstreamUnavailable: the registry gives no complete answer.
            UpstreamChanged: it gives other bytes than the contract pins.
            UnsafeArchive: the archive breaks a rule or a limit.
        """
        path = fetch_verified(
            f"{origin.downloads}/{pin.name}/{_file_name(pin)}",
            context.cache / "crate" / f"{pin.name}-{pin.version}-{pin.sha256[:16]}.tar.gz",
            sha256=pin.sha256,
            retries=self.retries,
            what=f"crate {pin.name} {pin.version}",
            way_out=_WAY_OUT,
        )
        return path, index_archive(path, _FORMAT, pin.sha256, context.limits)

    def _rows(
        self, origin: CrateOrigin, pin: CratePin, context: LoaderContext
    ) -> Iterator[dict[str, Any]]:
        path, index = self.open(origin, pin, context)
        crate = _described(pin, index)
        planned = planned_files(index, origin.include, origin.exclude)
        wanted = tuple(f for f in planned if _is_wanted(f.name, origin.content))
        for name, raw in member_contents(path, _FORMAT, index, wanted, context.limits):
            where = f"{crate.repo}@{pin.version}:{name}"
            is_large = len(raw) > context.limits.document_bytes
            decoded = SkipReason.TOO_LARGE if is_large else decode_text(raw)
            if isinstance(decoded, SkipReason):
                context.skips.add(decoded, where, repo=crate.repo, path=name, revision=pin.version)
                continue
            context.encodings[decoded.encoding] += 1
            yield from _documents(crate, name, decoded.text, origin.content)


class _Evidence(Mapping[str, "RepoEvidence"]):
    """Evidence by `crate/<name>`; a crate that is never asked for is never downloaded."""

    def __init__(self, loader: CrateLoader, origin: CrateOrigin, context: LoaderContext) -> None:
        self._loader, self._origin, self._context = loader, origin, context
        self._pins = {f"crate/{pin.name}": pin for pin in origin.crates}

    def __getitem__(self, repo: str) -> RepoEvidence:
        pin = self._pins[repo]
        path, index = self._loader.open(self._origin, pin, self._context)
        crate = _described(pin, index)
        found = tree_evidence(repo, index.texts, emails=crate.emails)
        if crate.license_file and crate.license_file not in index.texts:
            found = self._with_named_file(found, crate.license_file, path, index)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._pins)

    def __len__(self) -> int:
        return len(self._pins)

    def _with_named_file(
        self, found: RepoEvidence, name: str, path: Path, index: ArchiveIndex
    ) -> RepoEvidence:
        """Adds a licence file whose name does not say what it is: the manifest says it."""
        from dataclasses import replace

        files = planned_files(index, (name,))
        for member, raw in member_contents(path, _FORMAT, index, files, self._context.limits):
            text = evidence_text(raw)
            if text is not None:
                # At the root: the manifest names it for the crate, wherever it lies.
                entry = (member.rsplit("/", 1)[-1], text)
                return replace(found, license_files=tuple(sorted((*found.license_files, entry))))
        return found


def _origin(contract: SourceContract) -> CrateOrigin:
    assert isinstance(contract.origin, CrateOrigin)
    return contract.origin


def _file_name(pin: CratePin) -> str:
    return f"{pin.name}-{pin.version}.crate"


def _is_wanted(path: str, content: str) -> bool:
    if path.endswith(".rs"):
        return True
    return content != "code" and path.lower().endswith(_PAGES)


def _documents(crate: _Crate, path: str, text: str, content: str) -> Iterator[dict[str, Any]]:
    shared = {
        "repo": crate.repo,
        "revision": crate.pin.version,
        "url": crate.page(path),
        "owner": crate.owner,
        "author_emails": list(crate.emails),
        "license_declared": None,
    }
    page = {"language": "markdown", "modality": str(Modality.TEXT)}
    if not path.endswith(".rs"):
        yield {**shared, **page, "path": path, "content": text}
        return
    if content in ("code", "both"):
        code = {"language": "rust", "modality": str(Modality.CODE)}
        yield {**shared, **code, "path": path, "content": text}
    if content in ("docs", "both"):
        documentation = document_rust(text, path, crate=crate.library)
        if documentation:
            declared = {"license_declared": _header_license(text)}
            yield {**shared, **page, **declared, "path": f"{path}.md", "content": documentation}


def _header_license(text: str) -> str | None:
    """The licence that a file's own header states; the header itself is not documentation."""
    from tritter_assets.licensing.header import HEADER_CHARACTERS, scan_header

    found = scan_header(text[:HEADER_CHARACTERS])
    return found.expression if found is not None else None


def _described(pin: CratePin, index: ArchiveIndex) -> _Crate:
    try:
        manifest = tomllib.loads(index.texts.get(_MANIFEST, ""))
    except tomllib.TOMLDecodeError:
        manifest = {}
    package, library = _table(manifest, "package"), _table(manifest, "lib")
    if package.get("name") != pin.name or package.get("version") != pin.version:
        raise UpstreamUnavailable(
            f"crate {pin.name} {pin.version}: the archive's {_MANIFEST} names "
            f"{package.get('name')!r} {package.get('version')!r}; pin the crate it really is"
        )
    home = repository_of(str(package.get("repository") or package.get("homepage") or ""))
    named = package.get("license-file")
    return _Crate(
        pin=pin,
        library=str(library.get("name") or pin.name).replace("-", "_"),
        owner=home[0] if home else None,
        emails=_emails(package.get("authors")),
        license_file=_inside(named) if isinstance(named, str) else None,
    )


def _table(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = manifest.get(name)
    return found if isinstance(found, dict) else {}


def _inside(path: str) -> str:
    """The path of a licence file in the archive: cargo copies one from outside to the top."""
    pure = PurePosixPath(path)
    return pure.name if ".." in pure.parts else str(pure)


def _emails(authors: Any) -> tuple[str, ...]:
    from email.utils import getaddresses

    if not isinstance(authors, list):
        return ()
    pairs = getaddresses([str(author) for author in authors])
    return tuple(sorted({address.lower() for _, address in pairs if "@" in address}))
