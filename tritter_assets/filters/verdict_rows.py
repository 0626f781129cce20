"""Verdicts as rows of `verdict.VERDICT_SCHEMA`: one mapping for people, whole columns for tables.

A table is made column by column: row by row it cost a tenth of the whole pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from tritter_assets.sources.ledger import LEDGER_VERSION
from tritter_assets.verdict import STAGE_NUMBER, VERDICT_SCHEMA, Action, Stage, Verdict

_SPANS = pl.Schema(VERDICT_SCHEMA)["spans"]
_ORDER = [("id", "ascending"), ("stage_number", "ascending"), ("reason", "ascending")]


class Judged(NamedTuple):
    """A verdict, whether it settles its document, and the version of its stage."""

    verdict: Verdict
    terminal: bool
    version: str


def as_mapping(judged: Judged) -> dict[str, Any]:
    """Returns the stored form of a verdict, without source and shard."""
    verdict = judged.verdict
    return {
        "id": verdict.id,
        "stage": verdict.stage.value,
        "stage_number": STAGE_NUMBER[verdict.stage],
        "action": verdict.action.value,
        "reason": verdict.reason.value,
        "terminal": judged.terminal,
        "score": verdict.score,
        "evidence": verdict.evidence,
        "spans": [
            {"start": span.start, "end": span.end, "replacement": span.replacement}
            for span in verdict.spans
        ],
        "stage_version": judged.version,
    }


def verdict_table(rows: Sequence[Judged], source: str, shard: str) -> pa.Table:
    """Returns rows of `VERDICT_SCHEMA`, ordered by document, stage and reason."""
    verdicts = [row.verdict for row in rows]
    spans = list(chain.from_iterable(verdict.spans for verdict in verdicts))
    span_fields = VERDICT_SCHEMA.field("spans").type.value_type
    columns: dict[str, Any] = {
        "id": [verdict.id for verdict in verdicts],
        "source": pa.repeat(pa.scalar(source), len(rows)),
        "shard": pa.repeat(pa.scalar(shard), len(rows)),
        "stage": [verdict.stage.value for verdict in verdicts],
        "stage_number": [STAGE_NUMBER[verdict.stage] for verdict in verdicts],
        "action": [verdict.action.value for verdict in verdicts],
        "reason": [verdict.reason.value for verdict in verdicts],
        "terminal": [row.terminal for row in rows],
        "score": [verdict.score for verdict in verdicts],
        "evidence": [verdict.evidence for verdict in verdicts],
        "spans": pa.ListArray.from_arrays(
            pa.array(accumulate((len(v.spans) for v in verdicts), initial=0), pa.int32()),
            pa.StructArray.from_arrays(
                [
                    pa.array([span.start for span in spans], pa.int32()),
                    pa.array([span.end for span in spans], pa.int32()),
                    pa.array([span.replacement for span in spans], pa.string()),
                ],
                fields=list(span_fields),
            ),
            type=VERDICT_SCHEMA.field("spans").type,
        ),
        "stage_version": [row.version for row in rows],
    }
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, field.type)
        for field, values in ((field, columns[field.name]) for field in VERDICT_SCHEMA)
    ]
    return ordered(pa.Table.from_arrays(arrays, schema=VERDICT_SCHEMA))


def skipped_table(ledger: pl.DataFrame) -> pa.Table:
    """Returns verdicts of what ingestion could not read, in the ledger's order."""
    rows = ledger.select(
        "id",
        "source",
        "shard",
        "reason",
        stage=pl.lit(Stage.INGEST.value),
        stage_number=pl.lit(STAGE_NUMBER[Stage.INGEST], pl.Int8),
        action=pl.lit(Action.DROP.value),
        terminal=pl.lit(value=False),
        score=pl.lit(None, pl.Float32),
        evidence=pl.col("detail"),
        spans=pl.lit([], _SPANS),
        stage_version=pl.lit(LEDGER_VERSION),
    )
    return rows.select(VERDICT_SCHEMA.names).to_arrow().cast(VERDICT_SCHEMA)


def merged(first: pa.Table, second: pa.Table) -> pa.Table:
    """Returns the rows of both in the table's order."""
    return ordered(pa.concat_tables([first, second])) if second.num_rows else first


def ordered(rows: pa.Table) -> pa.Table:
    """Returns the rows by document, stage and reason."""
    return rows.sort_by(_ORDER)
