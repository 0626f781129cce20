"""The index of what benchmark items say, and the search for it in documents.

An item is looked for by its parts. `function`, `body` and `named` are the solution as one piece:
with its signature, without it, and the body under the item's own name; one hit is enough.
`statements` is the same as a set of statements (`statement_kernels`), complete or short of one, as
it stands in a document's function that may have up to three others besides. The rest is looked for
by windows: `solution` and `test` by windows of code tokens, `prompt` by windows of words. Of those
a stretch of the document must hold enough (`WindowRules.min_windows`).

Grams that stand in unrelated code are idioms and prove nothing. They are known from a reference
corpus (`common_grams.npz`, made by `tritter_assets_tests/filters/common_grams.py`); windows of many
items are left out too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tritter_assets.filters import window_kernels
from tritter_assets.filters.benchmarks import BenchmarkItem
from tritter_assets.filters.gram_search import (
    BUILTINS,
    Bits,
    Hashes,
    Rows,
    WindowRules,
    code_rows,
    word_rows,
)
from tritter_assets.filters.kernels import ByteColumn

_PIECES = {
    window_kernels.FUNCTION: "function",
    window_kernels.BODY: "body",
    window_kernels.NAMED: "named",
}
STATEMENTS = "statements"
_IMPORT = re.compile(r"^(?:from|import)\b.*$", re.MULTILINE)
_COMMON_GRAMS = Path(__file__).parent / "common_grams.npz"

HIT_SCHEMA = pl.Schema(
    {
        "document": pl.Int64(),
        "item": pl.String(),
        "kind": pl.String(),
        "held": pl.Int64(),
        "total": pl.Int64(),
        "position": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True)
class GramIndex:
    """Grams of one channel (code or words) and the parts of items they belong to."""

    grams: Hashes
    """Sorted and distinct."""
    bitmap: Bits
    statements: Bits
    """Bitmap of the statements that items have."""
    memberships: pl.DataFrame
    """Columns gram (index into `grams`), part."""
    parts: pl.DataFrame
    """Columns part, item, kind, total (distinct grams, idioms left out), needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkIndex:
    """Everything stage 14 needs."""

    code: GramIndex
    text: GramIndex
    rules: WindowRules
    num_items: Mapping[str, int]
    """Benchmark -> items."""
    not_checked: Mapping[str, str]
    """Benchmark -> why it could not be read."""

    def recognisable(self, *kinds: str) -> set[str]:
        """Names the items that one of these kinds of parts can still give away."""
        parts = pl.concat([self.code.parts, self.text.parts])
        return set(parts.filter(pl.col("kind").is_in(kinds))["item"])


@dataclass(frozen=True, slots=True)
class CommonGrams:
    """The lower 32 bits of grams that stand in unrelated code, sorted."""

    code: np.ndarray[Any, np.dtype[np.uint32]]
    text: np.ndarray[Any, np.dtype[np.uint32]]

    @classmethod
    def none(cls) -> CommonGrams:
        """Returns a list without entries, which a reference corpus is searched with."""
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.uint32))


@cache
def shipped_common_grams() -> CommonGrams:
    """Reads the list that comes with this package."""
    with np.load(_COMMON_GRAMS) as stored:
        # Stored as differences, which compress to half the size.
        return CommonGrams(
            np.cumsum(stored["code"], dtype=np.uint32), np.cumsum(stored["text"], dtype=np.uint32)
        )


def build_index(
    items: Mapping[str, list[BenchmarkItem]],
    missing: Mapping[str, str],
    rules: WindowRules,
    common: CommonGrams | None = None,
) -> BenchmarkIndex:
    """Makes the index of the items' grams."""
    common = shipped_common_grams() if common is None else common
    everything = [item for name in sorted(items) for item in items[name]]
    windows = [
        (item, kind, text)
        for item in everything
        for kind, texts in (("solution", _bodies(item.code)), ("test", [item.test]))
        for text in texts
    ]
    words = [(item, "prompt", item.text) for item in everything]
    pieces = [_piece_rows(items[name], rules, name) for name in sorted(items)]
    code = pl.concat([_window_table(windows, _every_window(rules)), *(rows for rows, _ in pieces)])
    statements = np.concatenate([np.zeros(0, np.uint64), *(found for _, found in pieces)])
    text = _window_table(words, lambda column: word_rows(column, rules, None))
    return BenchmarkIndex(
        code=_gram_index(code, common.code, rules, statements),
        text=_gram_index(text, common.text, rules, np.zeros(0, np.uint64)),
        rules=rules,
        num_items={name: len(items[name]) for name in sorted(items)},
        not_checked=dict(missing),
    )


