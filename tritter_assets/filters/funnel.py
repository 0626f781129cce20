"""The funnel: how many documents each stage took out, per source, from stored tables only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tritter_assets.filters.exact_duplicate import read_exact_duplicates
from tritter_assets.filters.near_duplicate import read_near_duplicates
from tritter_assets.filters.semantic_duplicate import read_semantic_duplicates
from tritter_assets.lake import Lake
from tritter_assets.verdict import STAGE_NUMBER, Action, Stage

_INDEX_STAGES = (Stage.EXACT_DUPLICATE, Stage.NEAR_DUPLICATE, Stage.SEMANTIC_DUPLICATE)

RUN_ORDER: tuple[Stage, ...] = (
    *(stage for stage in Stage if stage not in (Stage.INGEST, *_INDEX_STAGES)),
    *_INDEX_STAGES,
)
"""The pass over each shard first, then the indexes over what passed."""


def count_reasons(lake: Lake, sources: Sequence[str]) -> pl.DataFrame:
    """Counts terminal outcomes by source, stage, action and reason.

    Returns:
        Columns source, stage_number, stage, action, reason, num_documents, sorted. Documents that
        passed every stage of the pass are not listed.
    """
    keys = ["source", "stage_number", "stage", "action", "reason"]
    frames: list[pl.DataFrame] = []
    for source in sources:
        if lake.exists(f"verdicts/{source}"):
            terminal = lake.scan(f"verdicts/{source}").filter(
                pl.col("terminal") & (pl.col("action") != Action.KEEP.value)
            )
            frames.append(terminal.group_by(keys).len("num_documents").collect())
    taken: list[pl.DataFrame] = []
    for read in (read_exact_duplicates, read_near_duplicates, read_semantic_duplicates):
        rows = read(lake).filter(pl.col("source").is_in(list(sources)))
        for earlier in taken:
            rows = rows.join(earlier.select("id"), on="id", how="anti")
        taken.append(rows)
        frames.append(rows.group_by(keys).len("num_documents"))
    return pl.concat(frames, how="vertical_relaxed").sort(keys)


def funnel(lake: Lake, source: str) -> pl.DataFrame:
    """Returns documents in and out of each stage of one source, in the order the stages run.

    Returns:
        Columns stage_number, stage, num_in, num_removed, num_out, retention (null when none came).
    """
    total = (
        lake.scan(f"verdicts/{source}").filter(pl.col("terminal")).select(pl.len()).collect().item()
        if lake.exists(f"verdicts/{source}")
        else 0
    )
    removed = dict(
        count_reasons(lake, [source]).group_by("stage").agg(pl.sum("num_documents")).iter_rows()
    )
    return _steps(total, removed, RUN_ORDER)


def pass_funnel(lake: Lake, source: str) -> pl.DataFrame:
    """Returns the same as `funnel` for the pass over shards alone, whatever the indexes say."""
    terminal = lake.scan(f"verdicts/{source}").filter(pl.col("terminal"))
    counts = terminal.group_by("stage", "action").len().collect(engine="streaming")
    dropped = counts.filter(pl.col("action") != Action.KEEP.value)
    stages = [stage for stage in RUN_ORDER if stage not in _INDEX_STAGES]
    removed = dict(dropped.group_by("stage").agg(pl.sum("len")).iter_rows())
    return _steps(int(counts["len"].sum()), removed, stages)


def _steps(total: int, removed: Mapping[str, int], stages: Sequence[Stage]) -> pl.DataFrame:
    rows: list[dict[str, object]] = []
    for stage in stages:
        out = total - int(removed.get(stage.value, 0))
        rows.append(
            {
                "stage_number": STAGE_NUMBER[stage],
                "stage": stage.value,
                "num_in": total,
                "num_removed": total - out,
                "num_out": out,
                "retention": out / total if total else None,
            }
        )
        total = out
    return pl.DataFrame(rows, schema_overrides={"retention": pl.Float64})
