"""Arrow text as the kernels take it: offsets and bytes, and what they make of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from tritter_assets.dedup.kernel import (
    NUM_HASHES,
    SHINGLE_WORDS,
    fold_table,
    kernels,
    word_table,
)

_WORDS = word_table()
_FOLDS = fold_table()


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """Distinct shingles of documents: those of document n are `hashes[starts[n]:starts[n + 1]]`."""

    starts: np.ndarray
    hashes: np.ndarray

    @property
    def num_documents(self) -> int:
        """Returns how many documents there are."""
        return len(self.starts) - 1

    def counts(self) -> np.ndarray:
        """Returns the number of distinct shingles of each document."""
        return np.diff(self.starts)


def text_buffers(content: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (offsets int64, bytes uint8) of an Arrow string array, without copying the text.

    Offsets are absolute positions in the bytes, so a slice of a larger array works as it is. A
    null counts as an empty text.
    """
    if isinstance(content, pa.ChunkedArray):
        content = content.combine_chunks()
    array = content.cast(pa.large_string())
    _, offsets_buffer, data_buffer = array.buffers()
    if len(array) == 0 or offsets_buffer is None:
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    if data_buffer is None:
        return offsets, np.zeros(0, dtype=np.uint8)
    return offsets, np.frombuffer(data_buffer, dtype=np.uint8)


def shingle_sets(content: pa.Array | pa.ChunkedArray, width: int = SHINGLE_WORDS) -> ShingleSets:
    """Returns the distinct word shingles of every document of an Arrow string array."""
    offsets, data = text_buffers(content)
    num_documents = len(offsets) - 1
    starts = np.zeros(num_documents + 1, dtype=np.int64)
    if num_documents == 0:
        return ShingleSets(starts, np.zeros(0, dtype=np.uint64))
    capacity = int(offsets[-1] - offsets[0]) // 2 + 2 * num_documents
    out = np.empty(capacity, dtype=np.uint64)
    written = kernels().shingle(offsets, data, _WORDS, _FOLDS, width, starts, out)
    return ShingleSets(starts, out[:written])


def sketches(sets: ShingleSets) -> np.ndarray:
    """Returns one row of 256 uint32 minima per document."""
    out = np.empty((sets.num_documents, NUM_HASHES), dtype=np.uint32)
    if sets.num_documents:
        kernels().sketch(sets.starts, sets.hashes, out)
    return out


def normalized_sha256(content: pa.Array | pa.ChunkedArray) -> list[str]:
    """Returns the SHA-256 (hex) of each text in ASCII lower case with white space collapsed.

    The text is normalised by a kernel; only the digest itself is one call per document, because
    hashlib uses the processor's SHA instructions (1.5 GB/s here) and releases the GIL.
    """
    offsets, data = text_buffers(content)
    num_documents = len(offsets) - 1
    if num_documents == 0:
        return []
    starts = np.zeros(num_documents + 1, dtype=np.int64)
    out = np.empty(int(offsets[-1] - offsets[0]) + 1, dtype=np.uint8)
    kernels().normalize(offsets, data, _FOLDS, starts, out)
    view, bounds = memoryview(out.data), starts.tolist()
    return [hashlib.sha256(view[begin:end]).hexdigest() for begin, end in pairwise(bounds)]


def estimate_jaccard(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns the estimated Jaccard similarity of rows of sketches; standard error below 0.032."""
    return (left == right).mean(axis=-1)
