"""Writes one shard of `raw/<source>`: the only place where upstream becomes rows.

Input: a contract. Output: `record.DOCUMENT_SCHEMA`, sorted by `id`, one row per document.

Plan the shard, gather licence evidence, stream frames, conclude each row's licence, hash, sort and
write in one commit. Repeated ids inside a shard (same repository, path and content) become one row.
Cost: one pass over the shard's bytes; memory is about `memory_limit_bytes` plus a frame, however
much the shard holds (see `sorting.py`). Nothing is lost in silence: what is no document is counted
per reason in the report and listed in `skipped/<source>` (see `ledger.py`). Blind spot: the same
document in two shards of one source stays twice here; the exact index finds it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import ContractViolation, LicenseRefused
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, place_id
from tritter_assets.sources.archive_tree import INDEX_VERSION
from tritter_assets.sources.ledger import SkipLedger
from tritter_assets.sources.license_texts import LicenseTexts
from tritter_assets.sources.loader import (
    Limits,
    Loader,
    LoaderContext,
    UpstreamFile,
    shard_files,
)
from tritter_assets.sources.pieces import PieceStore
from tritter_assets.sources.prose.clean import CLEANER_VERSION
from tritter_assets.sources.read_ahead import read_ahead
from tritter_assets.sources.registry import loader_for
from tritter_assets.sources.sorting import DocumentSorter

STAGE_VERSION = "5"
"""2: what is skipped is listed in a table. 3: a list of texts becomes paragraphs; of several
repositories with the same row the first is `repo`, the others stand in `owner`. 4: the name of a
data file gives its rows no language. 5: an id rests on the hash of the content."""

DEFAULT_MEMORY_BYTES = 512 << 20
"""Content held before a shard is sorted through temporary files."""

_TIE_BREAK = ("revision", "url", "split", "license_declared", "owner")


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """What one shard's ingestion found; becomes asset metadata."""

    source: str
    shard: str
    num_files: int
    """Upstream files planned for the shard."""
    num_rows: int
    content_bytes: int
    num_duplicates: int
    """Rows left out because their id stands already."""
    skipped: Mapping[str, int]
    """Skip reason -> files or rows."""
    skipped_examples: tuple[str, ...]
    """`reason: where`, at most 20."""
    languages: Mapping[str, int]
    licenses: Mapping[str, int]
    """Concluded SPDX expression -> rows."""
    license_methods: Mapping[str, int]
    encodings: Mapping[str, int]
    upstream_digest: str
    data_version: str


def code_version(contract: SourceContract, policy: Policy) -> str:
    """Returns the identity of the code, contract and policy that make the rows."""
    from tritter_assets.licensing import conclude

    parts = [contract.digest, conclude.code_version(policy), INDEX_VERSION]
    if contract.clean is not None:
        parts.append(CLEANER_VERSION)
    digest = fingerprint_of(*parts)
    return f"{STAGE_VERSION}.{digest}"


def upstream_digest(
    contract: SourceContract,
    shard: str,
    *,
    cache: Path,
    project_root: Path,
    loader: Loader | None = None,
) -> str:
    """Returns a digest of what upstream says the shard's files are.

    Needs no network when the contract pins upstream by hash or commit, and none for a pinned Hub
    revision listed before.

    Raises:
        UpstreamUnavailable: the files could not be listed.
    """
    used = loader or loader_for(contract)
    context = LoaderContext(cache=cache, project_root=project_root)
    number = _shard_number(contract, shard)
    pinned = used.pinned_digest(contract, context)
    if pinned is not None:
        return fingerprint_of(pinned, contract.num_shards, number)
    return _listed(shard_files(used.plan(contract, context), number, contract.num_shards))


