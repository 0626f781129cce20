"""Signatures of one shard: what the duplicate indexes know of a document without its content.

Input: `filtered/<source>`. Output: `signatures/<source>`, one row per document, in the order of
the input:

| column | meaning |
|---|---|
| content_sha256 | as in `filtered` |
| normalized_sha256 | SHA-256 of the content in ASCII lower case, white space collapsed |
| num_shingles | distinct word 5-grams |
| minhash | 256 little-endian uint32, see `kernel.py` |

Cost: one pass over the bytes for shingles, one for the normalised text, one SHA-256.
Blind spot: words are ASCII, so text in other scripts is compared by its ASCII words alone, or
whole when it has fewer than five.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from tritter_assets.dedup.kernel import KERNEL_VERSION, NUM_HASHES, SHINGLE_WORDS
from tritter_assets.dedup.text_arrays import (
    normalized_sha256,
    shingle_sets,
    sketches,
    text_buffers,
)
from tritter_assets.lake import Lake, fingerprint_of

STAGE_VERSION = "1"

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

_COPIED = (
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "language",
    "license_concluded",
    "content_sha256",
)

SIGNATURE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("repo", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("license_concluded", pa.string(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("normalized_sha256", pa.string(), nullable=False),
        pa.field("num_shingles", pa.int32(), nullable=False),
        pa.field("minhash", pa.binary(), nullable=False),
    ]
)
"""`minhash` is always 4 x 256 bytes; Delta has no fixed-size binary type to say so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignReport:
    """What `sign_shard` did."""

    num_documents: int
    content_bytes: int
    num_shingles: int
    data_version: str


def code_version() -> str:
    """Returns the version of everything that changes a signature."""
    return f"{STAGE_VERSION}.{fingerprint_of(KERNEL_VERSION, NUM_HASHES, SHINGLE_WORDS)}"


def sign_shard(
    lake: Lake, source: str, shard: str, *, fingerprint: str, workers: int = 1
) -> SignReport:
    """Signs every document of `filtered/<source>` in one shard.

    Args:
        lake: The lake.
        source: Source id.
        shard: Partition of the source.
        fingerprint: Hash of `code_version()` and the data version of the filtered shard.
        workers: Threads; the result does not depend on it.

    Raises:
        LakeCorruption: `filtered/<source>` does not exist.
    """
    counts = [0, 0, 0]
    batches = lake.batches(
        f"filtered/{source}", partition={"shard": shard}, columns=[*_COPIED, "content"]
    )

    def counted() -> Iterator[pa.RecordBatch]:
        for signed, content_bytes in in_order(sign_batch, batches, workers):
            counts[0] += signed.num_rows
            counts[1] += content_bytes
            counts[2] += sum(signed.column("num_shingles").to_pylist())
            yield signed

    state = lake.write(
        f"signatures/{source}",
        counted(),
        SIGNATURE_SCHEMA,
        fingerprint=fingerprint,
        partition={"shard": shard},
    )
    return SignReport(
        num_documents=counts[0],
        content_bytes=counts[1],
        num_shingles=counts[2],
        data_version=state.data_version,
    )


def sign_batch(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """Returns the signatures of a batch of documents, and the bytes of content signed."""
    content = batch.column("content")
    sets = shingle_sets(content)
    minhash = sketches(sets)
    columns = {name: batch.column(name) for name in _COPIED}
    columns["normalized_sha256"] = pa.array(normalized_sha256(content), pa.string())
    columns["num_shingles"] = pa.array(sets.counts(), pa.int32())
    columns["minhash"] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(4 * NUM_HASHES), len(minhash), [None, pa.py_buffer(minhash.astype("<u4"))]
    ).cast(pa.binary())
    signed = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    offsets, _ = text_buffers(content)
    return signed, int(offsets[-1] - offsets[0])


def in_order(
    work: Callable[[_Item], _Made], items: Iterable[_Item], workers: int
) -> Iterator[_Made]:
    """Works on items in threads (the kernels release the GIL) and yields what comes in order."""
    if workers <= 1:
        yield from map(work, items)
        return
    pending: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
