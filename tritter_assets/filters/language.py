"""Stage 1: is the document in the language its source promises, and is it text at all?

go-enry (GitHub linguist's strategies) sees the path and the first `head_bytes` of the content. The
path matters: on content alone it was right for 84 of 400 files. Measured: 190 MB/s.

Reads path, content, language. Blind spots: a document without a file extension, and `.h` files
that linguist can only tell by their content.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageConfig:
    """Thresholds of stage 1."""

    head_bytes: int
    """Bytes of the content that go-enry sees; linguist itself reads no more than 50 KB."""
    max_nul_share: float
    """Share of NUL characters above which content is binary."""
    max_replacement_share: float
    """Share of U+FFFD above which content was not decoded properly."""
    unknown: str
    """Action where no language is found: `keep`, `quarantine` or `drop`."""
    mismatch: str
    """Action where the detected language is not the declared one."""
    equivalent: tuple[str, ...]
    """Pairs `A=B` of languages that are not told apart, e.g. `c=c++`."""


def judge_language(
    frame: pl.DataFrame, config: LanguageConfig, context: JudgeContext
) -> list[Verdict]:
    """Judges language and readability of documents that have a path."""
    import enry

    from tritter_assets.filters.kernels import ByteColumn, compiled, text_statistics

    column = ByteColumn.of(frame["content"])
    statistics = compiled(text_statistics)(column.data, column.offsets)
    same = {frozenset(pair.lower().split("=")) for pair in config.equivalent}
    verdicts: list[Verdict] = []
    rows = frame.select("id", "path", "language", pl.col("content").str.head(config.head_bytes))
    for index, (row_id, path, declared, head) in enumerate(rows.iter_rows()):
        chars = max(int(statistics[index, 1]), 1)
        nul_share = statistics[index, 4] / chars
        if nul_share > config.max_nul_share:
            verdicts.append(_verdict(row_id, Action.DROP, Reason.BINARY_CONTENT, nul_share, "NUL"))
            continue
        lost = statistics[index, 5] / chars
        if lost > config.max_replacement_share:
            verdicts.append(_verdict(row_id, Action.DROP, Reason.UNREADABLE, lost, "U+FFFD"))
            continue
        detected = enry.get_language(path.replace("\0", ""), head.encode())
        said = detected.lower()
        wanted = (declared or "").lower()
        if not detected and not wanted:
            action, reason = Action(config.unknown), Reason.LANGUAGE_UNKNOWN
        elif detected and wanted and said != wanted and frozenset((said, wanted)) not in same:
            action, reason = Action(config.mismatch), Reason.LANGUAGE_MISMATCH
        else:
            known = wanted or said
            if not context.wanted_languages or known in context.wanted_languages:
                continue
            action, reason = Action.DROP, Reason.LANGUAGE_NOT_WANTED
        if action is not Action.KEEP:
            evidence = f"detected {detected or 'nothing'}, declared {declared or 'nothing'}"
            verdicts.append(_verdict(row_id, action, reason, None, evidence))
    return verdicts


def _verdict(
    row_id: str, action: Action, reason: Reason, score: float | None, evidence: str
) -> Verdict:
    return Verdict(row_id, Stage.LANGUAGE, action, reason, score, evidence)


DEFINITION = StageDefinition(Stage.LANGUAGE, STAGE_VERSION, LanguageConfig, judge_language)
