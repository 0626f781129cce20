"""What a repository's files say for each of its folders: LICENSE files, manifests, DEP-5."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tritter_assets.contracts.policy_model import Policy, scancode_category
from tritter_assets.licensing.dep5 import Dep5Paragraph, is_dep5, paragraph_of, parse_dep5
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import (
    canonical,
    join_and,
    join_or,
    license_ids,
    normalize,
)
from tritter_assets.licensing.header import copyright_lines
from tritter_assets.licensing.metadata import MetadataFinding, read_metadata
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.licensing.words import license_words
from tritter_assets.record import NOASSERTION

_MAIN = re.compile(r"(?:licen[cs]es?|copying|unlicense|copyright)(?:\.(?:txt|md|rst|html?))?", re.I)
_FAMILY = re.compile(
    r"(?:^|[-_. ])(?:l?a?gpl|lesser|mpl|epl|mit|apache|asl|al2|bsd|isc|zlib|boost|bsl|psf|python|"
    r"cc0|cc-by|unlicense|0bsd|expat)[\w.+-]*$",
    re.I,
)
_NOT_OF_THE_WHOLE = re.compile(r"notice|third|bundled|vendor|depend|authors|credits", re.I)
_PAGE = re.compile(r"[a-z_-]+\.(?:rst|md|html?)")
"""`license.rst` below the root is a page of the manual that talks of licences."""
_PARTS_UNTOLD_CONFIDENCE = 0.6
_TEXTS_FOLDER = re.compile(r"licen[cs]es?", re.I)
_POINTER = re.compile(r"\beither\b|\bat your (?:option|choice)\b|\bdual ?licens")
_SAYS = re.compile(
    r"\b(?:permi\w+|grant\w*|redistribut\w+|rights|may|under|terms|agree\w*|subject|public|gpl|"
    r"lgpl|agpl|mpl|mit|bsd|apache|warrant\w+|prohibit\w*|confidential|proprietary)\b"
)
"""Without one of these a few lines state no licence: "See COPYING", a list of holders."""
_TAG = re.compile(r"\ASPDX-License-Identifier:[ \t]*([^\n]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that was found, on its way into `license_evidence`."""

    method: str
    value: str
    where: str
    confidence: float


@dataclass(frozen=True, slots=True)
class FolderFinding:
    """What the nearest licence files and manifest of a folder say."""

    files: str | None
    """SPDX expression of the licence files; NOASSERTION if one cannot be read; None without any."""
    files_confidence: float
    manifest: str | None
    """SPDX expression of a manifest in the same or a nearer folder (Cargo.toml)."""
    statements: tuple[Statement, ...]
    copyright_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    name: str
    expression: str
    confidence: float
    method: str
    text: str


class RepositoryLicences:
    """Licence evidence of one repository, computed once and asked per folder."""

    def __init__(self, evidence: RepoEvidence | None, policy: Policy) -> None:
        """Sorts the evidence; texts are identified when a folder first asks for them."""
        self._policy = policy
        self._folders: dict[str, list[tuple[str, str]]] = {}
        self._manifests: dict[str, tuple[str, str]] = {}
        self._cache: dict[str, FolderFinding] = {}
        self.metadata: MetadataFinding | None = None
        self._dep5: tuple[Dep5Paragraph, ...] = ()
        if evidence is None:
            return
        self.metadata = read_metadata(evidence.metadata, policy)
        if evidence.dep5:
            self._dep5 = parse_dep5(evidence.dep5, policy)
        for path, text in sorted(evidence.license_files):
            tag = _TAG.match(text)
            where = PurePosixPath(path)
            folder = str(where.parent)
            if tag and not _MAIN.fullmatch(where.name):
                self._manifests[folder] = (path, tag.group(1).strip())
                continue
            if _TEXTS_FOLDER.fullmatch(where.parent.name):
                folder = str(where.parent.parent)
            if folder == "." and not self._dep5 and is_dep5(text):
                # Some projects' own COPYING is in Debian's form: it names the files itself.
                self._dep5 = parse_dep5(text, policy)
                continue
            if text.strip():
                self._folders.setdefault(folder, []).append((path, text))

    def dep5(self, path: str) -> Dep5Paragraph | None:
        """Returns the DEP-5 paragraph that covers a path."""
        return paragraph_of(path, self._dep5) if self._dep5 else None

    def folder(self, path: str) -> FolderFinding:
        """Returns what the nearest folder at or above `path`'s says."""
        key = path.rsplit("/", 1)[0] if "/" in path else "."
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._find(key)
        return found

    def _find(self, folder: str) -> FolderFinding:
        chain = [folder, *(str(parent) for parent in PurePosixPath(folder).parents)]
        statements: list[Statement] = []
        manifest: str | None = None
        files: str | None = None
        confidence, lines, depth = 0.0, (), len(chain)
        for level, above in enumerate(chain):
            if above in self._folders:
                files, confidence, lines = self._read_files(above, statements)
                if files is not None:
                    depth = level
                    break
        for above in chain[: depth + 1]:
            if above in self._manifests:
                path, text = self._manifests[above]
                manifest = normalize(text, self._policy)
                statements.append(Statement("package_metadata", text[:200], path, 0.95))
                break
        return FolderFinding(files, confidence, manifest, tuple(statements), lines)

    def _read_files(
        self, folder: str, statements: list[Statement]
    ) -> tuple[str | None, float, tuple[str, ...]]:
        files: list[_File] = []
        lines: dict[str, None] = {}
        for path, text in self._folders[folder]:
            name = path.rsplit("/", 1)[-1]
            if len(lines) < 20:
                lines.update(dict.fromkeys(copyright_lines(text)))
            if _NOT_OF_THE_WHOLE.search(name) or ("/" in path and _PAGE.fullmatch(name)):
                continue
            tag = _TAG.match(text)
            found = identify_text(text)
            expression = (canonical(tag.group(1)) or NOASSERTION) if tag else found.spdx
            sure = 0.95 if tag else found.confidence
            files.append(_File(path, name, expression, sure, found.method, text))
            statements.append(Statement("license_file", expression, path, round(sure, 3)))
        expression, confidence = _join_files(files)
        return expression, confidence, tuple(lines)[:20]


