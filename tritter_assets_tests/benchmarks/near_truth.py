"""All pairs of near duplicates of a corpus, found without any of the code that is measured.

Shingles are cut by Python's `re` and hashed by Python; candidates come from an exact set join
(prefix filter), which knows nothing of sketches or bands; a similarity is a merge of two sorted
arrays. Shared with the package is only what a shingle is: 5 consecutive words of [A-Za-z0-9_], or
the whole text, in ASCII lower case and with white space collapsed, where there are fewer.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

_WORD = re.compile(rb"[a-z0-9_]+")
_BLANK = re.compile(rb"[\t-\r\x1c- ]+")
_MEMORY_BYTES = 2 << 30


def packed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns pairs of document numbers as sorted int64, the smaller number in the upper half."""
    small, large = np.minimum(left, right), np.maximum(left, right)
    return np.sort((small.astype(np.int64) << 32) | large.astype(np.int64))


def true_pairs(content: pa.Array, threshold: float) -> np.ndarray:
    """Returns the packed pairs whose exact Jaccard similarity reaches the threshold."""
    numbers: dict[bytes, int] = {}
    group = np.empty(len(content), dtype=np.int64)
    parts: list[np.ndarray] = []
    for document, text in enumerate(content.cast(pa.large_binary())):
        hashes = _shingles(text.as_py() or b"")
        group[document] = numbers.setdefault(hashes.tobytes(), len(parts))
        if group[document] == len(parts):
            parts.append(hashes)
    starts = np.cumsum([0, *map(len, parts)])
    shingles = np.concatenate(parts)
    left, right = _candidates(starts, shingles, threshold)
    similarity = np.empty(len(left))
    _merged()(left, right, starts, shingles, similarity)
    kept = similarity >= threshold
    return packed(*spread(left[kept], right[kept], group))


def spread(left: np.ndarray, right: np.ndarray, group: np.ndarray) -> tuple[Any, Any]:
    """Returns the pairs of documents that pairs of groups, and groups of several, stand for."""
    order = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[order], np.arange(group.max(initial=-1) + 2))
    counts = np.diff(begins)
    size = int((counts[left] * counts[right]).sum() + (counts * (counts - 1) // 2).sum())
    one, two = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    _spread()(left, right, order, begins, one, two)
    return one, two


def _shingles(text: bytes) -> np.ndarray:
    """Returns the sorted hashes of a text's distinct shingles."""
    lower = text.lower()
    words = _WORD.findall(lower)
    if len(words) < 5:
        return np.array([hash(_BLANK.sub(b" ", lower).strip(b" "))], dtype=np.int64)
    grams = zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)
    found = set(map(hash, grams))
    return np.sort(np.fromiter(found, dtype=np.int64, count=len(found)))


def _candidates(
    starts: np.ndarray, shingles: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs of sets that may reach the threshold, among them all that do.

    With shingles ordered by rising frequency, two sets of Jaccard t or more share one among the
    first |x| - ceil(t |x|) + 1 of each (Chaudhuri, Ganti, Kaushik 2006).
    """
    sizes = np.diff(starts)
    frame = pl.DataFrame({"document": np.repeat(np.arange(len(sizes)), sizes), "shingle": shingles})
    prefixes = (
        frame.with_columns(spread=pl.len().over("shingle"), size=pl.len().over("document"))
        .sort("document", "spread", "shingle")
        .with_columns(place=pl.int_range(pl.len()).over("document"))
        # A little below the product, which may be rounded up.
        .filter(pl.col("place") <= pl.col("size") - (pl.col("size") * threshold - 1e-6).ceil())
        .filter(pl.col("spread") > 1)
        .select("document", "size", "shingle")
    )
    with _open_duckdb() as connection:
        connection.register("prefixes", prefixes.to_arrow())
        found = connection.sql(
            f"""
            SELECT DISTINCT a.document AS "left", b.document AS "right"
            FROM prefixes AS a JOIN prefixes AS b USING (shingle)
            WHERE a.document < b.document
              AND least(a.size, b.size) >= {threshold} * greatest(a.size, b.size)
            """
        ).to_arrow_table()
    return found["left"].to_numpy(), found["right"].to_numpy()


@cache
def _merged() -> Any:
    import numba

    def merge(left: Any, right: Any, starts: Any, shingles: Any, out: Any) -> None:
        for pair in range(left.shape[0]):
            i, i_end = starts[left[pair]], starts[left[pair] + 1]
            j, j_end = starts[right[pair]], starts[right[pair] + 1]
            total, shared = (i_end - i) + (j_end - j), 0
            while i < i_end and j < j_end:
                one, two = shingles[i], shingles[j]
                shared += 1 if one == two else 0
                i += 1 if one <= two else 0
                j += 1 if two <= one else 0
            out[pair] = shared / (total - shared)

    return numba.njit(merge)


@cache
def _spread() -> Any:
    import numba

    def fill(  # noqa: PLR0917 - numba takes no keyword arguments
        left: Any, right: Any, order: Any, begins: Any, one: Any, two: Any
    ) -> None:
        at = 0
        for pair in range(left.shape[0]):
            for i in range(begins[left[pair]], begins[left[pair] + 1]):
                for j in range(begins[right[pair]], begins[right[pair] + 1]):
                    one[at], two[at] = order[i], order[j]
                    at += 1
        for group in range(begins.shape[0] - 1):
            for i in range(begins[group], begins[group + 1]):
                for j in range(i + 1, begins[group + 1]):
                    one[at], two[at] = order[i], order[j]
                    at += 1

    return numba.njit(fill)


@contextmanager
def _open_duckdb() -> Iterator[Any]:
    """Opens an in-memory DuckDB that holds at most `_MEMORY_BYTES` and spills the rest."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="near-truth-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{_MEMORY_BYTES >> 20}MiB",
                "temp_directory": folder,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            yield connection
        finally:
            connection.close()
