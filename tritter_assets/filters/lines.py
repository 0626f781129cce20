"""Lines that a cheap pattern cannot rule out.

The slow detectors (Python regular expressions, entropy, checksums) see only lines that a linear-time
Rust expression, looser than the detector, has let through. Rust rules out about 400 MB/s a core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

PIECE_CHARS = 4096
"""Longest text a slow detector sees at once: several of their expressions are quadratic."""

PIECE_OVERLAP_CHARS = 512
"""Pieces of a long line share this much, so that nothing shorter can hide at a cut."""


class Line(NamedTuple):
    """One line of one document that may hold a finding."""

    row: int
    """Row of the frame."""
    number: int
    """1-based number of the line."""
    start: int
    """Characters of the document before `text`."""
    text: str
    previous: str
    """The line before, or an empty string."""


def possible_lines(content: pl.Series, pattern: str) -> Iterator[Line]:
    """Yields the lines that match `pattern` (Rust syntax), long ones in overlapping pieces.

    Lines end at line feeds; a carriage return stays at the end of its line.
    """
    column = content.name
    documents = (
        content.to_frame().with_row_index("row").filter(pl.col(column).str.contains(pattern))
    )
    if documents.is_empty():
        return
    lines = (
        documents.select("row", text=pl.col(column).str.split("\n"))
        .explode("text")
        .with_columns(size=pl.col("text").str.len_chars().cast(pl.Int64) + 1)
        .with_columns(
            start=pl.col("size").cum_sum().over("row") - pl.col("size"),
            number=pl.int_range(1, pl.len() + 1).over("row"),
            previous=pl.col("text").shift(1).over("row").fill_null(""),
        )
        .filter(pl.col("text").str.contains(pattern))
        .select("row", "number", "start", "text", "previous")
    )
    for row, number, start, text, previous in lines.iter_rows():
        if len(text) <= PIECE_CHARS:
            yield Line(row, number, start, text, previous)
            continue
        for cut in range(0, len(text), PIECE_CHARS - PIECE_OVERLAP_CHARS):
            piece = text[cut : cut + PIECE_CHARS]
            yield Line(row, number, start + cut, piece, previous[:PIECE_CHARS])
