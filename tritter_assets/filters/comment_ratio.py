"""Stage 9: the share of comments and docstrings in code.

The brief calls 5-30 % optimal; that is a preference for a mix, not a ground to throw code away. So
the share is stored as the score of a `keep` row for every document that was measured, and only
documents outside wide bounds are dropped. Comments are found by a compiled lexer (see
`kernels.comment_bytes`): tree-sitter parses 7 MB/s here, the lexer does over 300.

Reads content, language. Blind spot: languages without a lexer family have no score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from tritter_assets.filters import comment_kernels as k
from tritter_assets.filters import slash_comments as c
from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.kernels import ByteColumn, compiled
from tritter_assets.sources.language import language_name
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "2"
"""2: lexers of C++, C#, Java, JavaScript, PHP, Ruby, shell of their own."""

Kernel = Callable[..., None]

_SYNTAXES: dict[str, tuple[Kernel, int]] = {
    **dict.fromkeys(("python", "cython", "starlark"), (k.python_comments, 0)),
    "rust": (c.slash_comments, c.NESTED | c.RUST),
    **dict.fromkeys(("c", "cuda", "objective-c"), (c.slash_comments, 0)),
    "cpp": (c.slash_comments, c.CPP_RAW),
    "csharp": (c.slash_comments, c.TRIPLE | c.VERBATIM),
    "java": (c.slash_comments, c.TRIPLE),
    "go": (c.slash_comments, c.GO_RAW),
    **dict.fromkeys(("javascript", "typescript", "tsx", "jsx"), (c.slash_comments, c.SCRIPT)),
    **dict.fromkeys(("kotlin", "scala", "swift"), (c.slash_comments, c.NESTED | c.TRIPLE)),
    "dart": (c.slash_comments, c.NESTED | c.TRIPLE),
    "php": (c.slash_comments, c.PHP),
    "shell": (k.hash_comments, k.SHELL),
    "ruby": (k.hash_comments, k.RUBY),
    "julia": (k.hash_comments, k.JULIA),
    **dict.fromkeys(("perl", "r", "makefile", "dockerfile"), (k.hash_comments, 0)),
}
"""Language (our name) -> lexer and its options."""


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
    counts = comment_shares(frame)
    verdicts: list[Verdict] = []
    for row_id, comment, total in counts.iter_rows():
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


def comment_shares(frame: pl.DataFrame) -> pl.DataFrame:
    """Counts the comments of documents whose language has a lexer.

    Returns:
        Columns id, comment_bytes, visible_bytes; white space is in neither.
    """
    syntaxes = [_SYNTAXES.get(language_name(name or "")) for name in frame["language"]]
    rows = [number for number, syntax in enumerate(syntaxes) if syntax is not None]
    if not rows:
        schema = {"id": pl.String, "comment_bytes": pl.Int64, "visible_bytes": pl.Int64}
        return pl.DataFrame(schema=schema)
    column = ByteColumn.of(frame["content"])
    comments = np.zeros(frame.height, np.int64)
    for syntax in dict.fromkeys(syntaxes):
        if syntax is not None:
            kernel, options = syntax
            chosen = np.array([n for n in rows if syntaxes[n] == syntax], np.int64)
            compiled(kernel)(column.data, column.offsets, chosen, np.int64(options), comments)
    visible = compiled(k.visible_bytes)(column.data, column.offsets)
    return pl.DataFrame({"id": frame["id"], "comment_bytes": comments, "visible_bytes": visible})[
        rows
    ]


DEFINITION = StageDefinition(
    Stage.COMMENT_RATIO, STAGE_VERSION, CommentRatioConfig, judge_comment_ratio
)
