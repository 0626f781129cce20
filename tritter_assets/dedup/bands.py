"""LSH bands: rows of a sketch hashed into keys, and the pairs of contents that share one.

With b bands of r rows, a pair of Jaccard similarity J becomes a candidate with probability
1 - (1 - J^r)^b. Usual practice (25 x 10 at 0.7) puts that curve's middle at the threshold and
loses one true pair in six; since candidates are verified exactly here, bands only have to be
sensitive: `layout_for` takes the longest rows that miss at most 0.6 % of pairs exactly at the
threshold (and far fewer above it). That gives 42 x 6 at 0.7 and 25 x 10 at 0.85.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.dedup.kernel import KERNEL_VERSION, NUM_HASHES, kernels
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import fingerprint_of

STAGE_VERSION = "1"

MAX_MISS_AT_THRESHOLD = 0.006

CROWD = 128
NUM_HUBS = 32
"""A band key of more than 128 contents gives the pairs of its first 32 with all; `crowds.py`."""

BANDS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("layout", pa.string(), nullable=False),
        pa.field("content", pa.int64(), nullable=False),
        pa.field("band", pa.int16(), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
    ]
)
"""Rows of `dedup/near_bands`, ordered by (id, band); `content` is `content_key`, `key` the band.

In this order every column but `key` compresses to almost nothing: about 9 bytes a row.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandLayout:
    """How sketches are cut into bands for one threshold."""

    num_bands: int
    rows_per_band: int
    threshold: float

    @property
    def name(self) -> str:
        """Returns the layout and the version of the sketches it cuts, as stored beside bands."""
        version = fingerprint_of(STAGE_VERSION, KERNEL_VERSION, NUM_HASHES)[:6]
        return f"{self.num_bands}x{self.rows_per_band}@{self.threshold:g}#{version}"

    def miss_probability(self, jaccard: float) -> float:
        """Returns the probability that a pair of this similarity is no candidate."""
        return (1.0 - jaccard**self.rows_per_band) ** self.num_bands


def layout_for(threshold: float) -> BandLayout:
    """Returns the cheapest layout that misses at most 0.6 % of pairs at the threshold.

    Raises:
        ContractViolation: 256 hashes cannot reach that recall, or the threshold is no similarity.
    """
    if 0.0 < threshold <= 1.0:
        for rows in range(64, 0, -1):
            layout = BandLayout(
                num_bands=NUM_HASHES // rows, rows_per_band=rows, threshold=threshold
            )
            if layout.miss_probability(threshold) <= MAX_MISS_AT_THRESHOLD:
                return layout
    raise ContractViolation(
        f"no band layout of {NUM_HASHES} hashes finds pairs of Jaccard {threshold:g}: give a "
        "threshold between 0.03 and 1 (near_threshold in the profile, --threshold of a command)"
    )


def band_keys(sketches: np.ndarray, layout: BandLayout) -> np.ndarray:
    """Returns the band keys of sketches: int64, one row per document, one column per band."""
    used = layout.num_bands * layout.rows_per_band
    values = sketches[:, :used].reshape(len(sketches), layout.num_bands, layout.rows_per_band)
    keys = np.full(values.shape[:2], 0x9E3779B97F4A7C15, dtype=np.uint64)
    for row in range(layout.rows_per_band):
        keys ^= values[:, :, row]
        keys *= np.uint64(0xFF51AFD7ED558CCD)
        keys ^= keys >> np.uint64(32)
    return keys.view(np.int64)


def band_hashes(keys: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Returns one uint64 for each key and the number of its band (arrays of one length)."""
    mixed = keys.view(np.uint64) ^ ((band.astype(np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15))
    mixed *= np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def content_key(column: str = "normalized_sha256") -> pl.Expr:
    """Returns the first 64 bits of a hex digest as int64: what bands and pairs are keyed by.

    Two contents of 25 million share a key with probability 2e-5; where that is seen, the update
    stops (`near.py`) and does not merge them.
    """
    head = pl.col(column).str.slice(0, 16).str.decode("hex")
    return head.bin.reinterpret(dtype=pl.Int64, endianness="big").alias("content")


def unpack_sketches(minhash: pl.Series) -> np.ndarray:
    """Returns stored `minhash` values as rows of 256 uint32."""
    packed = b"".join(minhash.to_list())
    return np.frombuffer(packed, dtype="<u4").reshape(len(minhash), NUM_HASHES)


def band_rows(signatures: pl.DataFrame, layout: BandLayout) -> pl.DataFrame:
    """Returns one row (id, content, band, key) per document and band, ordered by (id, band).

    Args:
        signatures: Columns id, content, minhash.
        layout: How to cut the sketches.
    """
    ordered = signatures.sort("id")
    keys = band_keys(unpack_sketches(ordered["minhash"]), layout)
    num_documents, num_bands = keys.shape
    document = np.repeat(np.arange(num_documents), num_bands)
    return ordered.select("id", "content")[document].with_columns(
        band=pl.Series(np.tile(np.arange(num_bands, dtype=np.int16), num_documents)),
        key=pl.Series(keys.reshape(-1)),
    )


def candidate_pairs(
    keys: np.ndarray,
    sizes: np.ndarray,
    layout: BandLayout,
    *,
    crowd: int | None = CROWD,
    workers: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct pairs of documents that share a band key.

    Pairs whose sizes alone rule out the threshold are left out. Memory: 16 bytes a document and
    band, and 8 a pair.

    Args:
        keys: Of `band_keys`, documents in the order in which they survive.
        sizes: Shingles of each document.
        layout: How the sketches were cut.
        crowd: A bucket of more documents gives the pairs of its first `NUM_HUBS` only; with None,
            every bucket gives all its pairs.
        workers: Threads; the result does not depend on it.

    Returns:
        The earlier and the later end of each pair (int32), ordered by the later.
    """
    num_documents = len(keys)
    columns = np.ascontiguousarray(keys.T)
    order, first = (np.empty(columns.shape, dtype=np.int32) for _ in range(2))
    sizes = sizes.astype(np.int64)
    limit = num_documents if crowd is None else crowd

    def group(band: int) -> None:
        kernels().buckets(columns[band], limit, order[band], first[band])

    def pair_up(begin: int, end: int) -> list[tuple[np.ndarray, np.ndarray]]:
        seen = np.full(num_documents, -1, dtype=np.int32)
        left, right = (np.empty(max(num_documents, 1 << 16), dtype=np.int32) for _ in range(2))
        found = []
        while begin < end:
            begin, written = kernels().pairs(
                order, first, NUM_HUBS, sizes, layout.threshold, begin, end, seen, left, right
            )
            found.append((left[:written].copy(), right[:written].copy()))
        return found

    # Later ends have more earlier ones: many ranges, so that threads end together.
    bounds = np.linspace(0, num_documents, (1 if workers == 1 else 8 * workers) + 1, dtype=np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(group, range(layout.num_bands)):
            pass
        parts = list(chain.from_iterable(pool.map(pair_up, bounds[:-1], bounds[1:])))
    none = np.empty(0, dtype=np.int32)
    return (
        np.concatenate([none, *(left for left, _ in parts)]),
        np.concatenate([none, *(right for _, right in parts)]),
    )
