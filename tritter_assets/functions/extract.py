"""Cuts the functions of one language out of filtered documents.

    in    filtered/<source>[shard]: documents of the language
    out   functions/<language>[source, shard]: FUNCTION_SCHEMA, sorted by id

| column | meaning |
|---|---|
| (document columns) | the function as a code document; `path` and licence are the parent's |
| name, qualified_name | `join`, `PurePath.join` |
| docstring | cleaned documentation, null when there is none |
| start_line, end_line | in the parent, from 1, documentation and decorators included |

Invariant: `derived_from` names the parent, and the licence is the parent's. Cost: 6 MB/s a core,
nine tenths of it the parser; memory is the functions of one shard, held once. Blind spots: see
`outline`; a document longer than `grammar.MAX_SOURCE_BYTES` is counted and not parsed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import ContractViolation
from tritter_assets.functions.grammar import (
    GRAMMARS,
    LANGUAGES,
    MATCH_LIMIT,
    MAX_BROKEN_CHILDREN,
    MAX_SOURCE_BYTES,
)
from tritter_assets.functions.inherit import PARENT_COLUMNS, child_row
from tritter_assets.functions.outline import outline, source_of
from tritter_assets.functions.shards import FingerprintOfShard, stale_shards
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, Modality

__all__ = ["FUNCTION_SCHEMA", "LANGUAGES", "FunctionReport", "code_version", "extract_functions"]

STAGE_VERSION = "1"

MIN_FUNCTION_BYTES = 24
MAX_FUNCTION_BYTES = 32 << 10
"""Longer ones are tables in disguise; one in 20,000 functions of the starter is longer."""

_WRITE_ROWS = 1024

FUNCTION_SCHEMA = pa.schema(
    [
        *DOCUMENT_SCHEMA,
        pa.field("name", pa.string(), nullable=False),
        pa.field("qualified_name", pa.string(), nullable=False),
        pa.field("docstring", pa.large_string()),
        pa.field("start_line", pa.int32(), nullable=False),
        pa.field("end_line", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionReport:
    """What one run of `extract_functions` did; fresh shards were left as they are."""

    language: str
    num_shards: int
    num_fresh: int
    num_documents: int = 0
    num_functions: int = 0
    num_documented: int = 0
    content_bytes: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why something gave no row -> how many: `duplicate_document`, `unreadable_document`,
    `broken_function`, `short_function`, `long_function`."""


def code_version(language: str) -> str:
    """Returns the version of everything that decides which functions are found, and how."""
    grammar = GRAMMARS[language]
    literals = (grammar.query, grammar.separator, grammar.doc_starts, sorted(grammar.names))
    bounds = (
        MIN_FUNCTION_BYTES,
        MAX_FUNCTION_BYTES,
        MAX_SOURCE_BYTES,
        MATCH_LIMIT,
        MAX_BROKEN_CHILDREN,
    )
    return f"{STAGE_VERSION}.{fingerprint_of(literals, bounds)}"


def extract_functions(
    lake: Lake,
    language: str,
    inputs: Sequence[ShardInput],
    *,
    fingerprint_of_shard: FingerprintOfShard,
    dropped: frozenset[str] = frozenset(),
) -> FunctionReport:
    """Writes `functions/<language>` for every shard that is not fresh.

    Args:
        lake: Holds `filtered/<source>`.
        language: Key of `LANGUAGES`.
        inputs: Shards to read.
        fingerprint_of_shard: What a shard's rows are made from: this code version, the shard's
            data version, and `dropped` if it is given.
        dropped: Ids of documents that a duplicate index dropped; they give no functions.

    Raises:
        ContractViolation: the language has no grammar.
        MissingProvenance: an input shard was never filtered.
    """
    if language not in GRAMMARS:
        raise ContractViolation(
            f"no grammar for {language!r}: use one of {', '.join(LANGUAGES)} or add it to GRAMMARS"
        )
    table = f"functions/{language}"
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for shard in stale_shards(lake, table, inputs, fingerprint_of_shard, counts):
        parts = []
        for documents in _documents(lake, shard.item, language, dropped, skipped):
            rows = [
                row
                for document in documents.iter_rows(named=True)
                for row in _functions_of(language, document, skipped)
            ]
            counts["documents"] += documents.height
            counts["documented"] += sum(row["docstring"] is not None for row in rows)
            counts["bytes"] += sum(row["content_bytes"] for row in rows)
            parts.append(pa.Table.from_pylist(rows, schema=FUNCTION_SCHEMA))
        counts["functions"] += sum(part.num_rows for part in parts)
        shard.write(sorted_by_id(parts, FUNCTION_SCHEMA), FUNCTION_SCHEMA)
    return FunctionReport(
        language=language,
        num_shards=len(inputs),
        num_fresh=counts["fresh"],
        num_documents=counts["documents"],
        num_functions=counts["functions"],
        num_documented=counts["documented"],
        content_bytes=counts["bytes"],
        skipped=dict(sorted(skipped.items())),
    )


def sorted_by_id(parts: Sequence[pa.Table], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yields the rows of `parts` in order of id, a thousand at a time, without copying the whole.

    Rows with an id that came before are left out: two equal functions at one anchor are one row.
    """
    if not parts:
        return
    whole = pa.concat_tables(parts)
    ids = pl.Series(whole.column("id"))
    order = ids.arg_sort()
    sorted_ids = ids.gather(order)
    order = order.filter((sorted_ids != sorted_ids.shift(1)).fill_null(value=True))
    for start in range(0, len(order), _WRITE_ROWS):
        chosen = pa.array(order[start : start + _WRITE_ROWS].to_numpy())
        yield from whole.take(chosen).cast(schema).combine_chunks().to_batches()


def _documents(
    lake: Lake,
    item: ShardInput,
    language: str,
    dropped: frozenset[str],
    skipped: Counter[str],
) -> Iterator[pl.DataFrame]:
    """Streams the documents of the language that are not duplicates."""
    names = sorted(GRAMMARS[language].names)
    batches = lake.batches(
        f"filtered/{item.source}", partition={"shard": item.shard}, columns=list(PARENT_COLUMNS)
    )
    for batch in batches:
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        frame = frame.filter(
            (pl.col("modality") == Modality.CODE)
            & pl.col("language").str.to_lowercase().is_in(names)
        )
        if dropped:
            kept = frame.filter(~pl.col("id").is_in(list(dropped)))
            skipped["duplicate_document"] += frame.height - kept.height
            frame = kept
        if frame.height:
            yield frame


def _functions_of(
    language: str, document: Mapping[str, Any], skipped: Counter[str]
) -> Iterator[dict[str, Any]]:
    source = document["content"].encode("utf-8", "surrogatepass")
    found = outline(language, source)
    if found is None:
        skipped["unreadable_document"] += 1
        return
    if found.num_broken:
        skipped["broken_function"] += found.num_broken
    for function in found.functions:
        length = function.end_byte - function.start_byte
        if not MIN_FUNCTION_BYTES <= length <= MAX_FUNCTION_BYTES:
            skipped["short_function" if length < MIN_FUNCTION_BYTES else "long_function"] += 1
            continue
        yield child_row(
            document,
            anchor=f"{function.qualified_name}:{function.start_line}",
            content=source_of(source, function),
            modality=Modality.CODE,
            name=function.name,
            qualified_name=function.qualified_name,
            docstring=function.docstring or None,
            start_line=function.start_line,
            end_line=function.end_line,
        )
