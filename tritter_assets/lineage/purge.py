"""Takes removed documents out of what a removal otherwise leaves alone: `raw`, old files, caches.

| where | what goes |
|---|---|
| raw | rows of removed documents; the shard keeps its fingerprint, so it is not fetched again |
| skipped | lines about files of removed repositories and owners |
| license_texts | the licence files of removed repositories and owners |
| every table | data files of earlier versions, and those that a killed run left behind |
| _artifacts | earlier reports and tokenizers, which quote and were made from removed documents |
| cache of an index | the whole of it while it knows a removed document, else its free pages |
| downloads | archives, clones and pieces of the sources that held a removed document |

Not touched: rows of duplicate indexes that deletion vectors hide, which hold ids and no text and
go when their files are merged; exports and checkpoints, which are marked; Dagster's event log.

Everything that was asked stays asked: tombstones are completed before anything goes, and a later
version of upstream that brings a row back is judged, dropped, and purged like the first. Purge
while nothing else reads the lake: a reader of an earlier version loses its files. Killed at any
point, purging again does the rest.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lake.gone_rows import drop_gone_rows
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.forget import request_removals
from tritter_assets.lineage.inventory import PARTITION_COLUMNS, data_files, tables_under
from tritter_assets.lineage.tombstones import read_tombstones
from tritter_assets.lineage.where import Location
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.removal import RemovalKind
from tritter_assets.sources.ledger import LEDGER_SCHEMA
from tritter_assets.sources.license_texts import LICENSE_TEXT_SCHEMA

_REMADE = ("compliance", "tokenizer")
"""Artifacts of which only the present set is kept."""

_BEING_WRITTEN_SECONDS = 3600
"""An uncommitted file younger than this may belong to a run."""


@dataclass(kw_only=True, slots=True)
class PurgeReport:
    """What a purge took out."""

    rows: list[Location] = field(default_factory=list)
    """Partitions of what ingestion wrote that were written again, with the rows taken out."""
    num_files: int = 0
    num_bytes: int = 0
    caches: list[str] = field(default_factory=list)


def purge_rows(lake: Lake, report: PurgeReport) -> None:
    """Takes removed rows out of what ingestion wrote, a commit per partition that held one."""
    request_removals(lake, [])
    stones = read_tombstones(lake)
    whole = stones.filter(pl.col("how") != "derived")
    is_removed = pl.col("id").is_in(whole["id"].implode())
    for table in tables_under(lake, "raw"):
        _rewrite(lake, table, is_removed, DOCUMENT_SCHEMA, report)
    of_removed = _of_removed_repositories(read_removals(lake))
    for table in tables_under(lake, "skipped"):
        _rewrite(lake, table, is_removed | of_removed, LEDGER_SCHEMA, report)
    for table in tables_under(lake, "license_texts"):
        _rewrite(lake, table, of_removed, LICENSE_TEXT_SCHEMA, report)


def purge_files(lake: Lake, catalog: Catalog, downloads: Path | None, report: PurgeReport) -> None:
    """Deletes files that hold removed text and that no table needs any more.

    Args:
        lake: The lake, re-materialised: what is still in a table stays in its files.
        catalog: For where sources keep what they downloaded.
        downloads: The folder of downloads; None leaves it alone.
        report: Is added to.
    """
    for stage in PARTITION_COLUMNS:
        for table in tables_under(lake, stage):
            drop_gone_rows(lake.location, table)
            _delete_unreferenced(lake, table, report)
    _delete_earlier_artifacts(lake, report)
    stones = read_tombstones(lake)
    if lake.location.is_local:
        _clean_index_caches(lake, stones["id"], report)
    if downloads is not None:
        _delete_downloads(catalog, stones["source"].unique().to_list(), downloads, report)


def _of_removed_repositories(removals: pl.DataFrame) -> pl.Expr:
    """Covers ledger rows, which have a repository and nothing else to ask for."""
    repo = pl.col("repo").str.to_lowercase()
    repos = removals.filter(kind=RemovalKind.REPO)["value"].str.to_lowercase()
    owners = removals.filter(kind=RemovalKind.OWNER)["value"].str.to_lowercase()
    owner = repo.str.split("/").list.first()
    return repo.is_in(repos.implode()) | (
        repo.str.contains("/", literal=True) & owner.is_in(owners.implode())
    )


def _rewrite(lake: Lake, table: str, goes: pl.Expr, schema: pa.Schema, report: PurgeReport) -> None:
    held = lake.scan(table).filter(goes).group_by("shard").agg(n=pl.len()).sort("shard").collect()
    for shard, number in held.iter_rows():
        partition = {"shard": shard}
        state = lake.state(table, partition)
        assert state is not None
        lake.write(
            table,
            _without(lake.batches(table, partition=partition), goes),
            schema,
            fingerprint=state.fingerprint,
            partition=partition,
            commit_metadata={"purged_rows": number},
        )
        report.rows.append(Location(table=table, partition=partition, num_rows=number))


def _without(batches: Iterator[pa.RecordBatch], goes: pl.Expr) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        frame = pl.DataFrame(batch)
        keep = frame.select((~goes).fill_null(value=True)).to_series()
        yield batch.filter(pa.array(keep.to_list(), pa.bool_()))


def _delete_unreferenced(lake: Lake, table: str, report: PurgeReport) -> None:
    filesystem, current = lake.location.filesystem(table), set(data_files(lake, table))
    committed = _replaced_files(filesystem)
    oldest = time.time() - _BEING_WRITTEN_SECONDS
    for info in filesystem.get_file_info(pafs.FileSelector("", recursive=True)):
        path = info.path.lstrip("/")
        if not path.endswith(".parquet") or path.startswith("_delta_log/") or path in current:
            continue
        if path in committed or info.mtime.timestamp() < oldest:
            _delete(filesystem, info, report)


def _replaced_files(filesystem: Any) -> set[str]:
    """Returns the data files that some commit took out of the table."""
    found: set[str] = set()
    for info in filesystem.get_file_info(pafs.FileSelector("_delta_log", recursive=False)):
        if info.path.endswith(".json"):
            with filesystem.open_input_stream(info.path) as stream:
                lines = stream.read().decode().splitlines()
            removes = (json.loads(line) for line in lines if line.startswith('{"remove"'))
            found.update(unquote(line["remove"]["path"]) for line in removes)
    return found


def _delete_earlier_artifacts(lake: Lake, report: PurgeReport) -> None:
    assets = [*tables_under(lake, _REMADE[0]), *(t for t in _REMADE[1:] if lake.exists(t))]
    store, filesystem = ArtifactStore(lake), lake.location.filesystem("_artifacts")
    for asset in assets:
        current = {artifact.path for artifact in store.list(asset).values()}
        for info in filesystem.get_file_info(
            pafs.FileSelector(asset, recursive=True, allow_not_found=True)
        ):
            if info.type == pafs.FileType.File and info.path.lstrip("/") not in current:
                _delete(filesystem, info, report)


def _delete(filesystem: Any, info: pafs.FileInfo, report: PurgeReport) -> None:
    filesystem.delete_file(info.path)
    report.num_files += 1
    report.num_bytes += info.size or 0


def _clean_index_caches(lake: Lake, ids: pl.Series, report: PurgeReport) -> None:
    for file in sorted(lake.location.cache_folder(".").rglob("documents.sqlite")):
        if _knows(file, ids):
            shutil.rmtree(file.parent)
            report.caches.append(f"{file.parent}: deleted, the next update makes it anew")
            continue
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        report.caches.append(f"{file.parent}: free pages dropped")


def _knows(file: Path, ids: pl.Series) -> bool:
    """True when an index cache holds one of the documents, or cannot say."""
    try:
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            connection.execute("CREATE TEMP TABLE wanted (id TEXT PRIMARY KEY)")
            connection.executemany("INSERT INTO wanted VALUES (?)", [(one,) for one in ids])
            held = "SELECT 1 FROM documents WHERE id IN (SELECT id FROM wanted) LIMIT 1"
            return connection.execute(held).fetchone() is not None
    except sqlite3.DatabaseError:
        return True


def _delete_downloads(
    catalog: Catalog, sources: Sequence[str], downloads: Path, report: PurgeReport
) -> None:
    """Deletes what was kept of upstream for some sources; it is downloaded again when needed."""
    keys = [
        key
        for source in sources
        if source in catalog.sources
        for key in _download_keys(catalog.sources[source].origin)
    ]
    places = [path for path in downloads.glob("*/*") if any(key in path.name for key in keys)]
    for source in sources:
        places += [*downloads.glob(f"pieces/{source}"), *downloads.glob(f"spill/{source}-*")]
    for place in sorted(set(places)):
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        report.caches.append(f"{place}: deleted, downloaded again when needed")


def _download_keys(origin: Any) -> Iterable[str]:
    """Returns what the names of an origin's downloads have in them: see the loaders."""
    for name in ("sha256", "commit"):
        if getattr(origin, name, ""):
            yield getattr(origin, name)[:16]
    if getattr(origin, "repo", ""):
        yield origin.repo.replace("/", "--")
    yield from (pin.sha256[:16] for pin in getattr(origin, "crates", ()))
