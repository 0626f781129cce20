"""Exact verification: the Jaccard similarity of candidate pairs, over their full shingle sets.

Only documents that are in a candidate pair are read again, those with a kept text
(`text_intake.py`) from there. Pairs whose sizes alone rule out the
threshold (J <= smaller / larger) are never read. Documents are loaded in groups that fit half of
the memory setting, ordered by the component of the candidate graph they lie in, so nearly every
pair lies within one group; pairs across two groups load both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.kernel import kernels
from tritter_assets.dedup.text_arrays import ShingleSets, shingle_sets
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake

Reader = Callable[[pl.DataFrame], Iterator[pa.RecordBatch]]
"""Takes places (one row per document wanted), yields batches of id, content, content_sha256."""

_BYTES_PER_SHINGLE = 28
"""8 for the hash, 8 for the copy made while sets are joined together, 12 to number it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Pairs at or above the threshold (left, right, jaccard), and how many were computed."""

    pairs: pl.DataFrame
    num_computed: int


def lake_reader(lake: Lake) -> Reader:
    """Returns a reader of `filtered/<source>` for places with columns id, source, shard.

    Each source's log is read once. Of each file the ids are read first, then the texts of the row
    groups that hold a wanted one, and of no other.
    """

    def read(places: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        yield from _gathered(rows_of(places))

    def rows_of(places: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        for (source,), here in places.group_by("source", maintain_order=True):
            table = f"filtered/{source}"
            filesystem = lake.location.filesystem(table)
            wanted = dict(here.group_by("shard").agg("id").iter_rows())
            for shard, path in lake.files(table, "shard", sorted(wanted)):
                with filesystem.open_input_file(path) as file:
                    yield from _wanted_rows(pq.ParquetFile(file), pl.Series(wanted[shard]))

    return read


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Joins batches of a row or two, one from each of many files, to some of a useful size."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(b.num_rows for b in pending) >= 1024 or sum(b.nbytes for b in pending) >= 16 << 20:
            yield from pa.Table.from_batches(pending).combine_chunks().to_batches()
            pending = []
    if pending:
        yield from pa.Table.from_batches(pending).combine_chunks().to_batches()


def _wanted_rows(file: pq.ParquetFile, wanted: pl.Series) -> Iterator[pa.RecordBatch]:
    for group in range(file.num_row_groups):
        ids = pl.Series(file.read_row_group(group, columns=["id"]).column("id"))
        positions = ids.is_in(wanted.implode()).arg_true().to_arrow()
        if len(positions):
            rows = file.read_row_group(group, columns=["id", "content", "content_sha256"])
            yield from rows.take(positions).combine_chunks().to_batches(max_chunksize=1024)


def refuse_other_than_signed(documents: pl.DataFrame) -> None:
    """Refuses documents (id, actual, content_sha256) that are not what their signatures are of.

    Raises:
        MissingProvenance: a document's content is another.
    """
    changed = documents.filter(pl.col("actual") != pl.col("content_sha256"))
    if changed.height:
        raise MissingProvenance(
            f"document {changed['id'][0]} is not what was signed: materialise the "
            "signatures of its shard again"
        )


def verify_pairs(
    read: Reader,
    candidates: pl.DataFrame,
    places: pl.DataFrame,
    *,
    threshold: float,
    memory_limit_bytes: int,
    workers: int = 1,
) -> Verified:
    """Computes the exact Jaccard similarity of candidate pairs.

    Args:
        read: Reads documents again.
        candidates: Columns left, right: contents.
        places: One row per content: content, id, content_sha256, num_shingles, and what `read`
            needs to find the document.
        threshold: Pairs below it are left out of the result.
        memory_limit_bytes: Half of it may hold shingle sets.
        workers: Threads that compare; the result does not depend on it.

    Raises:
        MissingProvenance: a document is gone, or its content is not what was signed.
    """
    places = places.sort("content")
    contents = places["content"].to_numpy()
    sizes = places["num_shingles"].to_numpy().astype(np.int64)
    left = np.searchsorted(contents, candidates["left"].to_numpy())
    right = np.searchsorted(contents, candidates["right"].to_numpy())
    possible = np.minimum(sizes[left], sizes[right]) >= threshold * np.maximum(
        sizes[left], sizes[right]
    )
    left, right = left[possible], right[possible]
    group = _groups(sizes, left, right, memory_limit_bytes // 4)
    jaccard = np.empty(len(left), dtype=np.float64)
    blocks = np.stack([group[left], group[right]], axis=1)
    blocks.sort(axis=1)
    held: dict[int, tuple[ShingleSets, np.ndarray]] = {}
    used = np.zeros(len(contents), dtype=np.bool_)
    used[left] = used[right] = True
    for first, second in np.unique(blocks, axis=0).tolist():
        here = np.flatnonzero((blocks == (first, second)).all(axis=1))
        for number in {first, second} - set(held):
            for stale in set(held) - {first, second}:
                del held[stale]
            nodes = np.flatnonzero((group == number) & used)
            held[number] = _load(read, places[nodes], nodes, len(contents))
        sets, position = _joined([held[number] for number in sorted({first, second})])
        jaccard[here] = exact_jaccard(
            sets, position[left[here]], position[right[here]], workers=workers
        )
    kept = jaccard >= threshold
    pairs = pl.DataFrame(
        {
            "left": contents[left[kept]],
            "right": contents[right[kept]],
            "jaccard": jaccard[kept].astype(np.float32),
        },
        schema={"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32},
    )
    return Verified(pairs.sort("left", "right"), len(left))


def exact_jaccard(
    sets: ShingleSets, left: np.ndarray, right: np.ndarray, *, workers: int = 1
) -> np.ndarray:
    """Returns the Jaccard similarity of pairs of sets; `left` and `right` number documents."""
    left, right = left.astype(np.int64), right.astype(np.int64)
    label = np.empty(sets.num_documents, dtype=np.int64)
    kernels().components(sets.num_documents, left, right, label)
    rank = np.empty(sets.num_documents, dtype=np.int64)
    rank[np.argsort(label, kind="stable")] = np.arange(sets.num_documents)
    order = np.empty(len(left), dtype=np.int64)
    kernels().ordered(rank, left, order)
    left, right = left[order], right[order]
    component = label[left]
    found = np.empty(len(order), dtype=np.float64)

    def compare(begin: int, end: int) -> None:
        kernels().jaccard(
            left[begin:end],
            right[begin:end],
            component[begin:end],
            sets.starts,
            sets.hashes,
            found[begin:end],
        )

    bounds = np.linspace(0, len(order), (1 if workers == 1 else 8 * workers) + 1, dtype=np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(compare, bounds[:-1], bounds[1:]):
            pass
    jaccard = np.empty(len(order), dtype=np.float64)
    jaccard[order] = found
    return jaccard


def _groups(sizes: np.ndarray, left: np.ndarray, right: np.ndarray, group_bytes: int) -> np.ndarray:
    """Returns a group number for each content; contents of one component lie side by side."""
    component = np.empty(len(sizes), dtype=np.int64)
    kernels().components(len(sizes), left.astype(np.int64), right.astype(np.int64), component)
    order = np.argsort(component, kind="stable")
    group = np.empty(len(sizes), dtype=np.int64)
    group[order] = np.cumsum(sizes[order] * _BYTES_PER_SHINGLE) // max(group_bytes, 1)
    return group


def _load(
    read: Reader, places: pl.DataFrame, nodes: np.ndarray, num_contents: int
) -> tuple[ShingleSets, np.ndarray]:
    """Returns the sets of some contents, and content number -> position among the sets (or -1)."""
    lengths, hashes, found = [], [], []
    numbered = places.with_columns(node=pl.Series(nodes), repeat=pl.int_range(pl.len()).over("id"))
    # An id may stand for two contents in two shards; each reading looks for it in one.
    for some in numbered.partition_by("repeat", maintain_order=True):
        expected = some.select("id", "content_sha256", "node")
        for batch in read(some):
            documents = pl.DataFrame(
                {"id": batch.column("id"), "actual": batch.column("content_sha256")}
            ).join(expected, on="id", how="left", maintain_order="left")
            refuse_other_than_signed(documents)
            sets = shingle_sets(batch.column("content"))
            lengths.append(sets.counts())
            hashes.append(sets.hashes)
            found.append(documents["node"].to_numpy())
    position = np.full(num_contents, -1, dtype=np.int64)
    order = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    position[order] = np.arange(len(order))
    if len(order) < len(nodes):
        missing = places["id"][int(np.flatnonzero(position[nodes] < 0)[0])]
        raise MissingProvenance(
            f"document {missing} was signed and is not in its table any more: materialise the "
            "signatures of its shard again"
        )
    starts = np.zeros(len(order) + 1, dtype=np.int64)
    if len(order):
        np.cumsum(np.concatenate(lengths), out=starts[1:])
    return ShingleSets(
        starts, np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    ), position


def _joined(parts: list[tuple[ShingleSets, np.ndarray]]) -> tuple[ShingleSets, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    (one, position), (two, other) = parts
    starts = np.concatenate([one.starts, two.starts[1:] + one.starts[-1]])
    sets = ShingleSets(starts, np.concatenate([one.hashes, two.hashes]))
    return sets, np.where(other >= 0, other + one.num_documents, position)