def _every_window(rules: WindowRules) -> Callable[[ByteColumn], Rows]:
    def windows(column: ByteColumn) -> Rows:
        rows = code_rows(column, rules, None)
        return rows[rows[:, 4] == window_kernels.WINDOW]

    return windows


def _window_table(
    texts: Sequence[tuple[BenchmarkItem, str, str]], grams: Callable[[ByteColumn], Rows]
) -> pl.DataFrame:
    rows = grams(ByteColumn.of(pl.Series([text for _, _, text in texts], dtype=pl.String)))
    names = [(item.name, item.family, kind, "") for item, kind, _ in texts]
    return _table(names, rows)


def _piece_rows(
    items: Sequence[BenchmarkItem], rules: WindowRules, name: str
) -> tuple[pl.DataFrame, Hashes]:
    """Returns the pieces of one benchmark's items and the statements they have."""
    functions = [
        (item, str(variant), text)
        for item in items
        for variant, text in enumerate(_entry_functions(item))
    ]
    column = ByteColumn.of(pl.Series([text for _, _, text in functions], dtype=pl.String))
    rules = replace(
        rules,
        min_function_tokens={"default": of_benchmark(rules.min_function_tokens, name)},
        tokens_per_edit={"default": of_benchmark(rules.tokens_per_edit, name)},
    )
    names = {
        kind: [(item.name, item.family, kind, variant) for item, variant, _ in functions]
        for kind in (*_PIECES.values(), STATEMENTS)
    }
    rows = _outermost(code_rows(column, rules, None))
    tables = [_table(names[kind], rows[rows[:, 4] == number]) for number, kind in _PIECES.items()]
    statements = rows[rows[:, 4] == window_kernels.STATEMENT, 1].view(np.uint64)
    seeds = window_kernels.EDIT_SEEDS.view(np.int64)
    for edits in range(rules.max_edits + 1):
        rows = _outermost(code_rows(column, replace(rules, edits=edits), None))
        for kind, taken in product((window_kernels.EDITED, window_kernels.EDITED_BODY), (0, 1)):
            if taken <= edits <= taken + window_kernels.MAX_LEFT_OUT:
                mine = rows[rows[:, 4] == kind + taken].copy()
                # As a document is marked that has the others, and this many besides.
                mine[:, 1] ^= seeds[taken] ^ seeds[edits - taken]
                tables.append(_table(names[STATEMENTS], mine))
    return pl.concat(tables), statements


def of_benchmark(values: Mapping[str, int], name: str) -> int:
    """Returns the value of one benchmark, else the default."""
    return values.get(name, values["default"])


def _outermost(rows: Rows) -> Rows:
    """Token 0 begins the function itself; what is defined inside it begins later."""
    return rows[rows[:, 3] == 0]


def _table(names: Sequence[tuple[str, str, str, str]], rows: Rows) -> pl.DataFrame:
    named = pl.DataFrame(
        names, schema=dict.fromkeys(("item", "family", "kind", "variant"), pl.String), orient="row"
    )
    return named[rows[:, 0]].with_columns(hash=pl.Series(rows[:, 1]).reinterpret(signed=False))


