"""What the exact and the near index share: new documents in, and changed clusters solved again.

An update looks at the documents of changed shards, at the contents these tie together, and at the
files of the index that hold their clusters. A content is solved again when a document of it came,
went or changed, when it gains or loses a pair, or when it is tied to such a one; every cluster
lies wholly among those contents or wholly outside, before as after, so nothing else can change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import content_key
from tritter_assets.dedup.cache_database import CACHE_VERSION
from tritter_assets.dedup.clusters import cluster_rows
from tritter_assets.dedup.document_cache import DOCUMENT_SCHEMA, DocumentCache
from tritter_assets.dedup.index import INDEX_SCHEMA, IndexReport, ShardInput
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.signatures import SIGNATURE_SCHEMA
from tritter_assets.lake import Lake, PartitionState
from tritter_assets.verdict import Action, Reason

Shard = tuple[str, str]
INDEX_ORDER = ("cluster_id", "id")
_DOCUMENTS_AT_ONCE = 100_000
"""40 MB of what an index knows of them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking changed shards into a cache found."""

    dirty: pl.Series
    """Contents some document of which came, went or changed."""
    new: pl.Series
    """Contents that had no document before."""
    everything: bool
    """True when all clusters have to be solved: a new cache, changed priorities or families."""


@dataclass(frozen=True, slots=True)
class Solved:
    """Clusters that were solved again."""

    contents: pl.Series | None
    """The contents looked at (None: all)."""
    documents: pl.DataFrame
    """Documents that have a copy or stand in a pair."""
    pairs: pl.DataFrame
    rows: pl.DataFrame
    """Rows of `INDEX_SCHEMA`."""


def open_cache(
    lake: Lake, index: str, version: str, expected: Mapping[str, str]
) -> tuple[DocumentCache, frozenset[str]]:
    """Opens the cache of an index; it is empty unless it fits the tables as they are now.

    Args:
        lake: The lake.
        index: Name of the index.
        version: Of the code that makes it.
        expected: The tables that are to be written, with the fingerprints they are to carry.

    Returns:
        The cache, and the tables that need no writing: a run that was killed before it could
        keep its cache has committed what they are to hold.
    """
    now = fitting(lake, version, list(expected))
    written: set[str] = set()

    def fits(stored: Any) -> bool:
        moved = [table for table in expected if stored["tables"].get(table) != now["tables"][table]]
        for table in moved:
            state = lake.state(table)
            if state is None or state.fingerprint != expected[table]:
                return False
            if not lake.is_written_by_key(table):
                return False
        written.update(moved)
        return {**stored, "tables": now["tables"]} == now

    cache = DocumentCache(lake.location.cache_folder(index), fits)
    return cache, frozenset() if cache.is_new else frozenset(written)


def new_cache(lake: Lake, index: str) -> DocumentCache:
    """Opens the cache of an index, emptied."""
    return DocumentCache(lake.location.cache_folder(index), lambda _: False)


def fitting(lake: Lake, version: str, tables: Sequence[str]) -> Mapping[str, Any]:
    """Returns what a cache of the tables as they are now has to say that it fits."""
    marks: dict[str, Any] = {}
    for table in tables:
        state = lake.state(table)
        marks[table] = None if state is None else [state.table_version, state.data_version]
    made_by = {"cache": CACHE_VERSION, "polars": pl.__version__}
    return {"version": version, **made_by, "tables": marks}


def read_signatures(lake: Lake, shard: Shard, columns: Sequence[str]) -> pl.DataFrame:
    """Returns the signatures of one shard, ordered by id; `content` is among the columns."""
    source, name = shard
    table = f"signatures/{source}"
    filesystem = lake.location.filesystem(table)
    stored = (column for column in columns if column != "content")
    needed = list(dict.fromkeys(["id", "normalized_sha256", *stored]))
    schema = pa.schema([SIGNATURE_SCHEMA.field(column) for column in needed])
    parts = [schema.empty_table()]
    # A lazy scan opens every file of the table to find the one of the shard.
    for _, path in lake.files(table, "shard", [name]):
        with filesystem.open_input_file(path) as file:
            parts.append(pq.ParquetFile(file).read(columns=needed).select(needed).cast(schema))
    rows = pl.DataFrame(pa.concat_tables(parts))
    return rows.with_columns(content_key()).sort("id").select(columns)


def take_documents(
    lake: Lake,
    cache: DocumentCache,
    inputs: Sequence[ShardInput],
    states: Mapping[Shard, PartitionState],
    families: LicenseFamilies | None = None,
) -> Taken:
    """Brings the documents of a cache up to date with the signatures of `inputs`."""
    repriced = cache.set_priorities({item.source: item.priority for item in inputs})
    rejudged = cache.set_families(families)
    before = cache.shard_versions()
    nothing = pl.DataFrame(schema=DOCUMENT_SCHEMA)
    removed = sorted(set(before) - set(states))
    dirty = [nothing["content"], *(cache.replace_shard(shard, None, nothing) for shard in removed)]
    new = [nothing["content"]]
    changed = (s for s, state in sorted(states.items()) if before.get(s) != state.data_version)
    for group in _groups(changed, states):
        rows = {shard: read_signatures(lake, shard, list(DOCUMENT_SCHEMA)) for shard in group}
        contents = pl.concat([part["content"] for part in rows.values()]).unique()
        new.append(contents.filter(~contents.is_in(cache.present(contents).implode())))
        for shard, part in rows.items():
            dirty.append(cache.replace_shard(shard, states[shard].data_version, part))
    return Taken(
        dirty=pl.concat(dirty).unique(),
        new=pl.concat(new).unique(),
        everything=cache.is_new or repriced or rejudged,
    )


def _groups(
    shards: Iterable[Shard], states: Mapping[Shard, PartitionState]
) -> Iterator[list[Shard]]:
    """Yields shards in groups whose documents are looked up together."""
    group: list[Shard] = []
    size = 0
    for shard in shards:
        group.append(shard)
        size += states[shard].num_rows
        if size >= _DOCUMENTS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def solve_again(
    cache: DocumentCache, contents: pl.Series | None, *, match: str, reason: Reason
) -> Solved:
    """Solves the clusters of contents and of all that is tied to them (None: all clusters)."""
    if contents is not None:
        contents = cache.closure(contents)
    documents = cache.documents(cache.clustered(contents))
    pairs = cache.pairs(contents)
    documents = clustered_documents(documents, pairs)
    scored = pairs.select("left", "right", score="jaccard")
    rows = cluster_rows(documents, scored, match=match, reason=reason, families=cache.families)
    return Solved(contents, documents, pairs, rows)


def clustered_documents(documents: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Returns the documents that have a copy or stand in a pair."""
    copied = documents.group_by("content").agg(ids=pl.col("id").n_unique())
    copied = copied.filter(pl.col("ids") > 1)
    wanted = pl.concat([copied["content"], pairs["left"], pairs["right"]]).unique()
    return documents.filter(pl.col("content").is_in(wanted.implode()))


