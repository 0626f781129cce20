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
    from tritter_assets.filters.kernels import ByteColumn, compiled, text_statistics

    column = ByteColumn.of(frame["content"])
    counts = compiled(text_statistics)(column.data, column.offsets)
    max_bytes = min(config.max_bytes, context.settings.max_document_bytes)
    verdicts: list[Verdict] = []
    for index, row_id in enumerate(frame["id"]):
        size = int(column.offsets[index + 1] - column.offsets[index])
        lines, chars, longest, alphanumeric = (int(value) for value in counts[index, :4])
        average = chars / max(lines, 1)
        share = alphanumeric / max(chars, 1)
        checks = (
            (chars == 0, Reason.EMPTY_CONTENT, 0.0, ""),
            (size > max_bytes, Reason.TOO_LARGE, float(size), f"{size} bytes"),
            (lines > config.max_lines, Reason.TOO_MANY_LINES, float(lines), f"{lines} lines"),
            (lines < config.min_lines, Reason.TOO_FEW_LINES, float(lines), f"{lines} lines"),
            (
                average > config.max_average_line_chars,
                Reason.AVERAGE_LINE_TOO_LONG,
                average,
                f"average {average:.1f} characters",
            ),
            (
                longest > config.max_line_chars,
                Reason.LINE_TOO_LONG,
                float(longest),
                f"longest {longest} characters",
            ),
            (
                share < config.min_alphanumeric_share,
                Reason.TOO_FEW_ALPHANUMERIC,
                share,
                f"{share:.3f} alphanumeric",
            ),
        )
        for broken, reason, score, evidence in checks:
            if broken:
                verdicts.append(Verdict(row_id, Stage.LENGTH, Action.DROP, reason, score, evidence))
                break
    return verdicts


DEFINITION = StageDefinition(Stage.LENGTH, STAGE_VERSION, LengthConfig, judge_length)
