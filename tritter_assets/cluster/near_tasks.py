"""What workers do for the near index: the texts of one shard, one bucket of components."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.bands import BandLayout
from tritter_assets.dedup.clusters import cluster_rows, report_of
from tritter_assets.dedup.crowds import NUM_HUBS
from tritter_assets.dedup.index import NEAR_INDEX, IndexReport
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.near import evidence_rows
from tritter_assets.dedup.verify import lake_reader, verify_pairs
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lake.location import LakeLocation
from tritter_assets.verdict import Reason

INPUT_DIGITS = 8
SEPARATOR = "\x01"
"""Below every character of a path or repository; NUL ends a string in some readers."""
_SHA256_DIGITS = 64

_PAIRS = {"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32}
_PLACES = {"content": pl.Int64, "place": pl.String, "num_shingles": pl.Int32}
_WANTED = {"content": pl.Int64, "place": pl.String, "bucket": pl.Int64}
_DOCUMENTS = {
    "id": pl.String,
    "source": pl.String,
    "shard": pl.String,
    "repo": pl.String,
    "path": pl.String,
    "license_concluded": pl.String,
    "content_sha256": pl.String,
    "normalized_sha256": pl.String,
    "priority": pl.Int64,
    "content": pl.Int64,
}
_TEXTS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("content", pa.large_string()),
        pa.field("content_sha256", pa.string()),
        pa.field("bucket", pa.int64()),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketReport:
    """What `solve_bucket` found."""

    index: IndexReport
    num_candidates: int
    num_computed: int
    num_pairs: int
    largest_cluster: int


def pairs_within(groups: pa.Array) -> pa.Array:
    """Returns, for each list of contents, its pairs as structs left < right."""
    lists = groups.cast(pa.large_list(pa.int64()))
    offsets = lists.offsets.to_numpy()
    values = lists.values.to_numpy()
    left, right, counts = [], [], [0]
    for start, end in pairwise(offsets):
        members = np.unique(values[start:end])
        first, second = np.triu_indices(len(members), 1)
        left.append(members[first])
        right.append(members[second])
        counts.append(len(first))
    pairs = pa.StructArray.from_arrays(
        [
            pa.array(np.concatenate(ends) if ends else np.zeros(0, np.int64))
            for ends in (left, right)
        ],
        names=["left", "right"],
    )
    return pa.LargeListArray.from_arrays(pa.array(np.cumsum(counts), pa.int64()), pairs)


def pairs_with_hubs(crowds: pa.Array) -> pa.Array:
    """Returns, for each crowded band, the pairs of its first contents with all the others.

    Args:
        crowds: Lists of texts that sort as documents survive and end in `SEPARATOR` and a content.
    """
    groups = []
    for members in crowds.to_pylist():
        contents = [int(text.rpartition(SEPARATOR)[2]) for text in sorted(members)]
        hubs = contents[:NUM_HUBS]
        found = {(min(h, c), max(h, c)) for h in hubs for c in contents if h != c}
        groups.append([{"left": left, "right": right} for left, right in sorted(found)])
    kind = pa.struct([pa.field("left", pa.int64()), pa.field("right", pa.int64())])
    return pa.array(groups, pa.large_list(kind))


def gather_texts(
    location: LakeLocation, scratch: Scratch, number: int, source: str, shard: str
) -> int:
    """Writes the texts of a shard that pairs are verified with; returns how many.

    Raises:
        MissingProvenance: a document is gone, or its content is not what was signed.
    """
    name = f"{number:0{INPUT_DIGITS}d}"
    wanted = scratch.read_folder(f"wanted/input={name}", _WANTED)
    if wanted.is_empty():
        return 0
    places = _with_documents(wanted).with_columns(source=pl.lit(source), shard=pl.lit(shard))
    filesystem = scratch.location.filesystem(scratch.name)
    filesystem.create_dir("gathered", recursive=True)
    expected = places.select("id", "bucket", signed="content_sha256")
    found = 0
    with (
        filesystem.open_output_stream(f"gathered/{name}.parquet") as sink,
        pq.ParquetWriter(sink, _TEXTS, compression="zstd") as writer,
    ):
        for batch in lake_reader(Lake(location))(places):
            texts = pl.DataFrame(batch).join(expected, on="id", maintain_order="left")
            changed = texts.filter(pl.col("content_sha256") != pl.col("signed"))
            if changed.height:
                raise MissingProvenance(
                    f"document {changed['id'][0]} is not what was signed: materialise "
                    f"signatures/{source} again for shard {shard}"
                )
            found += texts.height
            writer.write_table(texts.select(_TEXTS.names).to_arrow().cast(_TEXTS))
    if found < places.height:
        raise MissingProvenance(
            f"{places.height - found} documents of {source}[{shard}] were signed and are not in "
            f"filtered/{source} any more: materialise signatures/{source} again"
        )
    return found


def solve_bucket(
    scratch: Scratch,
    number: int,
    layout: BandLayout,
    memory_limit_bytes: int,
    families: LicenseFamilies | None,
) -> BucketReport:
    """Verifies the pairs of whole components, clusters their documents, and writes both."""
    bucket = f"bucket={number}"
    scored = scratch.read_folder(f"pairs/{bucket}", _PAIRS)
    documents = scratch.read_folder(f"documents/{bucket}", _DOCUMENTS)
    places = _with_documents(scratch.read_folder(f"places/{bucket}", _PLACES))
    verified = verify_pairs(
        lambda wanted: _texts(scratch, bucket, wanted),
        scored.filter(pl.col("jaccard").is_null()).select("left", "right"),
        places,
        threshold=layout.threshold,
        memory_limit_bytes=memory_limit_bytes,
    )
    known = scored.filter(pl.col("jaccard").is_not_null())
    pairs = pl.concat([known, verified.pairs]).sort("left", "right")
    rows = cluster_rows(
        documents,
        pairs.select("left", "right", score="jaccard"),
        match="near",
        reason=Reason.NEAR_DUPLICATE,
        families=families,
    )
    scratch.write_file(f"rows/{number:06d}.parquet", rows.to_arrow())
    evidence = evidence_rows(pairs, documents, layout.name)
    scratch.write_file(f"evidence/{number:06d}.parquet", evidence.to_arrow())
    return BucketReport(
        index=report_of(NEAR_INDEX, rows, documents.height, {}),
        num_candidates=scored.height,
        num_computed=verified.num_computed,
        num_pairs=pairs.height,
        largest_cluster=int(str(rows["cluster_size"].max() or 0)),
    )


def total(
    buckets: Sequence[BucketReport], num_documents: int, details: Mapping[str, int | float | str]
) -> IndexReport:
    """Adds up the reports of all buckets."""
    dropped: dict[str, int] = {}
    for bucket in buckets:
        for source, count in bucket.index.dropped_by_source.items():
            dropped[source] = dropped.get(source, 0) + count
    return IndexReport(
        index=NEAR_INDEX,
        num_documents=num_documents,
        num_clusters=sum(bucket.index.num_clusters for bucket in buckets),
        num_members=sum(bucket.index.num_members for bucket in buckets),
        num_dropped=sum(bucket.index.num_dropped for bucket in buckets),
        num_quarantined=sum(bucket.index.num_quarantined for bucket in buckets),
        dropped_by_source=dict(sorted(dropped.items())),
        details={
            **details,
            "candidates": sum(bucket.num_candidates for bucket in buckets),
            "pairs_computed": sum(bucket.num_computed for bucket in buckets),
            "pairs": sum(bucket.num_pairs for bucket in buckets),
            "largest_cluster": max((bucket.largest_cluster for bucket in buckets), default=0),
        },
    )


def _with_documents(places: pl.DataFrame) -> pl.DataFrame:
    """Takes a place apart: the number of its input, its document's id, its content's hash."""
    place = pl.col("place")
    return places.with_columns(
        id=place.str.slice(INPUT_DIGITS).str.head(-_SHA256_DIGITS),
        content_sha256=place.str.tail(_SHA256_DIGITS),
    )


def _texts(scratch: Scratch, bucket: str, wanted: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    ids = set(wanted["id"])
    for rows in scratch.stream_folder(f"texts/{bucket}", ["id", "content", "content_sha256"]):
        chosen = [row_id in ids for row_id in rows.column("id").to_pylist()]
        yield rows.filter(pa.array(chosen, pa.bool_()))
