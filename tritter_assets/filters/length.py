"""Stage 4: lines, line lengths, size and the share of letters and digits.

Reads content. One compiled pass counts everything (about 1 GB/s). A last line counts whether or not
it ends in a line feed; carriage returns are not characters of a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthConfig:
    """Thresholds of stage 4."""

    min_lines: int
    max_lines: int
    max_average_line_chars: float
    max_line_chars: int
    min_alphanumeric_share: float
    """Letters and digits (any non-ASCII character counts) over all characters, spaces included."""
    max_bytes: int


def judge_length(frame: pl.DataFrame, config: LengthConfig, context: JudgeContext) -> list[Verdict]:
    """Drops documents outside the bounds; the first bound broken, in the order below, counts."""
    from tritter_assets.filters.kernels import with_statistics

    max_bytes = min(config.max_bytes, context.settings.max_document_bytes)
    lines, chars = pl.col("num_lines"), pl.col("num_chars")
    average = chars / lines.clip(1)
    share = pl.col("num_alphanumeric") / chars.clip(1)
    checks = (
        (chars == 0, Reason.EMPTY_CONTENT, pl.lit(0.0), ""),
        (pl.col("num_bytes") > max_bytes, Reason.TOO_LARGE, pl.col("num_bytes"), "{:.0f} bytes"),
        (lines > config.max_lines, Reason.TOO_MANY_LINES, lines, "{:.0f} lines"),
        (lines < config.min_lines, Reason.TOO_FEW_LINES, lines, "{:.0f} lines"),
        (
            average > config.max_average_line_chars,
            Reason.AVERAGE_LINE_TOO_LONG,
            average,
            "average {:.1f} characters",
        ),
        (
            pl.col("longest_line") > config.max_line_chars,
            Reason.LINE_TOO_LONG,
            pl.col("longest_line"),
            "longest {:.0f} characters",
        ),
        (
            share < config.min_alphanumeric_share,
            Reason.TOO_FEW_ALPHANUMERIC,
            share,
            "{:.3f} alphanumeric",
        ),
    )
    first = pl.coalesce(
        pl.when(broken).then(pl.lit(number)) for number, (broken, *_) in enumerate(checks)
    )
    score = pl.coalesce(
        pl.when(broken).then(value.cast(pl.Float64)) for broken, _, value, _ in checks
    )
    broken = with_statistics(frame).select("id", first=first, score=score)
    return [
        Verdict(
            row_id,
            Stage.LENGTH,
            Action.DROP,
            checks[number][1],
            value,
            checks[number][3].format(value),
        )
        for row_id, number, value in broken.drop_nulls("first").iter_rows()
    ]


DEFINITION = StageDefinition(Stage.LENGTH, STAGE_VERSION, LengthConfig, judge_length)