def write_clusters(
    lake: Lake,
    cache: DocumentCache,
    index: str,
    solved: Solved,
    *,
    fingerprint: str,
    is_written: bool,
) -> None:
    """Writes the solved clusters to the index (unless it has them) and to the cache."""
    if not is_written:
        dropped = None if solved.contents is None else cache.old_clusters(solved.contents)[0]
        lake.replace_keys(
            index,
            solved.rows,
            INDEX_SCHEMA,
            order=INDEX_ORDER,
            dropped=dropped,
            fingerprint=fingerprint,
        )
    place = ["id", "source", "shard"]
    named = solved.documents.join(solved.rows.select(*place, "cluster_id"), on=place, how="left")
    members = named.group_by("content").agg(
        # One id under two contents has a row for one of them: the other may have no cluster.
        cluster_id=pl.col("cluster_id").drop_nulls().first(),
        first_id=pl.col("id").min(),
    )
    cache.set_clusters(solved.contents, members, solved.rows)


def report_of_cache(
    index: str,
    cache: DocumentCache,
    num_documents: int,
    details: Mapping[str, int | float | str],
) -> IndexReport:
    """Counts an index by the totals of its cache, without reading it."""
    num_clusters, counts = cache.totals()
    dropped = {source: n for (source, action), n in counts.items() if action == Action.DROP}
    quarantined = (n for (_, action), n in counts.items() if action == Action.QUARANTINE)
    return IndexReport(
        index=index,
        num_documents=num_documents,
        num_clusters=num_clusters,
        num_members=sum(counts.values()),
        num_dropped=sum(dropped.values()),
        num_quarantined=sum(quarantined),
        dropped_by_source=dropped,
        details=details,
    )
