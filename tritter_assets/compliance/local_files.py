"""Documents of a folder, archive or file of this machine, with their licences concluded.

For `tritter license` and `tritter inspect`: the same loaders, limits and conclusions as a source,
without a contract and without a lake. Nothing is unpacked and nothing is executed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.source import LicenceFacts, SdistOrigin, SourceContract
from tritter_assets.errors import ContractViolation, UpstreamUnavailable
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.licensing.conclude import Concluder
from tritter_assets.licensing.dep5 import parse_dep5
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import join_and
from tritter_assets.record import Modality, content_sha256, document_id
from tritter_assets.sources.archive import ARCHIVE_FORMATS, Member, archive_format, read_archive
from tritter_assets.sources.language import guess_language
from tritter_assets.sources.loader import Limits, LoaderContext, SkipLog
from tritter_assets.sources.package_info import NO_INFO, parse_package_info
from tritter_assets.sources.tree import (
    TreeFacts,
    evidence_text,
    is_evidence,
    tree_evidence,
    tree_frames,
)
from tritter_assets.verdict import STAGE_NUMBER, VERDICT_SCHEMA, Stage

SOURCE = "local"

_LICENCE_COLUMNS = (
    "id",
    "path",
    "license_declared",
    "license_concluded",
    "license_method",
    "license_confidence",
    "license_evidence",
    "attribution",
)
_VERDICTS = pl.Schema(
    {
        name: pl.Float64() if name == "score" else kind
        for name, kind in pl.Schema(VERDICT_SCHEMA).items()
        if name not in {"source", "shard"}
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What the filters say of files of this machine."""

    num_documents: int
    num_kept: int
    asked_licenses: bool
    """False when stage 2 was left out."""
    skipped: Mapping[str, int]
    """Reason -> files that are no text, or too large."""
    steps: Sequence[tuple[str, int]]
    """(stage, documents left after it)."""
    verdicts: pl.DataFrame
    """Stored form of each verdict, with the document's path."""


_SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"})
_PACKAGE_INFO = ("PKG-INFO", "METADATA")
_FORMATS = {".whl": "zip", ".egg": "zip", ".crate": "tar.gz"}
"""Packages whose suffix does not tell their archive format."""
_PROSE = frozenset({None, "text", "markdown", "restructuredtext"})
_DIST_INFO = re.compile(r"^[^/]+\.(?:dist-info|egg-info)/(?:licenses/)?")
"""A wheel keeps licence files there, under their paths in the source tree (PEP 639)."""
_DEB_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright")


def local_documents(
    path: Path, catalog: Catalog, *, skips: SkipLog | None = None
) -> Iterator[pl.DataFrame]:
    """Streams document rows of a folder, archive or file, licences concluded.

    Args:
        path: A folder, one of `sources.archive.ARCHIVE_FORMATS`, or a text file.
        catalog: Its policy concludes.
        skips: Counts files that are no documents.

    Raises:
        UpstreamUnavailable: the path does not exist, or a file cannot be read.
        UnsafeArchive: an archive breaks a limit.
    """
    if not path.exists():
        raise UpstreamUnavailable(f"{path} does not exist: give a folder, an archive or a file")
    limits = Limits()
    texts: dict[str, str] = {}
    metadata: tuple[tuple[str, str], ...] = ()
    info = NO_INFO
    for name, content in _files(path, limits):
        is_info = name.rsplit("/", 1)[-1] in _PACKAGE_INFO and name.count("/") <= 1
        if not is_info and not is_evidence(name):
            continue
        text = evidence_text(content)
        if text is None:
            continue
        if is_info:
            info = parse_package_info(text) if info is NO_INFO else info
        elif path.suffix.lower() == ".deb" and _DEB_COPYRIGHT.fullmatch(name):
            found = _deb_metadata(text, catalog.policy)
            metadata += found
            if not found:
                texts["copyright"] = text
        else:
            texts[_DIST_INFO.sub("", name)] = text
    if path.is_file() and not texts:
        texts |= _licence_of_its_own(path)
    repo = "/".join(info.home) if info.home else path.resolve().name
    evidence = tree_evidence(repo, texts, metadata=info.metadata + metadata, emails=info.emails)
    concluder = Concluder(catalog.policy, _contract(), {repo: evidence})
    context = LoaderContext(
        cache=Path(gettempdir()),
        project_root=path.parent,
        limits=limits,
        skips=skips or SkipLog(),
    )
    facts = TreeFacts(repo=repo, revision=SOURCE, url=None, owner=None, author_emails=info.emails)
    for frame in tree_frames(_files(path, limits), facts, context):
        if frame.height:
            yield _complete(concluder.conclude(frame))