def _join_files(files: list[_File]) -> tuple[str | None, float]:
    """Joins the licence files of one folder into one expression.

    A file named LICENSE or COPYING speaks for the folder, together with files named after a licence
    (LICENSE-MIT, COPYING.LESSER); others (LICENSE_STIX) cover parts and are left out unless they
    hold copyleft. Two or more licences mean AND, unless a pointer file says "either", or they are
    Rust's LICENSE-MIT and LICENSE-APACHE, which by that ecosystem's custom mean OR.
    """
    pointers = [f for f in files if f.method == "none" and _is_pointer(f.text)]
    texts = [f for f in files if f not in pointers and not (f.method == "none" and _is_silent(f))]
    main = [f for f in texts if _MAIN.fullmatch(f.name)]
    named = [f for f in texts if f not in main and _FAMILY.search(f.name.rsplit("/", 1)[-1])]
    speaking = main + named if main or named else texts
    if not speaking:
        return (NOASSERTION, 0.0) if pointers else (None, 0.0)
    unread = [f for f in speaking if f.expression == NOASSERTION]
    if unread:
        return NOASSERTION, 0.0
    confidence = min(f.confidence for f in speaking)
    apart = [f for f in texts if f not in speaking and _is_copyleft(f.expression)]
    if apart and not any(_is_copyleft(f.expression) for f in speaking):
        # LICENSE-BUILDTOOLS beside an MIT licence: which files it covers is told in prose at best.
        both = join_and(f.expression for f in (*speaking, *apart))
        return both, min(confidence, _PARTS_UNTOLD_CONFIDENCE)
    found = {f.expression for f in speaking}
    if "GPL-3.0-only" in found and any(e.startswith("LGPL-3.0") for e in found):
        # The LGPL is an addition to the GPL and refers to its text; so both lie side by side.
        found.discard("GPL-3.0-only")
    expressions = sorted(found)
    if len(expressions) > 1 and pointers:
        return join_or(expressions), confidence
    if (
        expressions == ["Apache-2.0", "MIT"]
        and len(speaking) == 2
        and all(f in named for f in speaking)
    ):
        return "MIT OR Apache-2.0", min(confidence, 0.9)
    return join_and(expressions), confidence


def _is_copyleft(expression: str) -> bool:
    return any(scancode_category(s).startswith("Copyleft") for s in license_ids(expression))


def _is_pointer(text: str) -> bool:
    return len(text) < 2_000 and _POINTER.search(" ".join(license_words(text))) is not None


def _is_silent(file: _File) -> bool:
    """Whether a file grants nothing: it sends the reader to another, or names holders only."""
    if len(file.text) > 400:
        return False
    words = " ".join(license_words(file.text)).replace("all rights reserved", " ")
    return _SAYS.search(words) is None


def same_licences(one: str, other: str) -> bool:
    """Whether two expressions name the same licences, however joined.

    The texts of the GNU licences do not say "only" or "or later", so these count as the same.
    """
    return _bare_ids(one) == _bare_ids(other)


def _bare_ids(expression: str) -> set[str]:
    return {
        spdx.removesuffix("-only").removesuffix("-or-later") for spdx in license_ids(expression)
    }
