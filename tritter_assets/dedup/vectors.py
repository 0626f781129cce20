"""The table of embeddings, one partition per shard, and its rows as k-means wants them.

`dedup/semantic_embeddings` (id, vector) is made anew for new and changed shards only; a shard that
takes no part any more is emptied, so no vector outlives its document.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.embeddings import Embed, normalized
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake, PartitionState, fingerprint_of

SEMANTIC_EMBEDDINGS = "dedup/semantic_embeddings"

EMBEDDINGS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("vector", pa.binary(), nullable=False),
    ]
)
"""`vector` is little-endian float16, length 1 within its rounding."""

_BLOCK_ROWS = 4096
_MEMORY_SHARE = 2
"""Rows that would take more than this fraction of the memory setting lie in a file."""


def embed_shards(
    lake: Lake,
    states: Mapping[tuple[str, str], PartitionState],
    version: Sequence[str],
    open_embedding: Callable[[], Embed],
) -> int:
    """Brings the table of embeddings up to date; returns how many shards were embedded.

    Args:
        lake: The lake.
        states: The signatures of every shard that takes part.
        version: What the vectors depend on besides their text.
        open_embedding: Called once, if a shard has to be embedded.
    """
    held = {
        (state.partition["source"], state.partition["shard"]): state.fingerprint
        for state in lake.states(SEMANTIC_EMBEDDINGS)
    }
    filled = {shard: signed for shard, signed in sorted(states.items()) if signed.num_rows}
    _empty(lake, sorted(set(held) - set(filled)))
    embed: Embed | None = None
    count = 0
    for (source, shard), signed in filled.items():
        wanted = fingerprint_of(SEMANTIC_EMBEDDINGS, *version, signed.data_version)
        if held.get((source, shard)) == wanted:
            continue
        embed = embed or open_embedding()
        lake.write(
            SEMANTIC_EMBEDDINGS,
            _embedded(lake, source, shard, embed),
            EMBEDDINGS_SCHEMA,
            fingerprint=wanted,
            partition={"source": source, "shard": shard},
        )
        count += 1
    return count


def _empty(lake: Lake, shards: list[tuple[str, str]]) -> None:
    gone = fingerprint_of(SEMANTIC_EMBEDDINGS, "removed")
    nothing = EMBEDDINGS_SCHEMA.empty_table()
    if shards:
        lake.write_partitions(
            SEMANTIC_EMBEDDINGS,
            [({"source": source, "shard": shard}, nothing, gone) for source, shard in shards],
            EMBEDDINGS_SCHEMA,
            partition_by=("source", "shard"),
        )


def _embedded(lake: Lake, source: str, shard: str, embed: Embed) -> Iterator[pa.RecordBatch]:
    columns = ["id", "source", "shard", "content"]
    for batch in lake.batches(f"filtered/{source}", partition={"shard": shard}, columns=columns):
        vectors = [row.tobytes() for row in embed(batch.column("content")).astype("<f2")]
        yield pa.RecordBatch.from_arrays(
            [*(batch.column(name) for name in columns[:3]), pa.array(vectors, pa.binary())],
            names=EMBEDDINGS_SCHEMA.names,
        )


@contextmanager
def gathered(lake: Lake, ids: pl.Series, memory_limit_bytes: int) -> Iterator[np.ndarray]:
    """Opens the centred vectors of documents: float32 rows of length 1, one per id.

    The mean is taken out, because what all documents share (keywords, licence headers) would make
    every pair look close.

    Args:
        lake: The lake.
        ids: Distinct and ascending; not empty.
        memory_limit_bytes: Beyond half of it the rows lie in a file that goes when they are closed.

    Raises:
        MissingProvenance: a document has no vector.
    """
    folder = lake.location.cache_folder(SEMANTIC_EMBEDDINGS)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rows-", dir=folder) as scratch:
        rows: np.ndarray | None = None
        seen = np.zeros(len(ids), dtype=np.bool_)
        for batch in lake.batches(SEMANTIC_EMBEDDINGS, columns=["id", "vector"]):
            found = pl.Series(batch.column("id"))
            places = ids.search_sorted(found).clip(upper_bound=len(ids) - 1)
            wanted = ids.gather(places) == found
            vectors = b"".join(pl.Series(batch.column("vector")).filter(wanted).to_list())
            if not vectors:
                continue
            block = np.frombuffer(vectors, dtype="<f2").reshape(int(wanted.sum()), -1)
            if rows is None:
                shape = (len(ids), block.shape[1])
                rows = _allocated(Path(scratch) / "rows", shape, memory_limit_bytes)
            kept = places.filter(wanted).to_numpy()
            rows[kept] = block
            seen[kept] = True
        if rows is None or not seen.all():
            raise MissingProvenance(
                f"{int((~seen).sum())} documents have no vector, the first is "
                f"{ids[int(np.argmin(seen))]}: its source's 'filtered' is newer than its "
                "'signatures'; materialise the signatures again"
            )
        _centre(rows)
        yield rows


def _allocated(path: Path, shape: tuple[int, int], memory_limit_bytes: int) -> np.ndarray:
    if shape[0] * shape[1] * 4 <= memory_limit_bytes // _MEMORY_SHARE:
        return np.empty(shape, dtype=np.float32)
    return np.memmap(path, dtype=np.float32, mode="w+", shape=shape)


def _centre(rows: np.ndarray) -> None:
    total = np.zeros(rows.shape[1], dtype=np.float64)
    for begin in range(0, len(rows), _BLOCK_ROWS):
        total += rows[begin : begin + _BLOCK_ROWS].sum(axis=0, dtype=np.float64)
    mean = (total / len(rows)).astype(np.float32)
    for begin in range(0, len(rows), _BLOCK_ROWS):
        rows[begin : begin + _BLOCK_ROWS] = normalized(rows[begin : begin + _BLOCK_ROWS] - mean)