def _licence_of_its_own(path: Path) -> dict[str, str]:
    """A text file that is a licence, whatever its name: `MIT.txt`."""
    prose = archive_format(path.name) is None and guess_language(path.name) in _PROSE
    text = evidence_text(path.read_bytes()) if prose else None
    return {"LICENSE": text} if text and identify_text(text).parts else {}


def _deb_metadata(text: str, policy: Policy) -> tuple[tuple[str, str], ...]:
    """Joins the paragraphs of a built package's copyright file.

    Its globs name files of the source and not those installed, so that every paragraph may apply;
    those for `debian/` describe the packaging.
    """
    paragraphs = [
        paragraph
        for paragraph in parse_dep5(text, policy)
        if not all(glob.startswith("debian/") for glob in paragraph.globs)
    ]
    if not paragraphs:
        return ()
    return (("license_expression", join_and(p.expression for p in paragraphs)),)


def license_path(path: Path, catalog: Catalog) -> list[dict[str, Any]]:
    """Returns one mapping per file: its licence, method, evidence, and what the policy says.

    Raises:
        ContractViolation: there is no text in it.
        UpstreamUnavailable: the path does not exist.
        UnsafeArchive: an archive breaks a limit.
    """
    rows: list[dict[str, Any]] = []
    skips = SkipLog()
    for frame in local_documents(path, catalog, skips=skips):
        admitted = admit_frame(frame, catalog.policy, catalog.profile.use_profile)
        joined = frame.select(_LICENCE_COLUMNS).join(admitted, on="id", maintain_order="left")
        rows.extend(joined.to_dicts())
    if not rows:
        passed = ", ".join(f"{number} {reason}" for reason, number in sorted(skips.counts.items()))
        raise ContractViolation(
            f"{path} holds no text that could have a licence ({passed or 'no files'}): give a "
            f"folder, a text file, or an archive ({', '.join((*ARCHIVE_FORMATS, 'whl', 'crate'))})"
        )
    for row in rows:
        row["license_evidence"] = json.loads(row["license_evidence"])
        row["license_confidence"] = round(row["license_confidence"], 4)
    return sorted(rows, key=lambda row: (row["path"], row["id"]))


def inspect_path(path: Path, catalog: Catalog, *, ask_licenses: bool = True) -> Inspection:
    """Runs the filter pass over a folder, archive, text file, Parquet or JSON Lines file.

    A table needs the columns id, path and content; any other document column it has is used. The
    global stages (exact, near and semantic duplicates) need a lake and are not run. Documents are
    read and judged in pieces of 8 to 16 MiB; of each only its verdicts stay in memory.

    Args:
        path: What to look at.
        catalog: Policy and profile.
        ask_licenses: False leaves the licence stage out, as it is for a table that has no column
            `license_concluded`.

    Raises:
        ContractViolation: a table lacks a column, or repeats an id.
        UpstreamUnavailable: there is nothing to read, or it cannot be read.
        UnsafeArchive: an archive breaks a limit.
    """
    from tritter_assets.filters.inspect import is_table, table_columns, table_documents
    from tritter_assets.filters.judge import judge_frame, make_context

    if is_table(path):
        asked = ask_licenses and "license_concluded" in table_columns(path)
        frames, skips = table_documents(path, source=SOURCE), SkipLog()
    else:
        asked, skips = ask_licenses, SkipLog()
        frames = local_documents(path, catalog, skips=skips)
    context = None
    judged: list[pl.DataFrame] = []
    for frame in frames:
        _refuse_repeated(frame["id"], path)
        context = context or make_context(
            None,
            catalog.policy,
            catalog.profile,
            policy_folder=catalog.root / "policy",
            ask_licenses=asked,
        )
        rows = pl.DataFrame(judge_frame(frame, context), schema=_VERDICTS)
        judged.append(rows.join(frame.select("id", "path"), on="id", maintain_order="left"))
    if not judged:
        raise UpstreamUnavailable(
            f"{path} holds no text to inspect{_skipped(skips)}: give a folder or an archive with "
            "text files, or a table with rows"
        )
    verdicts = pl.concat(judged)
    ends = verdicts.filter("terminal")
    _refuse_repeated(ends["id"], path)
    stopped = Counter(ends.filter(pl.col("action") != "keep")["stage"])
    steps, left = [("start", ends.height)], ends.height
    for stage in Stage:
        if stopped[stage.value]:
            left -= stopped[stage.value]
            steps.append((f"{STAGE_NUMBER[stage]} {stage.value}", left))
    return Inspection(
        num_documents=ends.height,
        num_kept=left,
        asked_licenses=asked,
        skipped={str(reason): count for reason, count in sorted(skips.counts.items())},
        verdicts=verdicts.select("path", *_VERDICTS).sort("path", "id", "stage_number", "reason"),
        steps=steps,
    )


