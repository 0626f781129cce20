"""Labelled sets of `licence_accuracy` beyond the edited texts: packages, Debian files, own rows.

Rules by which a label is taken or left, all of them functions of the label and of the text:

- Packages: the label is the package's metadata. "BSD" without a version is permissive, as every BSD
  licence is. Metadata whose License field and classifiers are of different families contradicts
  itself.
- Debian: the label is the DEP-5 paragraph that covers the file. Where only the paragraph for `*`
  covers it, a file with an SPDX tag is labelled by its tag, and one that upstream's own REUSE file
  names, or that lies in a subfolder with a licence file of its own, has no label. A copyleft label
  is contradicted by a file whose head grants rights (an SPDX tag, "permission is hereby granted",
  "redistribution and use", "public domain", "unlimited permission", "without royalty") and which
  nowhere names a copyleft licence; a permissive one by a file whose head names the GNU licences and
  grants nothing else, as build scripts do that packages carry along. A file is unanswerable when
  neither its head nor any licence file of its tree says anything. At most `PER_PARAGRAPH` files of
  a paragraph are asked, drawn by the hash of their path, so that no package speaks for the others.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from tritter_assets.compliance.local_files import local_documents
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import Policy
from tritter_assets.errors import TritterError
from tritter_assets.licensing.dep5 import Dep5Paragraph, paragraph_of, parse_dep5
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import canonical
from tritter_assets.licensing.header import scan_header
from tritter_assets.licensing.metadata import read_metadata
from tritter_assets.licensing.repository import RepositoryLicences
from tritter_assets.record import NOASSERTION
from tritter_assets.sources.archive import archive_format, read_archive
from tritter_assets.sources.loader import Limits
from tritter_assets.sources.package_info import NO_INFO, PackageInfo, parse_package_info
from tritter_assets.sources.tree import evidence_text, is_license_file, tree_evidence
from tritter_assets_tests.benchmarks.licence_tally import (
    COPYLEFT,
    PERMISSIVE,
    UNKNOWN,
    Answer,
    family_of,
)

PER_PARAGRAPH = 40
_HEAD = 4096
_BSD = re.compile(
    r"(?:the )?(?:new )?bsd(?: licen[cs]e)?|license :: osi approved :: bsd license", re.I
)
_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() -]+)")
_GRANTS = re.compile(
    r"SPDX-License-Identifier|permission is hereby granted|permission to use|redistribution\W+and"
    r"\W+use|public\W+domain|unlimited\W+permission|without\W+royalty",
    re.I,
)
_NAMES_GNU = re.compile(r"general\W+(?:\W*#\W*)?public\W+licen[sc]e", re.I)
_NAMES_COPYLEFT = re.compile(
    r"\b[la]?gpl|general\W+public|lesser\W+general|mozilla|\bmpl\b|copyleft|eclipse|\bcddl", re.I
)


def package_answers(sdists: tuple[Path, ...], policy: Policy) -> Iterator[Answer]:
    """Yields what the licence files of each package say, labelled by its metadata."""
    for path in sdists:
        texts, info = _package(path)
        label, contradicted = _metadata_label(info, policy)
        licences = RepositoryLicences(tree_evidence("package", texts), policy)
        found = licences.folder("module.py").files
        if found is not None:  # a package without a licence file has nothing to compare
            yield Answer("packages", path.name, label, found, contradicted)


def _package(path: Path) -> tuple[dict[str, str], PackageInfo]:
    texts: dict[str, str] = {}
    info = NO_INFO
    for member in read_archive(path, "tar.gz", Limits(), pass_links=True):
        name = member.path.removeprefix("./").partition("/")[2]
        if name == "PKG-INFO" or (name and is_license_file(name)):
            text = evidence_text(member.content) or ""
            if name == "PKG-INFO":
                info = parse_package_info(text)
            elif text:
                texts[name] = text
    return texts, info


def _metadata_label(info: PackageInfo, policy: Policy) -> tuple[str, bool]:
    named = [kv for kv in info.metadata if kv[0] != "classifier" or kv[1].count("::") > 1]
    named = [kv for kv in named if kv[1] != "License :: OSI Approved"]
    if named and all(_BSD.fullmatch(value.strip()) for _, value in named):
        return "BSD-3-Clause", False
    found = read_metadata(info.metadata, policy)
    fields = [kv for kv in named if kv[0] != "classifier"]
    classifiers = [kv for kv in named if kv[0] == "classifier"]
    one, other = read_metadata(fields, policy), read_metadata(classifiers, policy)
    families = {family_of(f.expression) for f in (one, other) if f is not None} - {UNKNOWN}
    return (found.expression if found else NOASSERTION), len(families) > 1


def debian_answers(
    packages: tuple[tuple[Path, Path], ...], catalog: Catalog, skipped: list[str]
) -> Iterator[Answer]:
    """Yields what is concluded for the files of upstream's source, labelled by Debian's DEP-5."""
    for source, packaging in packages:
        paragraphs = _paragraphs(packaging, catalog.policy)
        name = source.name.split("_")[0]
        if not paragraphs:
            skipped.append(f"{name}: debian/copyright is not in DEP-5")
            continue
        try:
            yield from _of_package(name, source, paragraphs, catalog)
        except TritterError as error:
            skipped.append(f"{name}: {error}"[:160])


def _paragraphs(packaging: Path, policy: Policy) -> tuple[Dep5Paragraph, ...]:
    form = archive_format(packaging.name) or "tar.xz"
    for member in read_archive(packaging, form, Limits(), pass_links=True):
        if member.path.removeprefix("./") == "debian/copyright":
            return parse_dep5(member.content.decode("utf-8", "replace"), policy)
    return ()


def _of_package(
    name: str, source: Path, paragraphs: tuple[Dep5Paragraph, ...], catalog: Catalog
) -> Iterator[Answer]:
    asked: dict[Dep5Paragraph, list[tuple[str, str, Answer]]] = defaultdict(list)
    has_licence = False
    folders: set[str] = set()
    for frame in local_documents(source, catalog):
        for row in frame.iter_rows(named=True):
            path, content = row["path"], row["content"]
            if is_license_file(path):
                has_licence = True
                folders.add(path.rpartition("/")[0])
            paragraph = paragraph_of(path, paragraphs)
            if paragraph is None:
                continue
            label, contradicted = _file_label(paragraph, content)
            if paragraph.is_general and row["license_method"] == "dep5":
                label = NOASSERTION
            answer = Answer(
                "debian",
                f"{name}:{path}",
                label,
                row["license_concluded"],
                contradicted,
                says_itself=_GRANTS.search(content[:_HEAD]) is not None
                or _NAMES_COPYLEFT.search(content[:_HEAD]) is not None,
            )
            order = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
            asked[paragraph].append((order, path, answer))
    for paragraph, answers in asked.items():
        for _, path, answer in sorted(answers, key=lambda entry: entry[0])[:PER_PARAGRAPH]:
            tagged = answer.label != paragraph.expression
            own = paragraph.is_general and not tagged and _below_own_licence(path, folders - {""})
            if has_licence or answer.says_itself:
                yield replace(answer, label=NOASSERTION) if own else answer


def _below_own_licence(path: str, folders: set[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))


def _file_label(paragraph: Dep5Paragraph, content: str) -> tuple[str, bool]:
    head = content[:_HEAD]
    label = paragraph.expression
    tag = _TAG.search(head)
    if tag and paragraph.is_general:
        return canonical(tag.group(1).strip()) or label, False
    family = family_of(label)
    grants = _GRANTS.search(head) is not None
    if family in COPYLEFT:
        return label, grants and _NAMES_COPYLEFT.search(content) is None
    if family == PERMISSIVE:
        return label, _NAMES_GNU.search(head) is not None and not grants
    return label, False


def labelled_answers(files: tuple[Path, ...]) -> Iterator[Answer]:
    """Yields what is found in the rows of Parquet files: path, content, label.

    A row whose path names a licence file is a licence text; of others the head is read.
    """
    for file in files:
        for row in pq.read_table(file, columns=["path", "content", "label"]).to_pylist():
            if is_license_file(row["path"]):
                found = identify_text(row["content"]).spdx
            else:
                head = scan_header(row["content"])
                found = (head.expression if head else None) or NOASSERTION
            yield Answer("labelled", row["path"], canonical(row["label"]) or NOASSERTION, found)
