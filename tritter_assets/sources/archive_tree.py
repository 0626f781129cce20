"""An archive as a tree: one scan makes an index, which then answers `plan` and `evidence`.

The index is kept beside the cached archive under the archive's hash, so each shard costs one pass
over the archive and no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from tritter_assets.sources.archive import read_archive
from tritter_assets.sources.globs import selects
from tritter_assets.sources.loader import Limits, UpstreamFile
from tritter_assets.sources.tree import evidence_text, is_evidence

INDEX_VERSION = 1
_TOP_FILES = ("PKG-INFO",)


@dataclass(frozen=True, slots=True)
class IndexedMember:
    """A regular file of an archive; of several with one path only the last counts, as in tar."""

    path: str
    """Without the top folder that all members share."""
    ordinal: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArchiveIndex:
    """What one scan of an archive found."""

    members: tuple[IndexedMember, ...]
    """Sorted by path."""
    texts: dict[str, str]
    """Licence files, manifests and the top folder's PKG-INFO, by path."""


def index_archive(
    path: Path, file_format: str, sha256: str, limits: Limits, *, strip_top: bool = True
) -> ArchiveIndex:
    """Scans an archive once; later calls read the stored index.

    Raises:
        UnsafeArchive: see `read_archive`.
    """
    top_mark = "" if strip_top else "-whole"
    stored = path.with_name(f"{path.name}.{sha256[:16]}{top_mark}.index{INDEX_VERSION}.json")
    if stored.is_file():
        return _load(stored)
    members: dict[str, IndexedMember] = {}
    texts: dict[str, str] = {}
    for member in read_archive(path, file_format, limits):
        name = member.path.removeprefix("./")
        members[name] = IndexedMember(
            name, member.ordinal, len(member.content), hashlib.sha256(member.content).hexdigest()
        )
        if is_evidence(_below_top(name)) or is_evidence(name) or _below_top(name) in _TOP_FILES:
            text = evidence_text(member.content)
            if text is not None:
                texts[name] = text
    top = _shared_top(members) if strip_top else ""
    index = ArchiveIndex(
        members=tuple(
            IndexedMember(m.path[len(top) :], m.ordinal, m.size_bytes, m.sha256)
            for m in sorted(members.values(), key=lambda m: m.path)
        ),
        texts={name[len(top) :]: text for name, text in sorted(texts.items())},
    )
    _store(index, stored)
    return index


def planned_files(
    index: ArchiveIndex, include: tuple[str, ...], exclude: tuple[str, ...] = ()
) -> tuple[UpstreamFile, ...]:
    """Returns the members that the globs select, sorted by path."""
    return tuple(
        UpstreamFile(m.path, m.size_bytes, m.sha256)
        for m in index.members
        if selects(m.path, include, exclude)
    )


def member_contents(
    path: Path,
    file_format: str,
    index: ArchiveIndex,
    files: tuple[UpstreamFile, ...],
    limits: Limits,
) -> Iterator[tuple[str, bytes]]:
    """Streams (path, bytes) of the planned files, in the archive's order."""
    wanted = {file.name for file in files}
    by_ordinal = {m.ordinal: m.path for m in index.members if m.path in wanted}
    remaining = len(by_ordinal)
    for member in read_archive(path, file_format, limits):
        name = by_ordinal.get(member.ordinal)
        if name is not None:
            remaining -= 1
            yield name, member.content
        if remaining == 0:
            return  # the index pass has checked the rest


def _below_top(name: str) -> str:
    return name.partition("/")[2]


def _shared_top(members: dict[str, IndexedMember]) -> str:
    tops = {name.partition("/")[0] for name in members}
    if len(tops) != 1 or any("/" not in name for name in members):
        return ""
    return f"{tops.pop()}/"


def _store(index: ArchiveIndex, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    partial.write_text(json.dumps(asdict(index), sort_keys=True), encoding="utf-8")
    os.replace(partial, target)


def _load(stored: Path) -> ArchiveIndex:
    raw = json.loads(stored.read_text(encoding="utf-8"))
    return ArchiveIndex(tuple(IndexedMember(**m) for m in raw["members"]), raw["texts"])
