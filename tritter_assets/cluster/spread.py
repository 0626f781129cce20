"""What the tasks of buckets read, put side by side: pairs, documents, places and texts."""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.cluster.bucket_tasks import gather_texts
from tritter_assets.cluster.frames import INPUT_DIGITS, contents, lesser_and_greater, texts_joined
from tritter_assets.cluster.index_update import IndexUpdate, RunAll
from tritter_assets.cluster.members import DOCUMENTS, put_in_buckets
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.cluster.unsolved import Unsolved
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    from daft import DataFrame


@dataclass(frozen=True, slots=True)
class Spread:
    """What was put into buckets."""

    pairs: DataFrame
    """left, right, jaccard, bucket."""
    places: DataFrame
    """content, place, num_shingles, bucket."""
    num_buckets: int


def spread_by_bucket(scratch: Scratch, unsolved: Unsolved, num_buckets: int | None) -> Spread:
    """Stores pairs, documents and places of components by bucket; copies without a pair, too."""
    from daft import col

    # The least place is the first document by source, shard and id: what `near.py` reads too.
    place = texts_joined([col("input"), col("id"), col("content_sha256")], "")
    every = scratch.store(
        "contents",
        unsolved.documents.with_column("place", place)
        .groupby("content")
        .agg(
            col("place").min(),
            col("num_shingles").min(),
            col("id").count_distinct().alias("num_documents"),
        ),
    )
    copied = every.where(col("num_documents") > 1).select("content")
    alone = copied.join(unsolved.members, on="content", how="anti")
    components = unsolved.members.select("content", "component").concat(
        alone.select("content", col("content").alias("component"))
    )
    buckets, num_buckets = put_in_buckets(scratch, components, num_buckets)
    left = buckets.select(col("content").alias("left"), "bucket")
    pairs = scratch.store("scored", unsolved.pairs.join(left, on="left"))
    scratch.store("pairs", pairs, by="bucket")
    documents = unsolved.documents.select(*DOCUMENTS).join(buckets, on="content")
    scratch.store("documents", documents, by="bucket")
    places = every.select("content", "place", "num_shingles").join(buckets, on="content")
    scratch.store("places", places, by="bucket")
    return Spread(pairs, places, num_buckets)


def spread_texts(
    lake: Lake, update: IndexUpdate, spread: Spread, scratch: Scratch, run_all: RunAll
) -> None:
    """Reads the texts of pairs to verify, each shard once, and stores them by bucket."""
    from daft import col

    sized = spread.pairs.where(col("jaccard").is_null()).select("left", "right")
    for end in ("left", "right"):
        size = col("num_shingles").alias(f"{end}_size")
        sized = sized.join(spread.places.select(col("content").alias(end), size), on=end)
    smaller, larger = lesser_and_greater("left_size", "right_size")
    # As `verify_pairs` has it: pairs whose sizes alone rule out the threshold are not read.
    possible = sized.where(smaller >= larger * update.threshold)
    wanted = spread.places.join(
        contents((possible, "left"), (possible, "right")), on="content", how="semi"
    ).with_column("input", col("place").left(INPUT_DIGITS))
    scratch.store("wanted", wanted, by="input")
    present = scratch.parts("wanted", "input")
    inputs = sorted(update.inputs, key=lambda item: (item.source, item.shard))
    calls = [
        (lake.location, scratch, number, item.source, item.shard)
        for number, item in enumerate(inputs)
        if f"{number:0{INPUT_DIGITS}d}" in present
    ]
    if sum(count for _, count in run_all(gather_texts, calls)):
        scratch.store("texts", scratch.load("gathered"), by="bucket")
