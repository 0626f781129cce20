"""Near duplicates of Parquet files (id, content): the same code as the index, without a lake.

Two passes over the texts: one for sketches, one over the candidates for exact verification. Held
between them: some 1 KB a document (its band keys, twice while they are grouped, and its columns)
and no text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import (
    BandLayout,
    band_keys,
    candidate_pairs,
    content_key,
    layout_for,
)
from tritter_assets.dedup.clusters import cluster_rows
from tritter_assets.dedup.index import SURVIVAL_ORDER
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.signatures import in_order
from tritter_assets.dedup.text_arrays import normalized_sha256, shingle_sets, sketches, text_buffers
from tritter_assets.dedup.verify import Reader, verify_pairs
from tritter_assets.errors import ContractViolation
from tritter_assets.verdict import Action, Reason

_BATCH_ROWS = 1024
_OPTIONAL = ("repo", "path", "license_concluded")


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
    workers: int = 1,
) -> FileDuplicates:
    """Finds clusters of near duplicates among the rows of a Parquet file, or of a folder of them.

    Args:
        path: A Parquet file, or a folder whose `*.parquet` are read as one, with the columns id
            and content; repo and path, if there, order the members of a cluster, and
            license_concluded is compared as in the index.
        threshold: Smallest exact Jaccard similarity over word 5-grams.
        memory_limit_bytes: Verification works in groups beyond it.
        workers: Threads; the result does not depend on it.

    Raises:
        ContractViolation: a file is no Parquet, a column is missing or of another type, or a row
            has no id or that of another.
    """
    layout = layout_for(threshold)
    files = _files(path)
    documents, keys = _sign(files, layout, workers)
    _refuse_unclear_ids(path, documents["id"])
    documents = documents.with_row_index("row").sort(*SURVIVAL_ORDER)
    contents = documents.unique("content", keep="first", maintain_order=True)
    keys = keys[contents["row"].to_numpy()]
    left, right = candidate_pairs(
        keys, contents["num_shingles"].to_numpy(), layout, workers=workers
    )
    del keys
    numbers = contents["content"]
    verified = verify_pairs(
        _reader(files),
        pl.DataFrame({"left": numbers.gather(left), "right": numbers.gather(right)}),
        contents,
        threshold=threshold,
        memory_limit_bytes=memory_limit_bytes,
        workers=workers,
    )
    scored = verified.pairs.select("left", "right", score="jaccard")
    rows = cluster_rows(documents, scored, match="near", reason=Reason.NEAR_DUPLICATE)
    return FileDuplicates(
        num_documents=documents.height,
        content_bytes=int(documents["content_bytes"].sum()),
        threshold=threshold,
        clusters=rows,
        pairs=_named_pairs(documents, verified.pairs),
        num_candidates=len(left),
    )


def _sign(files: list[Path], layout: BandLayout, workers: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Returns what the indexes know of each row, and its band keys."""

    def sign(batch: pa.RecordBatch) -> tuple[pl.DataFrame, np.ndarray]:
        content = _texts(batch)
        sets = shingle_sets(content)
        frame = pl.DataFrame({name: batch.column(name) for name in batch.schema.names[:-1]})
        frame = frame.with_columns(
            pl.col("id").cast(pl.String),
            *(pl.col(c).cast(pl.String).fill_null("") for c in _OPTIONAL if c in frame.columns),
            *(pl.lit("").alias(c) for c in _OPTIONAL if c not in frame.columns),
            normalized_sha256=pl.Series(normalized_sha256(content), dtype=pl.String),
            num_shingles=pl.Series(sets.counts()),
            content_bytes=pl.Series(np.diff(text_buffers(content)[0])),
        )
        columns = ["id", *_OPTIONAL, "normalized_sha256", "num_shingles", "content_bytes"]
        return frame.select(columns), band_keys(sketches(sets), layout)

    opened = [_checked(file) for file in files]
    num_rows = sum(file.metadata.num_rows for file in opened)
    if num_rows == 0:
        raise ContractViolation(f"{files[0]} holds no rows: nothing can be compared")
    batches = chain.from_iterable(
        file.iter_batches(_BATCH_ROWS, columns=[*_kept(file), "content"]) for file in opened
    )
    keys = np.empty((num_rows, layout.num_bands), dtype=np.int64)
    frames, at = [], 0
    for frame, rows in in_order(sign, batches, workers):
        frames.append(frame)
        keys[at : at + len(rows)] = rows
        at += len(rows)
    signed = pl.concat(frames).with_columns(
        content_key(),
        source=pl.lit(files[0].stem),
        shard=pl.lit("000"),
        priority=pl.lit(0),
        # The digest that shows a file changed while it was read; here both passes derive it.
        content_sha256=pl.col("normalized_sha256"),
    )
    return signed, keys


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise ContractViolation(f"the folder {path} holds no *.parquet: give one that does")
    return files


def _kept(file: pq.ParquetFile) -> list[str]:
    return ["id", *(name for name in _OPTIONAL if name in file.schema_arrow.names)]


def _texts(batch: pa.RecordBatch) -> pa.Array:
    """Returns the contents of a batch; a null counts as an empty text."""
    return batch.column("content").cast(pa.large_string()).fill_null("")


def _refuse_unclear_ids(path: Path, ids: pl.Series) -> None:
    if ids.null_count():
        row = int(ids.is_null().arg_true()[0])
        raise ContractViolation(f"{path}: row {row} has no id; give each row its own")
    if ids.n_unique() != ids.len():
        shared = ids.filter(ids.is_duplicated())[0]
        rows = (ids == shared).arg_true().head(2).to_list()
        raise ContractViolation(
            f"{path}: the rows {rows[0]} and {rows[1]} share the id {shared!r}; give each its own"
        )


def _checked(path: Path) -> pq.ParquetFile:
    """Opens a Parquet file whose columns can be compared."""
    file = _open(path)
    schema = file.schema_arrow
    if not {"id", "content"} <= set(schema.names):
        raise ContractViolation(
            f"{path} has the columns {sorted(schema.names)}; id and content are needed"
        )
    kind = schema.field("content").type
    if not _is_text(kind):
        raise ContractViolation(
            f"{path}: content is of type {kind}; text (string) is needed, bytes must be decoded"
        )
    for name in _kept(file):
        kind = schema.field(name).type
        if not (_is_text(kind) or (name == "id" and pa.types.is_integer(kind))):
            raise ContractViolation(
                f"{path}: {name} is of type {kind}; text is needed"
                + (" (or a whole number)" if name == "id" else "")
            )
    return file


def _is_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    types = pa.types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


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


def _reader(files: list[Path]) -> Reader:
    def read(places: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        wanted = places["id"].implode()
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=["id", "content"]):
                ids = batch.column("id").cast(pa.string())
                mask = pl.Series(ids).is_in(wanted).to_arrow()
                content = _texts(batch).filter(mask)
                digests = pa.array(normalized_sha256(content), pa.string())
                yield pa.RecordBatch.from_arrays(
                    [ids.filter(mask), content, digests], names=["id", "content", "content_sha256"]
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
