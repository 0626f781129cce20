"""Stage 8: lock files, minified files, generator markers and vendored copies.

Reads path, language and content. go-enry's `is_generated` knows many generators; our own markers
count in comments among the first `head_chars` only (`generated_markers`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.generated_markers import find_marker
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "3"
"""3: markers count in comments.
2: names that tools give; sentences count at the start of a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedConfig:
    """Lists and thresholds of stage 8."""

    lock_names: tuple[str, ...]
    generated_names: tuple[str, ...]
    """Regular expressions of file names (folders left off), matched in lower case."""
    markers: tuple[str, ...]
    """Regular expressions in the syntax common to Rust and Python, matched line by line without
    case."""
    head_chars: int
    prose_languages: tuple[str, ...]
    """Languages whose text is prose and whose comments are hidden from readers."""
    minified_languages: tuple[str, ...]
    minified_average_line_chars: float
    vendored: str
    """Action for vendored copies: `keep`, `drop` or `quarantine`."""
    vendored_patterns: tuple[str, ...]
    """Path patterns (Rust syntax) of vendored folders, besides go-enry's list."""
    vendored_exceptions: tuple[str, ...]
    """Path patterns that go-enry calls vendored and we do not."""


def judge_generated(
    frame: pl.DataFrame, config: GeneratedConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops what a machine wrote or what was copied from another project."""
    del context
    import enry

    name = pl.col("path").str.extract(r"([^/\\]*)$", 1).str.to_lowercase()
    marker = re.compile("|".join(config.markers), re.IGNORECASE | re.MULTILINE)
    language = pl.col("language").fill_null("").str.to_lowercase()
    chars = pl.col("content").str.len_chars()
    average = chars / (pl.col("content").str.count_matches("\n", literal=True) + 1)
    vendored = pl.lit(value=False)
    if config.vendored_patterns:
        vendored = pl.col("path").str.contains("|".join(config.vendored_patterns))
    excepted = pl.lit(value=False)
    if config.vendored_exceptions:
        excepted = pl.col("path").str.contains("|".join(config.vendored_exceptions))
    head = pl.col("content").str.head(config.head_chars)
    rows = frame.select(
        "id",
        "path",
        head=head,
        locked=name.is_in([lock.lower() for lock in config.lock_names]),
        named=name.str.contains("|".join(config.generated_names))
        if config.generated_names
        else pl.lit(value=False),
        prose=language.is_in([prose.lower() for prose in config.prose_languages]),
        marked=head.str.contains("(?im)" + "|".join(config.markers)),
        minified=(
            name.str.contains(r"[.\-]min\.(?:js|css)$")
            | (
                language.is_in([code.lower() for code in config.minified_languages])
                & (average > config.minified_average_line_chars)
            )
        ),
        vendored=vendored,
        excepted=excepted,
    )
    verdicts: list[Verdict] = []
    for (
        row_id,
        path,
        text,
        locked,
        named,
        prose,
        marked,
        minified,
        folder,
        spared,
    ) in rows.iter_rows():
        reason, evidence, action = None, "", Action.DROP
        if locked:
            reason, evidence = Reason.LOCK_FILE, path
        elif minified:
            reason = Reason.MINIFIED
        elif named:
            reason, evidence = Reason.GENERATED_MARKER, f"name {path}"
        elif marked and (found := find_marker(text, marker, is_prose=prose)) is not None:
            reason, evidence = Reason.GENERATED_MARKER, found
        elif enry.is_generated(path.replace("\0", ""), text.encode()):
            reason, evidence = Reason.GENERATED_MARKER, "go-enry"
        elif (
            config.vendored != Action.KEEP.value
            and not spared
            and (folder or enry.is_vendor(path.replace("\0", "")))
        ):
            reason, evidence, action = Reason.VENDORED, path, Action(config.vendored)
        if reason is not None:
            verdicts.append(Verdict(row_id, Stage.GENERATED, action, reason, None, evidence[:200]))
    return verdicts


DEFINITION = StageDefinition(Stage.GENERATED, STAGE_VERSION, GeneratedConfig, judge_generated)
