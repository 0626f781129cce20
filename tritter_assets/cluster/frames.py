"""Daft frames over tables of the lake, and the functions that Daft calls with their columns."""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from tritter_assets.cluster import band_groups
from tritter_assets.cluster.scratch import Scratch, empty_frame, io_config
from tritter_assets.dedup.band_table import NEAR_BANDS
from tritter_assets.dedup.bands import content_key
from tritter_assets.dedup.index import ShardInput
from tritter_assets.dedup.signatures import SIGNATURE_SCHEMA
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    from daft import DataFrame, Expression

INPUT_DIGITS = 8
_ROWS_IN_A_FILE = 1 << 20


def signatures(lake: Lake, inputs: Sequence[ShardInput], columns: Sequence[str]) -> DataFrame:
    """Returns the signatures of all inputs: id, source, shard, `columns`, content, priority.

    `input` is the number of the shard among the sorted inputs, and `order` a priority that sorts
    as text.
    """
    import daft
    from daft import col

    numbered = sorted(inputs, key=lambda item: (item.source, item.shard))
    frames = []
    for source in sorted({item.source for item in inputs}):
        mine = [(n, item) for n, item in enumerate(numbered) if item.source == source]
        shards = daft.from_pydict(
            {
                "shard": [item.shard for _, item in mine],
                "priority": [item.priority for _, item in mine],
                "order": [f"{item.priority:012d}" for _, item in mine],
                "input": [f"{number:0{INPUT_DIGITS}d}" for number, _ in mine],
            }
        )
        stored = daft.read_deltalake(
            lake.location.uri(f"signatures/{source}"), io_config=io_config(lake.location)
        )
        keyed = stored.select("id", "source", "shard", *columns, _content(col("normalized_sha256")))
        frames.append(keyed.join(shards, on="shard"))
    return union(frames) if frames else _no_signatures(columns)


def _no_signatures(columns: Sequence[str]) -> DataFrame:
    import daft

    added = {"content": pa.int64(), "priority": pa.int64(), "order": pa.string()}
    stored = [SIGNATURE_SCHEMA.field(name) for name in ("id", "source", "shard", *columns)]
    named = [pa.field(name, kind) for name, kind in (added | {"input": pa.string()}).items()]
    return daft.from_arrow(pa.schema([*stored, *named]).empty_table())


def near_bands(lake: Lake) -> DataFrame:
    """Returns `dedup/near_bands`: source, shard, id, content, band, key."""
    import daft

    columns = ("source", "shard", "id", "content", "band", "key")
    found = daft.read_deltalake(
        lake.location.uri(NEAR_BANDS), io_config=io_config(lake.location)
    ).select(*columns)
    return found if lake.states(NEAR_BANDS) else empty_frame(found.schema())


def stored_rows(lake: Lake, scratch: Scratch, table: str, schema: pa.Schema) -> DataFrame:
    """Copies the rows of a table to the scratch folder and returns them; no table has none.

    Through Polars: the local engine takes rows out by deletion vectors, and Daft 0.7 refuses a
    table that has them.
    """
    step = f"stored-{table.rpartition('/')[2]}"
    if lake.exists(table):
        batches = lake.scan(table).collect_batches(chunk_size=_ROWS_IN_A_FILE)
        for number, part in enumerate(batches):
            rows = part.select(schema.names).to_arrow().cast(schema)
            scratch.write_file(f"{step}/{number:06d}.parquet", rows)
    return scratch.load_or_empty(step, schema)


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """Concatenates frames of one schema."""
    first, *others = frames
    for other in others:
        first = first.concat(other)
    return first


def contents(*columns: tuple[DataFrame, str]) -> DataFrame:
    """Returns the distinct values of some columns of frames, as `content`."""
    from daft import col

    return union([frame.select(col(name).alias("content")) for frame, name in columns]).distinct()


def shared_by(frame: DataFrame, by: Sequence[str]) -> DataFrame:
    """Returns the distinct rows (`by`, content) whose `by` more than one content has.

    Lists are made of these alone: of 800,000 band keys, 19 of 20 of which nothing else has, lists
    of distinct contents took 1.9 CPU s, and this with lists of what is left 0.2.
    """
    from daft import col

    bounds = frame.groupby(*by).agg(
        col("content").min().alias("least"), col("content").max().alias("greatest")
    )
    several = bounds.where(col("least") < col("greatest")).select(*by)
    return frame.select(*by, "content").join(several, on=[*by], how="semi").distinct()


def lesser_and_greater(one: str, two: str) -> tuple[Expression, Expression]:
    """Returns the smaller and the larger of two columns, row by row."""
    from daft import col
    from daft.functions import when

    ordered = col(one) < col(two)
    return (
        when(ordered, col(one)).otherwise(col(two)),
        when(ordered, col(two)).otherwise(col(one)),
    )


def texts_joined(columns: Sequence[Expression], separator: str) -> Expression:
    """Returns several columns of text as one."""
    from daft import lit
    from daft.functions import concat

    first, *others = columns
    for other in others:
        first = concat(concat(first, lit(separator)), other)
    return first


def _content(digests: Expression) -> Expression:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.int64())
    def content(digests: daft.Series) -> Any:
        frame = pl.DataFrame({"normalized_sha256": pl.Series(digests.to_arrow())})
        return frame.select(content_key()).to_series().to_arrow()

    return content(digests).alias("content")


def group_pairs(together: Expression, wanted: Expression) -> Expression:
    """Returns `band_groups.pairs_within` of two columns of lists."""
    import daft

    @daft.func.batch(return_dtype=_pair_lists())
    def pairs(together: daft.Series, wanted: daft.Series) -> Any:
        return band_groups.pairs_within(together.to_arrow(), wanted.to_arrow())

    return pairs(together, wanted)


def crowd_pairs(members: Expression) -> Expression:
    """Returns `band_groups.pairs_with_hubs` of a column of lists."""
    import daft

    @daft.func.batch(return_dtype=_pair_lists())
    def pairs(members: daft.Series) -> Any:
        return band_groups.pairs_with_hubs(members.to_arrow())

    return pairs(members)


def _pair_lists() -> Any:
    from daft import DataType

    kind = {"left": DataType.int64(), "right": DataType.int64()}
    return DataType.list(DataType.struct(kind))
