"""What workers do for an index: the texts of one shard, one bucket of components."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.cluster.frames import INPUT_DIGITS
from tritter_assets.cluster.members import DOCUMENTS
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.bands import BandLayout
from tritter_assets.dedup.cluster_update import clustered_documents
from tritter_assets.dedup.clusters import cluster_rows
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.near import evidence_rows
from tritter_assets.dedup.verify import lake_reader, verify_pairs
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lake.location import LakeLocation
from tritter_assets.verdict import Reason

_SHA256_DIGITS = 64

_PAIRS = {"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32}
_PLACES = {"content": pl.Int64, "place": pl.String, "num_shingles": pl.Int32}
_WANTED = {"content": pl.Int64, "place": pl.String, "bucket": pl.Int64}
_TEXTS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("content", pa.large_string()),
        pa.field("content_sha256", pa.string()),
        pa.field("bucket", pa.int64()),
    ]
)


def gather_texts(
    location: LakeLocation, scratch: Scratch, number: int, source: str, shard: str
) -> int:
    """Writes the texts of a shard that pairs are verified with; returns how many.

    Raises:
        MissingProvenance: a document is gone, or its content is not what was signed.
    """
    name = f"{number:0{INPUT_DIGITS}d}"
    wanted = scratch.read_folder(f"wanted/input={name}", _WANTED)
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


def solve_near_bucket(
    scratch: Scratch,
    number: int,
    layout: BandLayout,
    memory_limit_bytes: int,
    families: LicenseFamilies | None,
) -> int:
    """Verifies the pairs of whole components, clusters their documents, and writes both.

    Returns:
        How many pairs were compared.
    """
    bucket = f"bucket={number}"
    scored = scratch.read_folder(f"pairs/{bucket}", _PAIRS)
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
    documents = clustered_documents(scratch.read_folder(f"documents/{bucket}", DOCUMENTS), pairs)
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
    return verified.num_computed


def solve_exact_bucket(scratch: Scratch, number: int, families: LicenseFamilies | None) -> None:
    """Clusters the documents of whole components by their contents alone."""
    rows = cluster_rows(
        scratch.read_folder(f"documents/bucket={number}", DOCUMENTS),
        pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64, "score": pl.Float32}),
        match="content",
        reason=Reason.EXACT_DUPLICATE,
        families=families,
    )
    scratch.write_file(f"rows/{number:06d}.parquet", rows.to_arrow())


def _with_documents(places: pl.DataFrame) -> pl.DataFrame:
    """Takes a place apart: the number of its input, its document's id, its content's hash."""
    place = pl.col("place")
    return places.with_columns(
        id=place.str.slice(INPUT_DIGITS).str.head(-_SHA256_DIGITS),
        content_sha256=place.str.tail(_SHA256_DIGITS),
    )


def _texts(scratch: Scratch, bucket: str, wanted: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    names = ["id", "content_sha256"]  # an id may stand for two contents
    chosen = wanted.select(names)
    for rows in scratch.stream_folder(f"texts/{bucket}", ["id", "content", "content_sha256"]):
        here = pl.DataFrame(rows.select(names)).with_row_index("row")
        positions = here.join(chosen, on=names, how="semi")["row"].sort()
        yield rows.take(positions.to_arrow())
