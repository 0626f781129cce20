"""Stage 14: documents that hold items of a benchmark.

Each item is looked for by several parts (`benchmark_index`): the solution as a whole function,
with or without its signature, whatever its names, layout, comments and docstrings; the same as a
set of statements, of which some were moved, put in, taken out or changed; windows of the solution's
and the tests' code tokens, for what was edited further; windows of the task's words. One part that
is held is enough. What also stands in unrelated code is an idiom and proves nothing.

Reads content, language. Evidence names the items, the part, how many of its windows were found and
the line. Cost: 24 ms per MB of Python, 7 of other text; memory 50 bytes per byte of
the longest document. Blind spots: a solution that ordinary code writes as well (`return x + y`) is
known by its words or its name only; one rewritten with another control flow, or translated, by its
words only. `BenchmarkIndex.recognisable` tells which items that are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

if TYPE_CHECKING:
    from tritter_assets.filters.benchmark_index import BenchmarkIndex

STAGE_VERSION = "3"
"""3: functions as sets of statements, for copies that were edited.
2: whole functions by hash, idioms by document frequency, windows within one stretch."""

CODE_LANGUAGES = frozenset({"python", "cython", "jupyter notebook", "markdown", ""})
"""Languages whose documents may hold the benchmarks' Python; words are looked for everywhere."""

_NOTEBOOK = "jupyter notebook"
_SLICE_BYTES = 4 << 20
"""Documents searched at once: every token of a hostile batch may be a hit in several items."""
_NAMED_ITEMS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class DecontaminationConfig:
    """Thresholds of stage 14; each is explained in the policy file."""

    action: str
    code_window_tokens: int
    text_window_words: int
    min_function_tokens: Mapping[str, int]
    min_body_tokens: int
    max_function_tokens: int
    max_families_per_window: int
    tokens_per_edit: Mapping[str, int]
    max_edits: int
    min_windows: Mapping[str, Sequence[float]]
    benchmarks: Mapping[str, Mapping[str, Any]]


def load_benchmarks(
    cache: Path, project_root: Path, config: DecontaminationConfig
) -> BenchmarkIndex:
    """Reads the benchmarks at hand and indexes them (about 2 s, mostly loading compiled loops).

    Args:
        cache: Folder of verified downloads.
        project_root: What paths of benchmark files are relative to.
        config: Names, pins and window sizes.
    """
    from tritter_assets.filters.benchmark_index import build_index
    from tritter_assets.filters.benchmarks import load_items
    from tritter_assets.filters.gram_search import WindowRules

    items, missing = load_items(config.benchmarks, cache, project_root)
    rules = WindowRules(
        code_window_tokens=config.code_window_tokens,
        text_window_words=config.text_window_words,
        min_function_tokens=config.min_function_tokens,
        min_body_tokens=config.min_body_tokens,
        max_function_tokens=config.max_function_tokens,
        max_families_per_window=config.max_families_per_window,
        tokens_per_edit=config.tokens_per_edit,
        max_edits=config.max_edits,
        min_windows=config.min_windows,
    )
    return build_index(items, missing, rules)


def judge_decontamination(
    frame: pl.DataFrame, config: DecontaminationConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops documents that hold benchmark items."""
    index = context.benchmarks
    if index is None or not index.num_items:
        return []
    verdicts: list[Verdict] = []
    for part in _slices(frame):
        verdicts += _verdicts(part, index, Action(config.action))
    return verdicts


def _verdicts(frame: pl.DataFrame, index: BenchmarkIndex, action: Action) -> list[Verdict]:
    from tritter_assets.filters.benchmark_index import find_code, find_words
    from tritter_assets.filters.kernels import ByteColumn

    language = pl.col("language").fill_null("").str.to_lowercase()
    texts = frame.select("id", "content", notebook=language == _NOTEBOOK, code=language.is_in(
        sorted(CODE_LANGUAGES)
    )).with_row_index("document")  # fmt: skip
    if texts["notebook"].any():
        notebooks = texts.filter("notebook")
        plain = notebooks.with_columns(
            content=pl.Series([_cells(text) for text in notebooks["content"]], dtype=pl.String)
        )
        texts = pl.concat([texts.filter(~pl.col("notebook")), plain])
    code = texts.filter("code")
    words = ByteColumn.of(texts["content"])
    tokens = words if code.height == texts.height else ByteColumn.of(code["content"])
    hits = pl.concat(
        [_placed(find_code(tokens, index), code), _placed(find_words(words, index), texts)]
    ).sort("id", "share", "held", "item", "kind", descending=[False, True, True, False, False])
    return [
        Verdict(row_id, Stage.DECONTAMINATION, action, Reason.BENCHMARK_OVERLAP, share, evidence)
        for row_id, share, evidence in _evidence(hits)
    ]


def _placed(hits: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Adds the id, the share held and the line to hits, whose document is a row of `texts`."""
    rows = texts.select("id", "content")[hits["document"]]
    lines = [
        content.encode()[:position].count(b"\n") + 1
        for content, position in zip(rows["content"], hits["position"], strict=True)
    ]
    return hits.select(
        "item",
        "kind",
        "held",
        "total",
        share=pl.col("held") / pl.col("total"),
        id=rows["id"],
        line=pl.Series(lines, dtype=pl.Int64),
    )


def _evidence(hits: pl.DataFrame) -> Iterator[tuple[str, float, str]]:
    for (row_id,), found in hits.group_by("id", maintain_order=True):
        best = found.unique("item", keep="first", maintain_order=True)
        named = [
            f"{row['item']} {row['kind']} at line {row['line']}"
            + (f" ({row['held']} of {row['total']} windows)" if row["total"] > 1 else "")
            for row in best.head(_NAMED_ITEMS).iter_rows(named=True)
        ]
        count = f"{best.height} item{'s' if best.height > 1 else ''}"
        yield str(row_id), float(best["share"][0]), f"{count}: {', '.join(named)}"


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    start, size = 0, 0
    for number, num_bytes in enumerate(frame["content"].str.len_bytes()):
        if size and size + num_bytes > _SLICE_BYTES:
            yield frame.slice(start, number - start)
            start, size = number, 0
        size += num_bytes
    if start < frame.height:
        yield frame.slice(start)


def _cells(notebook: str) -> str:
    """Returns the text of a notebook's cells; what is no notebook is returned as it stands."""
    try:
        cells = json.loads(notebook)["cells"]
        return "\n\n".join(
            cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            for cell in cells
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return notebook


DEFINITION = StageDefinition(
    Stage.DECONTAMINATION, STAGE_VERSION, DecontaminationConfig, judge_decontamination
)
