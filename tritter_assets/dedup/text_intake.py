"""Texts of new contents into the cache of an index, and out of it for verification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.cluster_update import Shard, read_signatures
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.verify import Reader, lake_reader, refuse_other_than_signed
from tritter_assets.lake import Lake

_ROWS_AT_ONCE = 1024
_BYTES_AT_ONCE = 16 << 20


def keep_texts(
    lake: Lake, cache: DocumentCache, shards: Sequence[Shard], contents: pl.Series
) -> None:
    """Keeps one text of each of the contents, which stand in the documents of `shards`.

    A document that `filtered` does not hold any more is passed over: it is missed when, and only
    when, it is to be verified.

    Raises:
        MissingProvenance: a document's content is not what was signed.
    """
    left = cache.texts.missing(contents)
    for shard in shards:
        if left.is_empty():
            return
        signed = read_signatures(lake, shard, ["id", "content", "content_sha256"])
        wanted = signed.filter(pl.col("content").is_in(left.implode())).unique(
            "content", keep="first", maintain_order=True
        )
        if wanted.height:
            left = left.filter(~left.is_in(wanted["content"].implode()))
            cache.texts.keep(_texts_of(lake, shard, wanted))


def _texts_of(
    lake: Lake, shard: Shard, wanted: pl.DataFrame
) -> Iterator[tuple[np.ndarray, pa.Array]]:
    source, name = shard
    table = f"filtered/{source}"
    filesystem = lake.location.filesystem(table)
    columns = ["id", "content", "content_sha256"]
    for _, path in lake.files(table, "shard", [name]):
        with filesystem.open_input_file(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_ONCE, columns=columns):
                rows = pl.DataFrame(batch).rename({"content": "text", "content_sha256": "actual"})
                found = rows.join(wanted, on="id", maintain_order="left")
                refuse_other_than_signed(found)
                yield found["content"].to_numpy(), found["text"].to_arrow()


def text_reader(lake: Lake, cache: DocumentCache) -> Reader:
    """Returns a reader for `verify_pairs`: kept texts first, what is not kept from the lake."""
    from_lake = lake_reader(lake)

    def read(places: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        named = {row[0]: row[1:] for row in places.select("content", "id", "content_sha256").rows()}
        kept: list[int] = []
        gathered: list[tuple[int, bytes]] = []
        size = 0
        for content, text in cache.texts.read(places["content"]):
            kept.append(content)
            gathered.append((content, text))
            size += len(text)
            if len(gathered) == _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
                yield _batch(gathered, named)
                gathered, size = [], 0
        if gathered:
            yield _batch(gathered, named)
        others = places.filter(~pl.col("content").is_in(pl.Series(kept, dtype=pl.Int64).implode()))
        if others.height:
            yield from from_lake(others)

    return read


def _batch(
    gathered: Sequence[tuple[int, bytes]], named: Mapping[int, tuple[str, str]]
) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([named[content][0] for content, _ in gathered], pa.string()),
            pa.array([text for _, text in gathered], pa.large_string()),
            pa.array([named[content][1] for content, _ in gathered], pa.string()),
        ],
        names=["id", "content", "content_sha256"],
    )
