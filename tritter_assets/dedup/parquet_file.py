"""Near duplicates of one Parquet file (id, content): the same code as the index, without a lake.

Two passes over the file: one for sketches, one over the candidates for exact verification.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import band_rows, candidate_pairs, content_key, layout_for
from tritter_assets.dedup.clusters import cluster_rows
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.text_arrays import normalized_sha256, shingle_sets, sketches, text_buffers
from tritter_assets.dedup.verify import Reader, verify_pairs
from tritter_assets.errors import ContractViolation
from tritter_assets.verdict import Action, Reason

_BATCH_ROWS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDuplicates:
    """What a Parquet file holds twice."""

    num_documents: int
    content_bytes: int
    threshold: float
    clusters: pl.DataFrame
    """Rows as in `dedup/near_index`: id, cluster_id, cluster_size, survivor, kept_id, score, ..."""
    pairs: pl.DataFrame
    """Verified pairs: id_a, id_b, jaccard; a copy is paired with the first of its content."""
    num_candidates: int

    @property
    def dropped_ids(self) -> list[str]:
        """Returns the ids that deduplication drops, sorted."""
        return self.clusters.filter(pl.col("action") == Action.DROP)["id"].sort().to_list()


def find_duplicates(
    path: Path,
    *,
    threshold: float = 0.7,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
) -> FileDuplicates:
    """Finds clusters of near duplicates among the rows of a Parquet file.

    Args:
        path: A Parquet file with the columns id and content; repo and path, if there, order the
            members of a cluster, and license_concluded is compared as in the index.
        threshold: Smallest exact Jaccard similarity over word 5-grams.
        memory_limit_bytes: Joins spill and verification works in groups beyond it.

    Raises:
        ContractViolation: the file is no Parquet, a column is missing, or two rows share an id.
    """
    layout = layout_for(threshold)
    signatures = _sign(path)
    if signatures["id"].n_unique() != signatures.height:
        raise ContractViolation(f"{path}: two rows share an id; give each row its own")
    contents = signatures.unique("content", keep="first", maintain_order=True)
    bands = band_rows(contents, layout).select("content", "band", "key").to_arrow()
    candidates = candidate_pairs(bands, [], memory_limit_bytes=memory_limit_bytes)
    verified = verify_pairs(
        _reader(path),
        candidates,
        contents,
        threshold=threshold,
        memory_limit_bytes=memory_limit_bytes,
    )
    scored = verified.pairs.select("left", "right", score="jaccard")
    rows = cluster_rows(signatures, scored, match="near", reason=Reason.NEAR_DUPLICATE)
    return FileDuplicates(
        num_documents=signatures.height,
        content_bytes=int(signatures["content_bytes"].sum()),
        threshold=threshold,
        clusters=rows,
        pairs=_named_pairs(signatures, verified.pairs),
        num_candidates=candidates.height,
    )


def _sign(path: Path) -> pl.DataFrame:
    file = _open(path)
    names = set(file.schema_arrow.names)
    if not {"id", "content"} <= names:
        raise ContractViolation(
            f"{path} has the columns {sorted(names)}; id and content are needed"
        )
    kind = file.schema_arrow.field("content").type
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ContractViolation(f"{path}: content is of type {kind}; text (string) is needed")
    kept = ["id", *(c for c in ("repo", "path", "license_concluded") if c in names)]
    frames = []
    for batch in file.iter_batches(_BATCH_ROWS, columns=[*kept, "content"]):
        content = batch.column("content").fill_null("")
        sets = shingle_sets(content)
        digests = normalized_sha256(content)
        frame = pl.DataFrame({name: batch.column(name) for name in kept}).with_columns(
            pl.col(kept).cast(pl.String).fill_null(""),
            normalized_sha256=pl.Series(digests, dtype=pl.String),
            num_shingles=pl.Series(sets.counts()),
            content_bytes=pl.Series(np.diff(text_buffers(content)[0])),
            minhash=pl.Series([row.tobytes() for row in sketches(sets)], dtype=pl.Binary),
        )
        frames.append(frame)
    if not frames:
        raise ContractViolation(f"{path} holds no rows")
    missing = [c for c in ("repo", "path", "license_concluded") if c not in names]
    return pl.concat(frames).with_columns(
        content_key(),
        *(pl.lit("").alias(column) for column in missing),
        source=pl.lit(path.stem),
        shard=pl.lit("000"),
        priority=pl.lit(0),
        # The digest that shows a file changed while it was read; here both passes derive it.
        content_sha256=pl.col("normalized_sha256"),
    )


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        reason = str(error).partition("\n")[0].rstrip(".")
    reader = {".csv": "read_csv", ".json": "read_json", ".jsonl": "read_ndjson"}.get(path.suffix)
    way_out = (
        f'write it as Parquet first: polars.{reader}("{path}").write_parquet("documents.parquet")'
        if reader
        else "it is another format, or was cut short while it was written or copied"
    )
    raise ContractViolation(f"{path} is no readable Parquet file ({reason}): {way_out}")


def _reader(path: Path) -> Reader:
    def read(places: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        wanted = places["id"]
        for batch in pq.ParquetFile(path).iter_batches(_BATCH_ROWS, columns=["id", "content"]):
            ids = batch.column("id").cast(pa.string())
            mask = pl.Series(ids).is_in(wanted.implode()).to_arrow()
            content = batch.column("content").fill_null("").filter(mask)
            yield pa.RecordBatch.from_arrays(
                [ids.filter(mask), content, pa.array(normalized_sha256(content), pa.string())],
                names=["id", "content", "content_sha256"],
            )

    return read


def _named_pairs(signatures: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    firsts = signatures.group_by("content").agg(first=pl.col("id").min())
    between = pairs.join(firsts.rename({"content": "left", "first": "one"}), on="left").join(
        firsts.rename({"content": "right", "first": "two"}), on="right"
    )
    copies = signatures.select("id", "content").join(firsts, on="content")
    return pl.concat(
        [
            between.select(
                id_a=pl.min_horizontal("one", "two"),
                id_b=pl.max_horizontal("one", "two"),
                jaccard="jaccard",
            ),
            copies.filter(pl.col("id") != pl.col("first")).select(
                id_a="first", id_b="id", jaccard=pl.lit(1.0, dtype=pl.Float32)
            ),
        ]
    ).sort("id_a", "id_b")
