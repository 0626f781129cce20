"""Stage 14: documents that hold items of a benchmark.

Three channels, each against the same items. Code: windows of tokens in which names are written as
distances, so renaming, reformatting, comments and the loss of docstrings change nothing. Words:
windows of the task's description. Short: an item with too few code windows is found by its function
name together with its body, white space left out. A part of an item (solution, test, prompt) counts
once a document holds `min_*_share` of its windows. Windows that several items share are idioms and
are not counted.

Reads content, language. Blind spot: a one-line solution under another name and without its
docstring cannot be told from ordinary code, and is not called contamination.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

if TYPE_CHECKING:
    from tritter_assets.filters.benchmarks import BenchmarkIndex, WindowIndex

STAGE_VERSION = "1"

CODE_LANGUAGES = frozenset({"python", "cython", "jupyter notebook", "markdown", ""})
"""Languages whose documents may hold the benchmarks' Python; words are looked for everywhere."""

_DEFINED = re.compile(r"\bdef[ \t]+(\w+)")

_HIT_SCHEMA = pl.Schema(
    {"row": pl.Int64(), "item": pl.String(), "kind": pl.String(), "share": pl.Float64()}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecontaminationConfig:
    """Thresholds of stage 14; each is explained in the policy file."""

    action: str
    code_window_tokens: int
    min_code_share: float
    min_code_windows: int
    text_window_words: int
    min_text_share: float
    min_text_windows: int
    max_items_per_window: int
    min_short_chars: int
    benchmarks: Mapping[str, Any]


def load_benchmarks(
    cache: Path, paths: Sequence[Path], config: DecontaminationConfig
) -> BenchmarkIndex:
    """Reads the benchmarks at hand and indexes their windows (about 2 s, mostly compilation).

    Args:
        cache: Folder of verified downloads.
        paths: Folders with benchmark files.
        config: Names, pins and window sizes.
    """
    from tritter_assets.filters.benchmarks import WindowRules, build_index, load_items

    items, missing = load_items(config.benchmarks, cache, paths)
    rules = WindowRules(
        code_window_tokens=config.code_window_tokens,
        text_window_words=config.text_window_words,
        min_code_windows=config.min_code_windows,
        min_text_windows=config.min_text_windows,
        max_items_per_window=config.max_items_per_window,
        min_short_chars=config.min_short_chars,
    )
    return build_index(items, missing, rules)


def judge_decontamination(
    frame: pl.DataFrame, config: DecontaminationConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops documents that hold benchmark items."""
    index = context.benchmarks
    if index is None or not index.num_items:
        return []
    from tritter_assets.filters.benchmarks import find_code, find_words
    from tritter_assets.filters.kernels import ByteColumn

    language = pl.col("language").fill_null("").str.to_lowercase()
    with_row = frame.select("id", "content", "language").with_row_index("row")
    code = with_row.filter(language.is_in(sorted(CODE_LANGUAGES)))
    found = [_short_hits(code, index.short)]
    if not code.is_empty():
        hits = find_code(ByteColumn.of(code["content"]), index.code, config.code_window_tokens)
        found.append(_shares(hits, code["row"], index.code, config.min_code_share))
    hits = find_words(ByteColumn.of(frame["content"]), index.text, config.text_window_words)
    found.append(_shares(hits, with_row["row"], index.text, config.min_text_share))
    best = (
        pl.concat(found)
        .sort(["row", "share", "item", "kind"], descending=[False, True, False, False])
        .group_by("row", maintain_order=True)
        .agg(
            pl.col("share").first(),
            (pl.col("item") + " " + pl.col("kind")).head(3).alias("items"),
            pl.col("item").n_unique().alias("count"),
        )
    )
    ids = frame["id"]
    return [
        Verdict(
            ids[row],
            Stage.DECONTAMINATION,
            Action(config.action),
            Reason.BENCHMARK_OVERLAP,
            share,
            f"{count} items: " + ", ".join(items) + f" ({share:.2f})",
        )
        for row, share, items, count in best.iter_rows()
    ]


def _shares(
    hits: tuple[Any, ...], rows: pl.Series, index: WindowIndex, least: float
) -> pl.DataFrame:
    documents, grams, _ = hits
    if not len(documents):
        return pl.DataFrame(schema=_HIT_SCHEMA)
    held = (
        pl.DataFrame({"document": documents, "gram": grams.astype("int64")})
        .unique()
        .join(index.memberships, on="gram")
        .group_by("document", "part")
        .agg(held=pl.len())
        .join(index.parts, on="part")
        .with_columns(share=pl.col("held") / pl.col("total"))
        .filter(pl.col("share") >= least)
    )
    row = rows.cast(pl.Int64).gather(held["document"])
    return held.select(row.alias("row"), "item", "kind", "share")


def _short_hits(
    code: pl.DataFrame, short: Mapping[str, tuple[tuple[str, str], ...]]
) -> pl.DataFrame:
    from tritter_assets.filters.benchmarks import squeezed

    found: list[tuple[int, str, str, float]] = []
    if short and not code.is_empty():
        # One expression of Rust's: 380 literals in an automaton of their own took ten times longer.
        pattern = r"\bdef[ \t]+(?:" + "|".join(sorted(short)) + r")\b"
        named = code.filter(pl.col("content").str.contains(pattern))
        for row, content in named.select("row", "content").iter_rows():
            text = squeezed(content)
            for name in sorted(set(_DEFINED.findall(content)) & set(short)):
                found += [(row, item, "short", 1.0) for item, body in short[name] if body in text]
    return pl.DataFrame(found, schema=_HIT_SCHEMA, orient="row")


DEFINITION = StageDefinition(
    Stage.DECONTAMINATION, STAGE_VERSION, DecontaminationConfig, judge_decontamination
)