def _gram_index(
    table: pl.DataFrame,
    common: np.ndarray[Any, np.dtype[np.uint32]],
    rules: WindowRules,
    statements: Hashes,
) -> GramIndex:
    table = table.unique()
    low = (table["hash"].to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    table = table.filter(pl.Series(~np.isin(low, common)))
    shared = table.group_by("hash").agg(families=pl.col("family").n_unique())
    telling = shared.filter(pl.col("families") < rules.max_families_per_window)
    table = table.join(telling.select("hash"), on="hash")
    base = {kind: float(pair[0]) for kind, pair in rules.min_windows.items()}
    share = {kind: float(pair[1]) for kind, pair in rules.min_windows.items()}
    key = ["item", "kind", "variant"]
    parts = (
        table.group_by(key)
        .agg(total=pl.len())
        .with_columns(
            needed=pl.col("kind").replace_strict(base, default=1.0, return_dtype=pl.Float64)
            + pl.col("kind").replace_strict(share, default=0.0, return_dtype=pl.Float64)
            * pl.col("total")
        )
        .filter(pl.col("total") >= pl.col("needed"))
        .sort(key)
        .with_row_index("part")
        .with_columns(
            pl.col("part").cast(pl.Int64),
            # A piece has several forms, of which one is enough.
            total=pl.when(pl.col("kind").is_in(list(base)))
            .then(pl.col("total"))
            .otherwise(1)
            .cast(pl.Int64),
        )
    )
    table = table.join(parts.select(*key, "part"), on=key)
    grams = np.unique(table["hash"].to_numpy()).astype(np.uint64)
    memberships = table.select(
        gram=pl.Series(np.searchsorted(grams, table["hash"].to_numpy()).astype(np.int64)),
        part="part",
    ).sort("gram", "part")
    return GramIndex(grams, _bitmap(grams), _bitmap(statements), memberships, parts.drop("variant"))


def _bitmap(hashes: Hashes) -> Bits:
    """Returns 2^21 bits, those set that the low bits of the hashes name."""
    bitmap = np.zeros(1 << 18, np.uint8)
    bits = hashes & np.uint64(0x1FFFFF)
    np.bitwise_or.at(
        bitmap,
        (bits >> np.uint64(3)).astype(np.int64),
        np.left_shift(np.uint8(1), (bits & np.uint64(7)).astype(np.uint8)),
    )
    return bitmap


def _bodies(code: str) -> list[str]:
    """Returns what the top-level functions do, docstrings left out; else the code without imports.

    Signatures are left out because annotations come and go.
    """
    lines = code.splitlines(keepends=True)
    found: list[str] = []
    for node in _parsed(code).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if body:
            found.append("".join(lines[body[0].lineno - 1 : body[-1].end_lineno]))
    return found or [_IMPORT.sub("", code)]


def _entry_functions(item: BenchmarkItem) -> list[str]:
    """Returns the function that solves the task, and once more with builtins' names left to them.

    A solution may call a variable `max`. Its verbatim copies keep that name, its renamed ones do
    not, and names of builtins are not seen through.
    """
    if not item.entry_point:
        return []
    for node in _parsed(item.code).body:
        if isinstance(node, ast.FunctionDef) and node.name == item.entry_point:
            lines = item.code.splitlines(keepends=True)
            plain = "".join(lines[node.lineno - 1 : node.end_lineno])
            shadowed = _bound_names(node) & BUILTINS
            if not shadowed:
                return [plain]
            pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(sorted(shadowed))})\b")
            return [plain, pattern.sub(lambda match: f"{match.group()}_", plain)]
    return []


def _bound_names(function: ast.FunctionDef) -> set[str]:
    bound = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    return bound | {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def find_code(column: ByteColumn, index: BenchmarkIndex) -> pl.DataFrame:
    """Returns the parts of items whose code the documents hold (`HIT_SCHEMA`)."""
    rows = code_rows(column, index.rules, index.code)
    return _held_parts(rows, index.code, index.rules.code_window_tokens)


def find_words(column: ByteColumn, index: BenchmarkIndex) -> pl.DataFrame:
    """Returns the parts of items whose words the documents hold (`HIT_SCHEMA`)."""
    rows = word_rows(column, index.rules, index.text)
    return _held_parts(rows, index.text, index.rules.text_window_words)


def _held_parts(rows: Rows, index: GramIndex, window: int) -> pl.DataFrame:
    """Keeps the parts of which one stretch of a document holds enough grams.

    The stretch is twice as long as the part, plus two windows: room for lines put in between, not
    for grams that lie about in a long file.
    """
    hits = pl.DataFrame(rows[:, :4], schema=["document", "gram", "position", "token"])
    hits = hits.join(index.memberships, on="gram").join(index.parts, on="part")
    enough = pl.col("gram").n_unique().over("document", "part") >= pl.col("needed")
    hits = hits.filter(enough).sort("document", "part", "token", "gram")
    if hits.is_empty():
        return pl.DataFrame(schema=HIT_SCHEMA)
    groups = hits.group_by("document", "part", maintain_order=True).agg(
        pl.col("item", "kind", "total", "needed").first(), num_rows=pl.len()
    )
    starts = np.concatenate([[0], np.cumsum(groups["num_rows"].to_numpy())]).astype(np.int64)
    held = np.zeros(groups.height, np.int64)
    at = np.zeros(groups.height, np.int64)
    spans = (2 * groups["total"] + 2 * window).to_numpy()
    window_kernels.densest(
        starts,
        hits["token"].to_numpy(),
        hits["gram"].to_numpy(),
        spans,
        len(index.grams),
        held,
        at,
    )
    return (
        groups.with_columns(
            held=pl.min_horizontal(pl.Series(held), pl.col("total")),
            position=hits["position"].gather(at),
        )
        .filter(pl.col("held") >= pl.col("needed"))
        .select(list(HIT_SCHEMA))
    )
