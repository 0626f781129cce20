"""Finds the better and the worse answer of upstream rows, as the contract's `preference_pair` says.

Output: the same rows with a struct `pair` of `chosen` and `rejected`; rows of which upstream states
no preference are left out and counted as `not_selected`. Of answers with the same rank the first in
upstream's order is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritter_assets.contracts.preference_pair import PAIR, PreferencePair
from tritter_assets.sources.data_file import RowBatch
from tritter_assets.sources.loader import LoaderContext, SkipReason
from tritter_assets.sources.mapping_paths import value_at


def add_pairs(batch: RowBatch, pair: PreferencePair | None, context: LoaderContext) -> RowBatch:
    """Returns the rows that hold a preference, each with its pair."""
    if pair is None:
        return batch
    numbers: list[int] = []
    rows: list[dict[str, Any]] = []
    for number, row in zip(batch.numbers, batch.to_rows(), strict=True):
        found = chosen_and_rejected(pair, row)
        if found is None:
            context.skips.counts[SkipReason.NOT_SELECTED] += 1
        else:
            numbers.append(number)
            rows.append({**row, PAIR: found})
    return RowBatch(numbers, rows)


def chosen_and_rejected(pair: PreferencePair, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns `{"chosen": ..., "rejected": ...}`, or None when upstream states no preference."""
    if pair.answers is not None:
        return _by_rank(pair, row)
    score = _number(_at(row, pair.score))
    if score is None or score == pair.neutral:
        return None
    first, second = _at(row, pair.first), _at(row, pair.second)
    better, worse = (first, second) if score < pair.neutral else (second, first)
    return {"chosen": better, "rejected": worse} if better and worse else None


def _by_rank(pair: PreferencePair, row: Mapping[str, Any]) -> dict[str, Any] | None:
    answers = _at(row, pair.answers)
    ranked: list[tuple[float, Any]] = []
    for answer in answers if isinstance(answers, list) else ():
        if any(_at(answer, flag) is True for flag in pair.skip_when):
            continue
        rank, text = _number(_at(answer, pair.rank)), _at(answer, pair.text)
        if rank is not None and text:
            ranked.append((rank, text))
    if not ranked:
        return None
    best, worst = min(ranked, key=_rank), max(ranked, key=_rank)
    return {"chosen": best[1], "rejected": worst[1]} if best[0] < worst[0] else None


def _rank(ranked: tuple[float, Any]) -> float:
    return ranked[0]


def _at(row: Any, path: str | None) -> Any:
    return value_at(row, path.split(".")) if path else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
