"""Cuts a shard into pieces of bounded size and judges one; what a worker does.

A piece is judged alike whoever judges it, and pieces are cut by the documents alone, so what is
stored does not depend on the number of workers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.contracts.profile import Profile
from tritter_assets.contracts.source import SourceContract
from tritter_assets.filters.context import make_context
from tritter_assets.filters.contract import JudgeContext
from tritter_assets.filters.run_stages import judge_documents
from tritter_assets.filters.verdict_rows import verdict_table
from tritter_assets.verdict import Action

PIECE_BYTES = 16 << 20
"""Content of a piece; one larger document is a piece of its own."""

PIECE_ROWS = 32_768
"""Bound for rows of a few hundred bytes. A piece costs some 20 ms beside its content."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassInputs:
    """What a process needs to judge pieces of one shard."""

    source: str
    shard: str
    contract: SourceContract
    policy: Policy
    profile: Profile
    removals: pl.DataFrame
    cache: Path | None

    def context(self) -> JudgeContext:
        """Gathers thresholds, rules and benchmarks; some seconds in a new process."""
        return make_context(
            self.contract, self.policy, self.profile, self.removals, cache=self.cache
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedPiece:
    """Verdicts of a piece and what the report counts."""

    table: pa.Table
    first_id: str
    last_id: str
    num_documents: int
    content_bytes: int
    terminal_by_reason: Counter[str]
    redactions_by_reason: Counter[str]
    seconds_by_stage: dict[str, float] = field(default_factory=dict)


def cut(batches: Iterable[pa.RecordBatch | pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Joins and cuts batches into pieces of about `PIECE_BYTES`, in their order."""
    waiting: list[pl.DataFrame] = []
    num_bytes, num_rows = 0, 0
    for batch in batches:
        frame = pl.DataFrame(batch)
        start = 0
        for number, size in enumerate(frame["content"].str.len_bytes()):
            if num_rows and (num_bytes + size > PIECE_BYTES or num_rows == PIECE_ROWS):
                yield pl.concat([*waiting, frame.slice(start, number - start)])
                waiting, start, num_bytes, num_rows = [], number, 0, 0
            num_bytes += size
            num_rows += 1
        waiting.append(frame.slice(start))
    if num_rows:
        yield pl.concat(waiting)


def judge_piece(piece: pl.DataFrame, context: JudgeContext, source: str, shard: str) -> JudgedPiece:
    """Judges the documents of one piece."""
    seconds: dict[str, float] = {}
    rows = judge_documents(piece, context, timer=seconds)
    reasons: Counter[str] = Counter()
    redactions: Counter[str] = Counter()
    for verdict, terminal, _ in rows:
        if terminal:
            kept = verdict.action is Action.KEEP
            reasons["passed" if kept else f"{verdict.stage}/{verdict.reason}"] += 1
        elif verdict.action is Action.REDACT:
            redactions[verdict.reason.value] += len(verdict.spans)
    return JudgedPiece(
        table=verdict_table(rows, source, shard),
        first_id=str(piece["id"].min()),
        last_id=str(piece["id"].max()),
        num_documents=piece.height,
        content_bytes=int(piece["content"].str.len_bytes().sum()),
        terminal_by_reason=reasons,
        redactions_by_reason=redactions,
        seconds_by_stage=seconds,
    )