def ingest_shard(
    lake: Lake,
    contract: SourceContract,
    shard: str,
    *,
    policy: Policy,
    cache: Path,
    fingerprint: str,
    project_root: Path,
    loader: Loader | None = None,
    limits: Limits | None = None,
    memory_limit_bytes: int = DEFAULT_MEMORY_BYTES,
) -> IngestReport:
    """Reads one shard from upstream and replaces its partition of `raw/<source>`.

    Args:
        lake: Where to write.
        contract: The source.
        shard: One of `contract.shards`.
        policy: Decides how licence names are read.
        cache: Folder for verified downloads and temporary files.
        fingerprint: Hash of `code_version` and `upstream_digest`, from the caller.
        project_root: Folder that holds `data_contracts`.
        loader: Instead of the registry's, e.g. one for another index or endpoint.
        limits: Instead of the default limits.
        memory_limit_bytes: Content held before sorting goes through temporary files.

    Raises:
        LicenseRefused: the contract is a refusal; the message names the clause.
        UpstreamUnavailable: upstream cannot be reached or lacks what is pinned.
        UpstreamChanged: upstream's bytes or columns are not those of the contract.
        UnsafeArchive: an archive breaks a rule or a limit.
    """
    from tritter_assets.licensing.conclude import Concluder

    require_admitted(contract)
    number = _shard_number(contract, shard)
    used = loader or loader_for(contract)
    context = LoaderContext(cache=cache, project_root=project_root, limits=limits or Limits())
    files = shard_files(used.plan(contract, context), number, contract.num_shards)
    pinned = used.pinned_digest(contract, context)
    evidence = used.evidence(contract, context)
    concluder = Concluder(policy, contract, evidence)
    spill = cache / "spill" / f"{contract.id}-{shard}"
    shutil.rmtree(spill, ignore_errors=True)  # of a run that was killed
    pieces = PieceStore(
        cache / "pieces" / contract.id / shard,
        fingerprint_of(fingerprint, STAGE_VERSION, contract.digest, asdict(context.limits)),
    )
    context = replace(context, pieces=pieces)
    sorter = DocumentSorter(spill, memory_limit_bytes, _TIE_BREAK)
    ledger = SkipLedger(contract.id, shard, spill)
    texts = LicenseTexts(contract.id, shard, evidence, spill)
    context.skips.sink = ledger.add
    counts = _Counts()
    try:
        with _reused_memory():
            for frame in read_ahead(used.read(contract, files, context) if files else ()):
                if frame.height:
                    texts.add(frame)
                    concluded = concluder.conclude(_complete(frame, contract.id, shard))
                    sorter.add(_identified(concluded))
            ledger.write(lake, fingerprint)
            texts.write(lake, fingerprint)
            state = lake.write(
                f"raw/{contract.id}",
                counts.watch(sorter),
                DOCUMENT_SCHEMA,
                fingerprint=fingerprint,
                partition={"shard": shard},
                commit_metadata={"num_files": len(files), "skipped": dict(context.skips.counts)},
            )
    finally:
        ledger.close()
        texts.close()
        sorter.close()
        shutil.rmtree(spill, ignore_errors=True)
    pieces.clear()
    return IngestReport(
        source=contract.id,
        shard=shard,
        num_files=len(files),
        num_rows=state.num_rows,
        content_bytes=counts.content_bytes,
        num_duplicates=sorter.num_duplicates,
        skipped={str(k): v for k, v in sorted(context.skips.counts.items())},
        skipped_examples=tuple(f"{why}: {where}" for why, where in context.skips.examples),
        languages=counts.sorted("language"),
        licenses=counts.sorted("license_concluded"),
        license_methods=counts.sorted("license_method"),
        encodings=dict(sorted(context.encodings.items())),
        upstream_digest=(
            _listed(files)
            if pinned is None
            else fingerprint_of(pinned, contract.num_shards, number)
        ),
        data_version=state.data_version,
    )


def require_admitted(contract: SourceContract) -> None:
    """Stops a source that stands in the catalogue only to say that it is refused.

    Raises:
        LicenseRefused: naming the clause.
    """
    if contract.refusal is not None:
        raise LicenseRefused(
            f"source {contract.id} is refused under {contract.refusal.clause}: "
            f"{contract.refusal.reason}. It stays in the catalogue to say so and is never "
            "materialised; use another source"
        )


