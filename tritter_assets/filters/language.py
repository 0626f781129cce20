"""Stage 1: is the document in the language its source promises, and is it text at all?

go-enry (GitHub linguist's strategies) sees the path and the first `head_bytes` of the content. The
path matters: of linguist's own samples it names 98.3 % with the path and 12.2 % without (bench
`language`). Where linguist goes by the name alone (no editor's mode line, no `#!`, an extension
that one language has), it is asked once for each extension, not for each document.

Reads path, content, language. Blind spots: a document without a file extension, and `.h` files
that linguist can only tell by their content.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.sources.language import language_name
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "2"
"""2: linguist's names and ours are compared as one (`C++` is `cpp`)."""

_ONE_LANGUAGE = (
    "py", "pyi", "pyx", "pxd", "c", "cc", "cpp", "cxx", "hpp", "hxx", "cu", "cuh", "go", "java",
    "js", "mjs", "cjs", "jsx", "rb", "swift", "kt", "scala", "jl", "lua", "rst", "css", "ipynb",
    "sh", "bash", "toml",
)  # fmt: skip
"""Extensions that linguist gives to one language only, so that it never looks at the content."""

_MODE_LINE = r"-\*-|(?:vim?|ex)[<=>0-9]*\s*:.*(?i:filetype|syntax|ft)\s*="
"""Whatever mode line linguist reads, of Emacs or of Vim, matches this."""


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
    from tritter_assets.filters.kernels import with_statistics

    chars = pl.col("num_chars").clip(1)
    measured = with_statistics(frame).with_columns(
        head=pl.col("content").str.head(config.head_bytes),
        nul_share=pl.col("num_nul") / chars,
        lost_share=pl.col("num_replaced") / chars,
    )
    by_name = _goes_by_name(pl.col("path"), pl.col("head"))
    same = {frozenset(map(_name, pair.split("="))) for pair in config.equivalent}
    rows = measured.select(
        "id",
        "path",
        "language",
        "nul_share",
        "lost_share",
        head=pl.when(~by_name).then(pl.col("head")),
    )
    verdicts: list[Verdict] = []
    for row_id, path, declared, nul_share, lost, head in rows.iter_rows():
        if nul_share > config.max_nul_share:
            verdicts.append(_verdict(row_id, Action.DROP, Reason.BINARY_CONTENT, nul_share, "NUL"))
            continue
        if lost > config.max_replacement_share:
            verdicts.append(_verdict(row_id, Action.DROP, Reason.UNREADABLE, lost, "U+FFFD"))
            continue
        detected = _detect(path, head)
        said = _name(detected)
        wanted = _name(declared or "")
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


def detect_languages(frame: pl.DataFrame, head_bytes: int) -> list[str]:
    """Returns what linguist calls each document's language, or an empty string."""
    head = pl.col("content").str.head(head_bytes)
    rows = frame.select("path", head=pl.when(~_goes_by_name(pl.col("path"), head)).then(head))
    return [_detect(path, text) for path, text in rows.iter_rows()]


def _goes_by_name(path: pl.Expr, head: pl.Expr) -> pl.Expr:
    """True where linguist decides by the name of the file alone."""
    extension = path.str.extract(r"[^/\\]\.([A-Za-z0-9]+)$", 1).fill_null("")
    plain = ~head.str.starts_with("#!") & ~head.str.starts_with("\ufeff#!")
    return extension.is_in(_ONE_LANGUAGE) & plain & ~head.str.contains(_MODE_LINE)


def _detect(path: str, head: str | None) -> str:
    import enry

    if head is None:
        return _of_name(path.rsplit("/", 1)[-1])
    return enry.get_language(path.replace("\0", ""), head.encode())


@lru_cache(maxsize=1 << 16)
def _of_name(name: str) -> str:
    import enry

    return enry.get_language(name.replace("\0", ""), b"x\n")


@lru_cache(maxsize=1 << 12)
def _name(language: str) -> str:
    return language_name(language)


def _verdict(
    row_id: str, action: Action, reason: Reason, score: float | None, evidence: str
) -> Verdict:
    return Verdict(row_id, Stage.LANGUAGE, action, reason, score, evidence)


DEFINITION = StageDefinition(Stage.LANGUAGE, STAGE_VERSION, LanguageConfig, judge_language)
