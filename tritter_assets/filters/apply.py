"""Applies the verdicts of a shard once: what passed, with redactions, becomes `filtered/<source>`.

Input `raw/<source>[shard]` and `verdicts/<source>[shard]`, output `filtered/<source>[shard]`
(`record.DOCUMENT_SCHEMA`, sorted by id). The id stays; content, its hash and its size are those of
the redacted text. Overlapping spans become one, which keeps the replacement of the first. What was
redacted in the content is also replaced in the columns that repeat it (instruction, response,
chosen, rejected).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256
from tritter_assets.verdict import Action, Span

STAGE_VERSION = "1"

_REPEATING = ("instruction", "response", "chosen", "rejected")


@dataclass(frozen=True, kw_only=True, slots=True)
class ApplyReport:
    """What was kept and changed; becomes the asset's metadata."""

    source: str
    shard: str
    num_documents_in: int
    num_documents: int
    num_redacted_documents: int
    num_redactions: int
    content_bytes_in: int
    content_bytes: int


def code_version() -> str:
    """Returns the version of this stage; it has no configuration."""
    return f"{STAGE_VERSION}.{fingerprint_of('apply', STAGE_VERSION)}"


def apply_shard(lake: Lake, source: str, shard: str, *, fingerprint: str) -> ApplyReport:
    """Writes the documents of a shard that every stage kept.

    Raises:
        MissingProvenance: raw and verdicts do not cover the same documents, or a document has
            more or fewer than one terminal verdict.
    """
    partition = {"shard": shard}
    kept, spans = _decisions(lake, source, shard)
    numbers: Counter[str] = Counter()
    lake.write(
        f"filtered/{source}",
        _filtered(_sorted_batches(lake, source, shard), kept, spans, numbers),
        DOCUMENT_SCHEMA,
        fingerprint=fingerprint,
        partition=partition,
    )
    return ApplyReport(
        source=source,
        shard=shard,
        num_documents_in=numbers["in"],
        num_documents=numbers["out"],
        num_redacted_documents=len(spans),
        num_redactions=numbers["redactions"],
        content_bytes_in=numbers["bytes_in"],
        content_bytes=numbers["bytes_out"],
    )


def _decisions(
    lake: Lake, source: str, shard: str
) -> tuple[set[str], Mapping[str, tuple[Span, ...]]]:
    verdicts = lake.scan(f"verdicts/{source}").filter(pl.col("shard") == shard)
    terminal = verdicts.filter(pl.col("terminal")).select("id", "action").collect()
    raw = lake.scan(f"raw/{source}").filter(pl.col("shard") == shard).select("id").collect()
    if terminal["id"].n_unique() != terminal.height:
        raise MissingProvenance(
            f"verdicts/{source} shard {shard}: a document has more than one terminal verdict; "
            f"materialise verdicts/{source} again"
        )
    unjudged = raw.join(terminal, on="id", how="anti").height
    unknown = terminal.join(raw, on="id", how="anti").height
    if unjudged or unknown:
        raise MissingProvenance(
            f"verdicts/{source} shard {shard} does not match raw/{source}: {unjudged} documents "
            f"have no verdict, {unknown} verdicts have no document; materialise "
            f"verdicts/{source} again"
        )
    kept = set(terminal.filter(pl.col("action") == Action.KEEP.value)["id"])
    redactions = (
        verdicts.filter(pl.col("action") == Action.REDACT.value).select("id", "spans").collect()
    )
    gathered: dict[str, list[Span]] = {}
    for row_id, found in redactions.iter_rows():
        if row_id in kept:
            gathered.setdefault(row_id, []).extend(
                Span(span["start"], span["end"], span["replacement"]) for span in found or ()
            )
    return kept, {row_id: merge_spans(found) for row_id, found in gathered.items()}


def merge_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Orders spans and joins those that overlap; the first one's replacement stays."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.replacement)):
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Span(last.start, max(last.end, span.end), last.replacement)
        else:
            merged.append(span)
    return tuple(merged)


def redact(content: str, spans: Sequence[Span]) -> str:
    """Writes each span's replacement in its place; spans are ordered and do not overlap.

    Raises:
        MissingProvenance: a span does not lie within the content.
    """
    pieces: list[str] = []
    position = 0
    for span in spans:
        if not position <= span.start <= span.end <= len(content):
            raise MissingProvenance(
                f"redaction {span.start}-{span.end} lies outside a document of {len(content)} "
                "characters: the verdicts were made from another text, make them again"
            )
        pieces += [content[position : span.start], span.replacement]
        position = span.end
    return "".join([*pieces, content[position:]])


def _filtered(
    batches: Iterator[pa.RecordBatch],
    kept: set[str],
    spans: Mapping[str, tuple[Span, ...]],
    numbers: Counter[str],
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        numbers["in"] += batch.num_rows
        keep = [row_id in kept for row_id in batch.column("id").to_pylist()]
        numbers["bytes_in"] += sum(batch.column("content_bytes").to_pylist())
        passed = batch.filter(pa.array(keep, pa.bool_()))
        numbers["out"] += passed.num_rows
        if passed.num_rows == 0:
            continue
        redacted = _redacted(passed, spans, numbers)
        numbers["bytes_out"] += sum(redacted.column("content_bytes").to_pylist())
        yield redacted


def _redacted(
    batch: pa.RecordBatch, spans: Mapping[str, tuple[Span, ...]], numbers: Counter[str]
) -> pa.RecordBatch:
    ids = batch.column("id").to_pylist()
    touched = [number for number, row_id in enumerate(ids) if row_id in spans]
    if not touched:
        return batch
    columns = {
        name: batch.column(name).to_pylist()
        for name in ("content", "content_sha256", "content_bytes", *_REPEATING)
    }
    for number in touched:
        found = spans[ids[number]]
        before = columns["content"][number]
        after = redact(before, found)
        numbers["redactions"] += len(found)
        columns["content"][number] = after
        columns["content_sha256"][number] = content_sha256(after)
        columns["content_bytes"][number] = len(after.encode())
        # Longest first, so that a part of a secret never breaks the search for the whole.
        originals = sorted(
            {
                (before[span.start : span.end], span.replacement)
                for span in found
                if span.end > span.start
            },
            key=lambda pair: (-len(pair[0]), pair),
        )
        for name in _REPEATING:
            text = columns[name][number]
            if text is not None:
                for original, replacement in originals:
                    text = text.replace(original, replacement)
                columns[name][number] = text
    for name, values in columns.items():
        place = batch.schema.get_field_index(name)
        field = batch.schema.field(place)
        batch = batch.set_column(place, field, pa.array(values, field.type))
    return batch


def _sorted_batches(lake: Lake, source: str, shard: str) -> Iterator[pa.RecordBatch]:
    """Streams raw rows by id; only a shard that is not stored in that order is held whole."""
    table = f"raw/{source}"
    order = lake.scan(table).filter(pl.col("shard") == shard).select("id").collect()["id"]
    if order.is_sorted():
        yield from lake.batches(table, partition={"shard": shard})
        return
    rows = lake.dataset(table).to_table(filter=pa.compute.field("shard") == shard)  # type: ignore[attr-defined]
    yield from rows.sort_by("id").to_batches(max_chunksize=1024)
