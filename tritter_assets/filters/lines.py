"""Lines that a cheap pattern cannot rule out.

The slow detectors (Python regular expressions, entropy, checksums) see only lines that a Rust
expression, linear in time and looser than the detector, has let through. Rust searches about
400 MB/s a core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    matched: int
    """Bit i is set when pattern i matches the line."""


def possible_lines(content: pl.Series, patterns: Sequence[str]) -> Iterator[Line]:
    """Yields the lines that match any of `patterns` (Rust syntax), long ones in pieces.

    The patterns are searched one after the other: joined into one, 26 of them outgrow the cache of
    Rust's lazy automaton and run 9 times slower (measured). Lines end at line feeds; a carriage
    return stays at the end of its line.
    """
    column = pl.col(content.name)
    documents = content.to_frame().with_row_index("row")
    masks = [documents.select(column.str.contains(pattern)).to_series() for pattern in patterns]
    present = [number for number, mask in enumerate(masks) if mask.any()]
    if not present:
        return
    any_mask = masks[0]
    for mask in masks[1:]:
        any_mask = any_mask | mask
    bits = [
        pl.col("text").str.contains(patterns[number]).cast(pl.Int64) * (1 << number)
        for number in present
    ]
    lines = (
        documents.filter(any_mask)
        .select("row", text=column.str.split("\n"))
        .explode("text")
        .with_columns(size=pl.col("text").str.len_chars().cast(pl.Int64) + 1)
        .with_columns(
            start=pl.col("size").cum_sum().over("row") - pl.col("size"),
            number=pl.int_range(1, pl.len() + 1).over("row"),
            previous=pl.col("text").shift(1).over("row").fill_null(""),
            matched=pl.sum_horizontal(bits),
        )
        .filter(pl.col("matched") > 0)
        .select("row", "number", "start", "text", "previous", "matched")
    )
    for row, number, start, text, previous, matched in lines.iter_rows():
        if len(text) <= PIECE_CHARS:
            yield Line(row, number, start, text, previous, matched)
            continue
        for cut in range(0, len(text), PIECE_CHARS - PIECE_OVERLAP_CHARS):
            piece = text[cut : cut + PIECE_CHARS]
            yield Line(row, number, start + cut, piece, previous[:PIECE_CHARS], matched)
