"""Documents and licence evidence from a tree of files: an archive, a checkout or a folder."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.record import Modality
from tritter_assets.sources.frames import gather_frames
from tritter_assets.sources.language import guess_language, modality_of_file
from tritter_assets.sources.loader import LoaderContext, SkipReason
from tritter_assets.sources.prose.clean import clean_document, cleaned_path
from tritter_assets.sources.prose.includes import ReadFile, no_files
from tritter_assets.sources.text import decode_text

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence

_LICENSE_FILE = re.compile(
    r"(?:[\w.]+[-_.])?(?:licen[cs]es?|copying|notice|copyright|unlicense)(?:[-_.].*)?",
    re.IGNORECASE,
)
_NOT_LICENSE_TEXT = re.compile(
    r"\.(?:py|pyi|rs|c|cc|cpp|h|hpp|go|js|ts|java|rb|sh|json|ya?ml|toml|cfg|csv|html?|xml|svg|png)$",
    re.IGNORECASE,
)
_DEP5 = ("debian/copyright", ".reuse/dep5")
_LICENSES_FOLDER = "LICENSES"
_LARGE_FILE_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""What git keeps in place of a file that lies on another server."""
MAX_EVIDENCE_BYTES = 1 << 20
"""A licence file above this is a list of third parties' texts; its first part is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeFacts:
    """What all rows of a tree share."""

    repo: str
    revision: str
    url: str | None
    """`{path}` is replaced by the row's path."""
    owner: str | None
    author_emails: tuple[str, ...] = ()
    modality: Modality = Modality.CODE
    clean: str | None = None
    """`documentation`: rows hold clean Markdown instead of the file's own text."""


def is_license_file(path: str) -> bool:
    """True for a file that states a licence for its folder, such as `vendor/x/LICENSE-MIT`."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if _NOT_LICENSE_TEXT.search(name):
        return False
    if len(parts) > 1 and parts[-2] == _LICENSES_FOLDER:
        return True
    return _LICENSE_FILE.fullmatch(name) is not None


def is_evidence(path: str) -> bool:
    """True for a file that `tree_evidence` reads."""
    return is_license_file(path) or path in _DEP5 or path.rsplit("/", 1)[-1] == "Cargo.toml"


def tree_frames(
    files: Iterable[tuple[str, bytes]],
    facts: TreeFacts,
    context: LoaderContext,
    *,
    read_included: ReadFile = no_files,
) -> Iterator[pl.DataFrame]:
    """Streams one row per text file; files without text are counted, not lost.

    `read_included` gives other files of the tree to documentation pages that include them.
    """
    return gather_frames(_rows(files, facts, context, read_included), context.limits)


def _rows(
    files: Iterable[tuple[str, bytes]],
    facts: TreeFacts,
    context: LoaderContext,
    read_included: ReadFile,
) -> Iterator[dict[str, Any]]:
    for path, raw in files:
        found = _document(path, raw, facts, context, read_included)
        if isinstance(found, SkipReason):
            context.skips.add(
                found,
                f"{facts.repo}@{facts.revision}:{path}",
                repo=facts.repo,
                path=path,
                revision=facts.revision,
            )
            continue
        language = "markdown" if facts.clean else guess_language(path)
        modality = Modality.TEXT if facts.clean else modality_of_file(language, facts.modality)
        yield {
            "repo": facts.repo,
            "path": cleaned_path(path) if facts.clean else path,
            "revision": facts.revision,
            "url": facts.url.replace("{path}", path) if facts.url else None,
            "language": language,
            "modality": str(modality),
            "content": found,
            "owner": facts.owner,
            "author_emails": list(facts.author_emails),
        }


def _document(
    path: str, raw: bytes, facts: TreeFacts, context: LoaderContext, read_included: ReadFile
) -> str | SkipReason:
    if len(raw) > context.limits.document_bytes:
        return SkipReason.TOO_LARGE
    if raw.startswith(_LARGE_FILE_POINTER):
        return SkipReason.BLOB_MISSING
    decoded = decode_text(raw)
    if isinstance(decoded, SkipReason):
        return decoded
    text = decoded.text
    if facts.clean:
        cleaned = clean_document(text, path, read_included)
        if not cleaned:
            return SkipReason.MALFORMED_ROW if cleaned is None else SkipReason.EMPTY
        text = cleaned
    context.encodings[decoded.encoding] += 1
    return text


def tree_evidence(
    repo: str,
    texts: Mapping[str, str],
    *,
    metadata: tuple[tuple[str, str], ...] = (),
    emails: tuple[str, ...] = (),
) -> RepoEvidence:
    """Makes the evidence of one tree.

    `texts` holds its licence files, dep5 files and `Cargo.toml` manifests by path. A manifest with
    a licence becomes a licence file of one SPDX line in its own folder, so that the nearest-folder
    rule covers vendored crates as well.
    """
    from tritter_assets.licensing.repo_evidence import RepoEvidence

    found: dict[str, str] = {}
    manifests: dict[str, dict[str, Any]] = {}
    for path, text in texts.items():
        if is_license_file(path):
            found[path] = text
        elif path.rsplit("/", 1)[-1] == "Cargo.toml":
            manifests[path] = _manifest(text)
    for path in manifests:
        declared = _crate_license(path, manifests)
        if declared:
            found[path] = f"SPDX-License-Identifier: {declared}\n"
    return RepoEvidence(
        repo=repo,
        license_files=tuple(sorted(found.items())),
        metadata=metadata,
        dep5=next((texts[path] for path in _DEP5 if path in texts), None),
        emails=emails,
    )


def evidence_text(raw: bytes) -> str | None:
    """Returns the text of a licence file or manifest, cut at `MAX_EVIDENCE_BYTES`."""
    decoded = decode_text(raw)
    return None if isinstance(decoded, SkipReason) else decoded.text[:MAX_EVIDENCE_BYTES]


def _manifest(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _crate_license(path: str, manifests: Mapping[str, dict[str, Any]]) -> str | None:
    """The `license` of a crate, or of its workspace when the crate inherits it.

    Cargo's old form `MIT/Apache-2.0` means OR.
    """
    package = manifests[path].get("package")
    declared = package.get("license") if isinstance(package, dict) else None
    if isinstance(declared, dict) and declared.get("workspace") is True:
        declared = next(
            (
                inherited
                for parent in PurePosixPath(path).parent.parents
                if (inherited := _workspace_license(manifests.get(str(parent / "Cargo.toml"))))
            ),
            _workspace_license(manifests[path]),
        )
    if not isinstance(declared, str) or "\n" in declared:
        return None
    return declared.replace("/", " OR ").strip() or None


def _workspace_license(manifest: dict[str, Any] | None) -> str | None:
    workspace = (manifest or {}).get("workspace")
    package = workspace.get("package") if isinstance(workspace, dict) else None
    declared = package.get("license") if isinstance(package, dict) else None
    return declared if isinstance(declared, str) else None
