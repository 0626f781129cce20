"""Applies a contract's `row_filter` to a batch of upstream rows, before anything is mapped.

Rules and what a null means: see `contracts/row_filter.py`. Cost: one scan per rule; keywords are
one regular expression over the text.
"""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl

from tritter_assets.contracts.row_filter import KeywordRule, RowFilter, value_text
from tritter_assets.sources.data_file import RowBatch
from tritter_assets.sources.loader import LoaderContext, SkipReason
from tritter_assets.sources.row_values import texts_at, values_at

_HOST = r"^\s*(?:(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//)?(?:[^/?#@\s]*@)?([^/:?#\s]+)"


def select_rows(batch: RowBatch, rules: RowFilter | None, context: LoaderContext) -> RowBatch:
    """Returns the rows that pass every rule; the others are counted as `not_selected`."""
    if rules is None or not batch.numbers:
        return batch
    kept = _passes(batch, rules).fill_null(value=False)
    refused = len(kept) - int(kept.sum())
    if not refused:
        return batch
    context.skips.counts[SkipReason.NOT_SELECTED] += refused
    numbers = [n for n, keep in zip(batch.numbers, kept, strict=True) if keep]
    if isinstance(batch.rows, list):
        return RowBatch(numbers, [r for r, keep in zip(batch.rows, kept, strict=True) if keep])
    return RowBatch(numbers, batch.rows.filter(kept.to_arrow()))


def _passes(batch: RowBatch, rules: RowFilter) -> pl.Series:
    frame = pl.DataFrame({column: _texts(batch, column) for column in rules.columns})
    tests = [
        *(_every(c, pl.element().is_in(list(v))) for c, v in rules.where.items()),
        *(~_any(c, pl.element().is_in(list(v))) for c, v in rules.where_not.items()),
        *(_every(c, _is_host(v)) for c, v in rules.where_host.items()),
        *(~_any(c, _is_host(v)) for c, v in rules.where_not_host.items()),
    ]
    if rules.any_keyword is not None:
        tests.append(_speaks_of(rules.any_keyword))
    return frame.select(pl.all_horizontal(tests)).to_series()


def _texts(batch: RowBatch, column: str) -> pl.Series:
    """The column as lists of texts; a null or empty value is an empty list."""
    path = tuple(column.split("."))
    found = texts_at(batch, path)
    if found is None:
        lists = [_as_texts(value) for value in values_at(batch, path)]
        return pl.Series(column, lists, pl.List(pl.String))
    if found.dtype == pl.String:
        found = found.reshape((len(found), 1)).arr.to_list()
    kept = pl.element().filter(pl.element().is_not_null() & (pl.element() != ""))
    return found.list.eval(kept).fill_null([]).alias(column)


def _as_texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    texts = [
        json.dumps(item, sort_keys=True, default=str)
        if isinstance(item, dict | list)
        else value_text(item)
        for item in items
        if item is not None
    ]
    return [text.encode("utf-8", "replace").decode() for text in texts if text]


def _any(column: str, test: pl.Expr) -> pl.Expr:
    return pl.col(column).list.eval(test).list.any()


def _every(column: str, test: pl.Expr) -> pl.Expr:
    return (pl.col(column).list.len() > 0) & pl.col(column).list.eval(test).list.all()


def _is_host(domains: tuple[str, ...]) -> pl.Expr:
    names = "|".join(re.escape(domain) for domain in domains)
    host = pl.element().str.extract(_HOST).str.to_lowercase().str.strip_suffix(".")
    return host.str.contains(rf"(?:^|\.)(?:{names})$").fill_null(value=False)


def _speaks_of(rule: KeywordRule) -> pl.Expr:
    longest_first = sorted(rule.keywords, key=lambda word: (-len(word), word))
    pattern = "(?i)(?:" + "|".join(_whole_word(word) for word in longest_first) + ")"
    text = pl.col(rule.column).list.join("\n")
    if rule.at_least == 1:
        return text.str.contains(pattern)
    found = text.str.extract_all(pattern).list.eval(
        pl.element().str.to_lowercase().str.replace_all(r"\s+", " ")
    )
    return found.list.n_unique() >= rule.at_least


def _whole_word(word: str) -> str:
    inner = r"\s+".join(re.escape(part) for part in word.split())
    start = r"\b" if re.match(r"\w", word) else ""
    end = r"\b" if re.search(r"\w$", word) else ""
    return f"{start}{inner}{end}"
