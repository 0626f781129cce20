"""Documents of a folder, archive or file of this machine, with their licences concluded.

For `tritter license` and `tritter inspect`: the same loaders, limits and conclusions as a source,
without a contract and without a lake. Nothing is unpacked and nothing is executed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import LicenceFacts, SdistOrigin, SourceContract
from tritter_assets.errors import ContractViolation, UpstreamUnavailable
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.licensing.conclude import Concluder
from tritter_assets.record import HUMAN, Modality, content_sha256, document_id
from tritter_assets.sources.archive import Member, archive_format, read_archive
from tritter_assets.sources.language import guess_language, modality_of_file
from tritter_assets.sources.loader import Limits, LoaderContext
from tritter_assets.sources.package_info import NO_INFO, parse_package_info
from tritter_assets.sources.tree import (
    TreeFacts,
    evidence_text,
    is_evidence,
    tree_evidence,
    tree_frames,
)
from tritter_assets.verdict import STAGE_NUMBER, Stage

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
_PARQUET_BATCH_ROWS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What the filters say of files of this machine."""

    num_documents: int
    num_kept: int
    asked_licenses: bool
    """False when stage 2 was left out."""
    verdicts: Sequence[Mapping[str, Any]]
    """Stored form of each verdict, with the document's path."""
    steps: Sequence[tuple[str, int]]
    """(stage, documents left after it)."""

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, ready for JSON."""
        return asdict(self)


_SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "__pycache__", "node_modules", ".venv"})
_PACKAGE_INFO = ("PKG-INFO", "METADATA")
_FORMATS = {".whl": "zip", ".egg": "zip", ".crate": "tar.gz"}
"""Packages whose suffix does not tell their archive format."""


def local_documents(path: Path, catalog: Catalog) -> Iterator[pl.DataFrame]:
    """Streams document rows of a folder, archive or file, licences concluded.

    Args:
        path: A folder, one of `sources.archive.ARCHIVE_FORMATS`, or a text file.
        catalog: Its policy concludes.

    Raises:
        UpstreamUnavailable: the path does not exist.
        UnsafeArchive: an archive breaks a limit.
    """
    if not path.exists():
        raise UpstreamUnavailable(f"{path} does not exist: give a folder, an archive or a file")
    limits = Limits()
    texts: dict[str, str] = {}
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
        else:
            texts[name] = text
    repo = "/".join(info.home) if info.home else path.resolve().name
    evidence = tree_evidence(repo, texts, metadata=info.metadata, emails=info.emails)
    concluder = Concluder(catalog.policy, _contract(), {repo: evidence})
    context = LoaderContext(cache=Path(gettempdir()), project_root=path.parent, limits=limits)
    facts = TreeFacts(repo=repo, revision=SOURCE, url=None, owner=None, author_emails=info.emails)
    for frame in tree_frames(_files(path, limits), facts, context):
        if frame.height:
            yield _complete(concluder.conclude(frame))


def license_path(path: Path, catalog: Catalog) -> list[dict[str, Any]]:
    """Returns one mapping per file: its licence, method, evidence, and what the policy says.

    Raises:
        UpstreamUnavailable: the path does not exist.
        UnsafeArchive: an archive breaks a limit.
    """
    rows: list[dict[str, Any]] = []
    for frame in local_documents(path, catalog):
        admitted = admit_frame(frame, catalog.policy, catalog.profile.use_profile)
        joined = frame.select(_LICENCE_COLUMNS).join(admitted, on="id", maintain_order="left")
        rows.extend(joined.to_dicts())
    for row in rows:
        row["license_evidence"] = json.loads(row["license_evidence"])
        row["license_confidence"] = round(row["license_confidence"], 4)
    return sorted(rows, key=lambda row: (row["path"], row["id"]))


def inspect_path(path: Path, catalog: Catalog, *, ask_licenses: bool = True) -> Inspection:
    """Runs the filter pass over a folder, archive, text file or Parquet file.

    A Parquet file needs the columns id, path and content; any other document column it has is
    used. The global stages (exact, near and semantic duplicates) need a lake and are not run.

    Args:
        path: What to look at.
        catalog: Policy and profile.
        ask_licenses: False leaves the licence stage out, as it is for a Parquet file that has no
            column `license_concluded`.

    Raises:
        ContractViolation: a Parquet file lacks a column, or repeats an id.
        UpstreamUnavailable: the path does not exist.
        UnsafeArchive: an archive breaks a limit.
    """
    from tritter_assets.filters.judge import judge_frame, make_context

    is_parquet = path.suffix == ".parquet" and path.is_file()
    frames = _parquet_documents(path) if is_parquet else local_documents(path, catalog)
    context = None
    asked = ask_licenses
    paths: dict[str, str] = {}
    verdicts: list[dict[str, Any]] = []
    for frame in frames:
        if context is None:
            known = not is_parquet or "license_concluded" in _parquet_columns(path)
            asked = ask_licenses and known
            context = make_context(
                None,
                catalog.policy,
                catalog.profile,
                policy_folder=catalog.root / "policy",
                ask_licenses=asked,
            )
        paths |= dict(frame.select("id", "path").iter_rows())
        verdicts.extend(judge_frame(frame, context))
    if len(paths) != sum(row["terminal"] for row in verdicts):
        raise ContractViolation(f"{path}: two rows share an id; give each row its own")
    listed = [{"path": paths[row["id"]], **row} for row in verdicts]
    listed.sort(key=lambda row: (row["path"], row["id"], row["stage_number"], row["reason"]))
    stopped = Counter(
        row["stage"] for row in verdicts if row["terminal"] and row["action"] != "keep"
    )
    steps, left = [("start", len(paths))], len(paths)
    for stage in Stage:
        if stopped[stage.value]:
            left -= stopped[stage.value]
            steps.append((f"{STAGE_NUMBER[stage]} {stage.value}", left))
    return Inspection(
        num_documents=len(paths),
        num_kept=left,
        asked_licenses=asked,
        verdicts=listed,
        steps=steps,
    )


def _parquet_columns(path: Path) -> set[str]:
    import pyarrow.parquet as pq

    return set(pq.read_schema(path).names)


def _parquet_documents(path: Path) -> Iterator[pl.DataFrame]:
    """Streams the rows of a Parquet file as document rows; absent columns get neutral values."""
    import pyarrow.parquet as pq

    from tritter_assets.filters.contract import DOCUMENT_COLUMNS

    names = _parquet_columns(path)
    missing = {"id", "path", "content"} - names
    if missing:
        raise ContractViolation(
            f"{path} lacks the columns {sorted(missing)}: id, path and content are needed"
        )
    lists = {"author_emails", "derived_from"}
    kept = [name for name in DOCUMENT_COLUMNS if name in names]
    for batch in pq.ParquetFile(path).iter_batches(_PARQUET_BATCH_ROWS, columns=kept):
        frame = pl.DataFrame(batch).with_columns(
            pl.col("id").cast(pl.String),
            pl.col("path").cast(pl.String).fill_null(""),
            pl.col("content").cast(pl.String).fill_null(""),
        )
        languages = [guess_language(name) for name in frame["path"]]
        neutral: dict[str, pl.Series | pl.Expr] = {
            "language": pl.Series(languages, dtype=pl.String),
            "modality": pl.Series(
                [str(modality_of_file(language, Modality.CODE)) for language in languages]
            ),
            "content_sha256": pl.Series([content_sha256(text) for text in frame["content"]]),
            "source": pl.lit(SOURCE),
            "repo": pl.lit(path.stem),
            "revision": pl.lit(SOURCE),
            "generator": pl.lit(HUMAN),
            "license_confidence": pl.lit(0.0, dtype=pl.Float32),
            "license_wrapper": pl.lit("NONE"),
            "license_method": pl.lit("none"),
            "license_concluded": pl.lit("NOASSERTION"),
            "access_terms": pl.lit("none"),
        }
        empty = pl.lit(None, dtype=pl.String)
        yield frame.with_columns(
            **{
                name: neutral.get(
                    name, pl.lit(None, pl.List(pl.String)) if name in lists else empty
                )
                for name in DOCUMENT_COLUMNS
                if name not in names
            }
        )


def _files(path: Path, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yields (path below the top folder, bytes), in the order of the paths or of the archive."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            if _SKIPPED_FOLDERS.isdisjoint(relative.parts) and _is_plain(file):
                yield relative.as_posix(), file.read_bytes()
        return
    file_format = _FORMATS.get(path.suffix.lower()) or archive_format(path.name)
    if file_format is None:
        yield path.name, path.read_bytes()
        return
    names = [m.path.removeprefix("./") for m in _members(path, file_format, limits)]
    tops = {name.partition("/")[0] for name in names}
    shared = len(tops) == 1 and all("/" in name for name in names)
    for member in _members(path, file_format, limits):
        name = member.path.removeprefix("./")
        yield (name.partition("/")[2] if shared else name), member.content


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
