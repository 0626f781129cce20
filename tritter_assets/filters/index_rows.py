"""Reads rows of a global duplicate index as verdicts of the stages 5, 6 and 15.

The indexes decide after the pass, over all sources at once; nothing is judged here. Of their
columns, id, source, shard, cluster_id, kept_id, score, action and reason are read.
"""

from __future__ import annotations

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.verdict import STAGE_NUMBER, Action, Stage

INDEX_VERDICT_COLUMNS = (
    "id", "source", "shard", "stage", "stage_number", "action", "reason", "score", "evidence"
)  # fmt: skip


def verdicts_of_index(lake: Lake, table: str, stage: Stage) -> pl.DataFrame:
    """Returns one row per document that the index drops or quarantines; empty without the index."""
    if not lake.exists(table):
        numbers = {"stage_number": pl.Int8(), "score": pl.Float32()}
        columns = {name: numbers.get(name, pl.String()) for name in INDEX_VERDICT_COLUMNS}
        return pl.DataFrame(schema=pl.Schema(columns))
    return (
        lake.scan(table)
        .filter(pl.col("action") != Action.KEEP.value)
        .select(
            "id",
            "source",
            "shard",
            stage=pl.lit(stage.value),
            stage_number=pl.lit(STAGE_NUMBER[stage], pl.Int8),
            action="action",
            reason="reason",
            score=pl.col("score").cast(pl.Float32),
            evidence=pl.concat_str(
                pl.lit("cluster "), pl.col("cluster_id"), pl.lit(", kept "),
                pl.col("kept_id").fill_null("none"),
            ),
        )
        .sort("id")
        .collect()
    )  # fmt: skip
