"""Stage 7: HTML must show text, JSON and YAML must be of a readable size. Reads content, language.

Visible text is what remains after comments, `script`, `style`, `head` and tags are taken out, over
all characters, white space runs counted as one. Rust's regular expressions: linear time.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"

_HIDDEN = (
    r"(?is)<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>|<head\b.*?</head\s*>|<[^>]*>"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageSpecificConfig:
    """Thresholds of stage 7."""

    html_languages: tuple[str, ...]
    min_visible_share: float
    min_visible_chars: int
    data_languages: tuple[str, ...]
    min_data_chars: int
    max_data_chars: int


def judge_language_specific(
    frame: pl.DataFrame, config: LanguageSpecificConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops HTML with little visible text, and JSON and YAML that are too short or too long."""
    del context
    language = pl.col("language").fill_null("").str.to_lowercase()
    chars = pl.col("content").str.len_chars()
    verdicts: list[Verdict] = []
    html = frame.filter(language.is_in([name.lower() for name in config.html_languages]))
    if not html.is_empty():
        squeezed = pl.col("content").str.replace_all(r"\s+", " ")
        visible = squeezed.str.replace_all(_HIDDEN, " ").str.replace_all(r"\s+", " ")
        visible_chars = visible.str.strip_chars().str.len_chars()
        shares = html.select(
            "id", visible=visible_chars, share=visible_chars / squeezed.str.len_chars().clip(1)
        ).filter(
            (pl.col("share") < config.min_visible_share)
            | (pl.col("visible") < config.min_visible_chars)
        )
        verdicts += [
            Verdict(
                row_id,
                Stage.LANGUAGE_SPECIFIC,
                Action.DROP,
                Reason.LITTLE_VISIBLE_TEXT,
                share,
                f"{visible} visible characters, {share:.3f} of all",
            )
            for row_id, visible, share in shares.iter_rows()
        ]
    data = frame.filter(language.is_in([name.lower() for name in config.data_languages])).select(
        "id", chars=chars
    )
    for row_id, length in data.iter_rows():
        if config.min_data_chars <= length <= config.max_data_chars:
            continue
        reason = Reason.DATA_TOO_SHORT if length < config.min_data_chars else Reason.DATA_TOO_LONG
        verdicts.append(
            Verdict(
                row_id,
                Stage.LANGUAGE_SPECIFIC,
                Action.DROP,
                reason,
                float(length),
                f"{length} characters",
            )
        )
    return verdicts


DEFINITION = StageDefinition(
    Stage.LANGUAGE_SPECIFIC, STAGE_VERSION, LanguageSpecificConfig, judge_language_specific
)