@contextmanager
def _reused_memory() -> Iterator[None]:
    """Lets Arrow take its buffers from the C library.

    Arrow's own allocator gives the pages of every batch back and asks for new ones: of 260 MB of
    code that took 1 s of CPU in the kernel where this takes 0.3.
    """
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


class _Counts:
    """Counts over the rows that are written."""

    _COLUMNS = ("language", "license_concluded", "license_method")

    def __init__(self) -> None:
        self.content_bytes = 0
        self._by_column: dict[str, Counter[str]] = {name: Counter() for name in self._COLUMNS}

    def watch(self, sorter: DocumentSorter) -> Iterator[pa.RecordBatch]:
        for batch in sorter.batches():
            self.content_bytes += sum(batch.column("content_bytes").to_pylist())
            for name, counter in self._by_column.items():
                values = batch.column(name).to_pylist()
                counter.update("unknown" if value is None else value for value in values)
            yield batch

    def sorted(self, column: str) -> dict[str, int]:
        """The most frequent first, ties by name."""
        found = self._by_column[column].items()
        return dict(sorted(found, key=lambda item: (-item[1], item[0])))


def _complete(frame: pl.DataFrame, source: str, shard: str) -> pl.DataFrame:
    """Adds the document columns that the loader left out; the required ones are filled later."""
    fixed = {"source": source, "shard": shard}
    columns = [
        pl.lit(fixed[name], _EMPTY.schema[name]).alias(name)
        if name in fixed
        else pl.col(name).cast(_EMPTY.schema[name])
        if name in frame.columns
        else pl.lit(None, _EMPTY.schema[name]).alias(name)
        for name in DOCUMENT_SCHEMA.names
    ]
    return frame.select(columns)


_EMPTY = pl.DataFrame(schema=pl.Schema(DOCUMENT_SCHEMA))


def _identified(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds id and content hash: the text is hashed where it lies and never becomes a `str`."""
    ids: list[str] = []
    hashes: list[str] = []
    places = zip(
        *(frame[name].to_list() for name in ("source", "repo", "path")),
        _raw_texts(frame["content"]),
        strict=True,
    )
    for source, repo, path, text in places:
        found = sha256(text).hexdigest()
        hashes.append(found)
        ids.append(place_id(source, repo, path, found))
    return frame.with_columns(
        pl.Series("id", ids, pl.String),
        pl.Series("content_sha256", hashes, pl.String),
        pl.col("content").str.len_bytes().cast(pl.Int64).alias("content_bytes"),
    ).select(DOCUMENT_SCHEMA.names)


def _raw_texts(texts: pl.Series) -> Iterator[memoryview]:
    """The UTF-8 of each text, as a piece of the buffer it lies in: nothing is copied.

    A view is 16 bytes: the length, then either the text itself (12 bytes at most), or four bytes of
    it, the number of the buffer, and the place there.
    """
    array = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    _, views, *buffers = array.buffers()
    data = [memoryview(buffer) for buffer in buffers]
    raw = memoryview(views)[16 * array.offset : 16 * (array.offset + len(array))]
    words = raw.cast("i").tolist()
    for at in range(0, len(words), 4):
        size = words[at]
        if size <= 12:
            yield raw[4 * at + 4 : 4 * at + 4 + size]
        else:
            start = words[at + 3]
            yield data[words[at + 2]][start : start + size]


def _shard_number(contract: SourceContract, shard: str) -> int:
    if shard not in contract.shards:
        raise ContractViolation(
            f"source {contract.id} has no shard {shard!r}; it has {contract.shards[0]} to "
            f"{contract.shards[-1]}"
        )
    return int(shard)


def _listed(files: tuple[UpstreamFile, ...]) -> str:
    return fingerprint_of([(file.name, file.size_bytes, file.digest) for file in files])


__all__ = [
    "STAGE_VERSION",
    "IngestReport",
    "code_version",
    "ingest_shard",
    "require_admitted",
    "upstream_digest",
]
