"""Stage 9: the share of comments and docstrings in code.

The brief calls 5-30 % optimal; that is a preference for a mix, not a ground to throw code away. So
the share is stored as the score of a `keep` row for every document that was measured, and only
documents outside wide bounds are dropped. Comments are found by a compiled lexer (see
`kernels.comment_bytes`): tree-sitter parses 7 MB/s here, the lexer does over 300.

Reads content, language. Blind spot: languages without a lexer family have no score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"

FAMILIES: dict[str, int] = {
    "python": 1, "cython": 1, "starlark": 1,
    "rust": 2, "c": 2, "c++": 2, "c#": 2, "java": 2, "javascript": 2, "typescript": 2, "go": 2,
    "kotlin": 2, "scala": 2, "swift": 2, "cuda": 2, "tsx": 2, "jsx": 2, "php": 2, "dart": 2,
    "shell": 3, "ruby": 3, "perl": 3, "r": 3, "julia": 3, "makefile": 3, "dockerfile": 3,
}  # fmt: skip
"""Language in lower case -> lexer family."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommentRatioConfig:
    """Thresholds of stage 9. Shares are bytes in comments over bytes that are not white space."""

    min_share: float
    max_share: float
    min_bytes: int
    """Smaller documents are scored but never dropped: their share says little."""
    record_score: bool
    """Whether a document that passes gets a `keep` row with its share."""


def judge_comment_ratio(
    frame: pl.DataFrame, config: CommentRatioConfig, context: JudgeContext
) -> list[Verdict]:
    """Scores code by its share of comments; drops what lies outside the bounds."""
    del context
    languages = frame["language"].fill_null("").str.to_lowercase()
    families = np.array([FAMILIES.get(language, 0) for language in languages], np.int64)
    if not families.any():
        return []
    from tritter_assets.filters.kernels import ByteColumn, comment_bytes, compiled

    column = ByteColumn.of(frame["content"])
    counts = compiled(comment_bytes)(column.data, column.offsets, families)
    verdicts: list[Verdict] = []
    for index, row_id in enumerate(frame["id"]):
        if not families[index]:
            continue
        comment, total = int(counts[index, 0]), int(counts[index, 1])
        share = comment / max(total, 1)
        action, reason = Action.KEEP, Reason.PASSED
        if total >= config.min_bytes:
            if share < config.min_share:
                action, reason = Action.DROP, Reason.TOO_FEW_COMMENTS
            elif share > config.max_share:
                action, reason = Action.DROP, Reason.TOO_MANY_COMMENTS
        if action is Action.DROP or config.record_score:
            verdicts.append(
                Verdict(row_id, Stage.COMMENT_RATIO, action, reason, share, f"{share:.3f}")
            )
    return verdicts


DEFINITION = StageDefinition(
    Stage.COMMENT_RATIO, STAGE_VERSION, CommentRatioConfig, judge_comment_ratio
)