def _refuse_repeated(ids: pl.Series, path: Path) -> None:
    repeated = ids.filter(ids.is_duplicated())
    if len(repeated):
        raise ContractViolation(
            f"{path}: {ids.n_unique()} ids for {len(ids)} documents, {repeated.min()!r} more than "
            "once; give each its own"
        )


def _skipped(skips: SkipLog) -> str:
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(skips.counts.items()))
    return f" ({counts} left out)" if counts else ""


def _files(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yields (path below the top folder, bytes), in the order of the paths or of the archive."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            if _SKIPPED_FOLDERS.isdisjoint(relative.parts) and _is_plain(file):
                yield relative.as_posix(), _content(file, limits)
        return
    file_format = _FORMATS.get(path.suffix.lower()) or archive_format(path.name)
    if file_format is None:
        yield path.name, _content(path, limits)
        return
    names = [m.path.removeprefix("./") for m in _members(path, file_format, limits)]
    tops = {name.partition("/")[0] for name in names}
    # Of an installed package the top folder ("usr") is part of the path.
    shared = file_format != "deb" and len(tops) == 1 and all("/" in name for name in names)
    for member in _members(path, file_format, limits):
        name = member.path.removeprefix("./")
        yield (name.partition("/")[2] if shared else name), member.content


def _content(file: Path, limits: Limits) -> bytes:
    """Reads a file; of one that is too large only so much as shows it."""
    try:
        with file.open("rb") as opened:
            return opened.read(limits.document_bytes + 1)
    except OSError as error:
        raise UpstreamUnavailable(
            f"{file} cannot be read ({error.strerror}): allow it, or move it out of the way"
        ) from None


def _members(path: Path, file_format: str, limits: Limits) -> Iterator[Member]:
    # A person named this archive: a link in it is passed over, as in a folder.
    return read_archive(path, file_format, limits, pass_links=True)


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _contract() -> SourceContract:
    return SourceContract(
        id=SOURCE,
        title="Files of this machine",
        description="",
        owner="team:local",
        tier=1,
        priority=0,
        modality=Modality.CODE,
        languages=(),
        profiles=(),
        # A package's files: nothing wraps them, so each file must prove its own licence.
        origin=SdistOrigin(package=SOURCE, version="0", sha256=""),
        columns={},
        licence=LicenceFacts(),
        num_shards=1,
    )


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    contents = frame["content"].to_list()
    keys = zip(frame["repo"], frame["path"], contents, strict=True)
    absent = {"split": pl.String, "derived_from": pl.List(pl.String), "owner": pl.String}
    return frame.with_columns(
        pl.Series("id", [document_id(SOURCE, *key) for key in keys], pl.String),
        pl.Series("content_sha256", [content_sha256(text) for text in contents], pl.String),
        pl.lit(SOURCE).alias("source"),
        *(
            pl.lit(None, dtype=kind).alias(name)
            for name, kind in absent.items()
            if name not in frame.columns
        ),
    )
