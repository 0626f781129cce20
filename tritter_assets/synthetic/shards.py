"""What every generator shares: shards in, sorted rows out, fresh shards left alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.functions.extract import sorted_by_id
from tritter_assets.functions.grammar import GRAMMARS
from tritter_assets.functions.inherit import PARENT_COLUMNS
from tritter_assets.functions.shards import FingerprintOfShard, stale_shards
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA, Modality

FUNCTION_COLUMNS: tuple[str, ...] = (
    *PARENT_COLUMNS,
    "name",
    "qualified_name",
    "docstring",
    "start_line",
)
"""Columns of `functions/<language>` that generators read."""

Row = Mapping[str, Any]
MakeRows = Callable[[str, Row, Counter[str]], Iterator[dict[str, Any]]]
"""(language, parent row, counter of reasons) -> child rows."""
Parents = Callable[[Lake, ShardInput], Iterator[tuple[str, pl.DataFrame]]]
"""(lake, shard) -> the shard's parents, as (language, frame)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticReport:
    """What one run of a generator did; fresh shards were left as they are."""

    generator: str
    num_shards: int
    num_fresh: int
    num_parents: int = 0
    num_rows: int = 0
    content_bytes: int = 0
    licences: Mapping[str, int] = field(default_factory=dict)
    """Concluded expression -> rows."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Why a parent gave no row, or which kind of row it gave -> how many."""


def write_synthetic(
    lake: Lake,
    generator: str,
    inputs: Sequence[ShardInput],
    *,
    make_rows: MakeRows,
    parents: Parents,
    fingerprint_of_shard: FingerprintOfShard,
) -> SyntheticReport:
    """Writes `synthetic/<generator>` for every shard that is not fresh.

    Args:
        lake: The lake.
        generator: Name of the generator.
        inputs: Shards of the sources whose rows are parents.
        make_rows: Makes the children of one parent; must depend on nothing else.
        parents: Streams a shard's parents as (language, frame).
        fingerprint_of_shard: What a shard's rows are made from.
    """
    table = f"synthetic/{generator}"
    counts: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    for shard in stale_shards(lake, table, inputs, fingerprint_of_shard, counts):
        parts = []
        for language, frame in parents(lake, shard.item):
            counts["parents"] += frame.height
            rows = [
                row
                for parent in frame.iter_rows(named=True)
                for row in make_rows(language, parent, outcomes)
            ]
            licences.update(row["license_concluded"] for row in rows)
            counts["bytes"] += sum(row["content_bytes"] for row in rows)
            parts.append(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA))
        state = shard.write(sorted_by_id(parts, DOCUMENT_SCHEMA), DOCUMENT_SCHEMA)
        counts["rows"] += state.num_rows
    return SyntheticReport(
        generator=generator,
        num_shards=len(inputs),
        num_fresh=counts["fresh"],
        num_parents=counts["parents"],
        num_rows=counts["rows"],
        content_bytes=counts["bytes"],
        licences=dict(sorted(licences.items())),
        outcomes=dict(sorted(outcomes.items())),
    )


def function_parents(
    *languages: str, worth_reading: Callable[[str], pl.Expr] | None = None
) -> Parents:
    """Returns a reader of `functions/<language>` rows of a shard.

    Args:
        *languages: Languages to read.
        worth_reading: Makes a cheap condition on rows for a language. What does not hold makes no
            row and is not counted; most functions need not become Python objects to say so.
    """

    def parents(lake: Lake, item: ShardInput) -> Iterator[tuple[str, pl.DataFrame]]:
        partition = {"source": item.source, "shard": item.shard}
        for language in languages:
            table = f"functions/{language}"
            # A source without this language has no such partition; that is not a gap.
            if lake.state(table, partition) is None:
                continue
            columns = list(FUNCTION_COLUMNS)
            for batch in lake.batches(table, partition=partition, columns=columns):
                frame = pl.DataFrame(batch)
                yield language, frame.filter(worth_reading(language)) if worth_reading else frame

    return parents


def document_parents(
    *languages: str, modality: Modality = Modality.CODE, columns: Sequence[str] = ()
) -> Parents:
    """Returns a reader of the documents of one modality of a shard of `filtered/<source>`.

    Args:
        *languages: Languages to read; a document's own name for one may be any its grammar knows.
        modality: Of the documents.
        columns: Further columns, beside those that every child takes over.
    """

    def parents(lake: Lake, item: ShardInput) -> Iterator[tuple[str, pl.DataFrame]]:
        table, partition = f"filtered/{item.source}", {"shard": item.shard}
        if lake.state(table, partition) is None:
            return
        wanted = [*PARENT_COLUMNS, *columns]
        for batch in lake.batches(table, partition=partition, columns=wanted):
            frame = pl.DataFrame(batch).filter(pl.col("modality") == modality)
            for language in languages:
                names = sorted(GRAMMARS[language].names) if language in GRAMMARS else [language]
                chosen = frame.filter(pl.col("language").str.to_lowercase().is_in(names))
                if chosen.height:
                    yield language, chosen

    return parents


def choose(options: Sequence[str], *key: Any) -> str:
    """Picks one option by a hash of `key`: the same on every machine and in any order."""
    digest = hashlib.sha256("\0".join(str(part) for part in key).encode()).digest()
    return options[int.from_bytes(digest[:8]) % len(options)]


def fenced(language: str, code: str) -> str:
    """Returns code in a Markdown block whose fence is longer than any run of backticks in it."""
    runs = [run for run in code.split() if set(run) == {"`"}] if "`" in code else []
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    if "```" in code and len(fence) == 3:
        fence = "````"
    word = GRAMMARS[language].fence if language in GRAMMARS else language
    return f"{fence}{word}\n{code}\n{fence}"
