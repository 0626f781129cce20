"""What presidio's six pattern recognisers find in whole documents, ten times as fast.

E-mail, IP, card, IBAN, US SSN and wallet expressions cost presidio 3 MB/s. Here a compiled pass
(`pii_windows`) leaves short windows, and presidio's own recognisers decide there: same spans, same
scores, whatever the length of a line (the bench `pii` asserts it on real code). Nothing is judged
here; which findings count is the policy's business (`pii.py`).

| column | what it is |
|---|---|
| row | row of the documents |
| entity | key of `KINDS` |
| start, end | characters of the document |
| score | presidio's, without context words: 0.05 to 1 |

The windows are proved for the expressions of `_KNOWN`. A presidio that has others still decides,
but reads whole documents.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tritter_assets.filters.kernels import ByteColumn

KINDS = {"email": 0, "ip": 1, "credit_card": 2, "iban": 3, "us_ssn": 4, "crypto": 5}
"""Entity -> kind of window."""

_ENTITIES = tuple(KINDS)
_WEAK_BELOW = 0.5
_SHORT_CHARS = 64
_LONGEST_MAILBOX = 64
"""Characters before the `@`, by RFC 5321."""
_LOCAL = r"!#$%&'*+\-/=?^_`{|}~\w"
_KNOWN = {
    "email": "2a122c8f91574521",
    "ip": "9fc861cc8d00fc8c",
    "credit_card": "cec63aa44eaece56",
    "iban": "3f60a2e41c563594",
    "us_ssn": "071a31d4741971c3",
    "crypto": "7ecf99bd553386b7",
}
"""Entity -> hash of the expressions and flags that the windows were made for."""


class Finding(NamedTuple):
    """A place that a recogniser reports."""

    row: int
    entity: str
    start: int
    end: int
    score: float


def detect_pii(
    content: pl.Series,
    entities: Collection[str] = _ENTITIES,
    *,
    min_score: float = 0.0,
    internal_suffixes: tuple[str, ...] = (),
) -> list[Finding]:
    """Returns what presidio's recognisers report, sorted by document and place.

    Args:
        content: Texts without nulls.
        entities: Keys of `KINDS`.
        min_score: Findings that score less are left out; from 0.5 on it saves time.
        internal_suffixes: Mailboxes at hosts that end in one of these are reported too, with score
            1. Presidio never reports them: their suffix is not a public one.
    """
    found: list[Finding] = []
    unknown = [entity for entity in entities if _expressions(entity) != _KNOWN[entity]]
    for entity in unknown:
        recognizer = recognizer_of(entity)
        for row, text in enumerate(content):
            found += (
                Finding(row, entity, result.start, result.end, result.score)
                for result in recognizer.analyze(text, [entity])
            )
    windows = _windows(content, weak=min_score < _WEAK_BELOW)
    found += _in_windows(windows, set(entities) - set(unknown))
    if internal_suffixes and "email" in entities:
        found += _internal_mailboxes(windows, internal_suffixes)
    return sorted(finding for finding in found if finding.score >= min_score)


class _Window(NamedTuple):
    row: int
    entity: str
    before: int
    """Characters of the document before `text`."""
    text: str


def _windows(content: pl.Series, *, weak: bool) -> list[_Window]:
    from tritter_assets.filters.pii_windows import find_windows

    column = ByteColumn.of(content)
    capacity = 4096
    while True:
        out = np.zeros((capacity, 5), np.int64)
        count = find_windows(column.data, column.offsets, weak, out)
        if count <= capacity:
            break
        capacity = count
    return [
        _Window(row, _ENTITIES[kind], before, column.data[start:end].tobytes().decode())
        for row, kind, start, end, before in out[:count].tolist()
    ]


def _in_windows(windows: Iterable[_Window], entities: Collection[str]) -> Iterator[Finding]:
    last_row, free_from = -1, 0
    for row, entity, before, text in windows:
        if entity not in entities:
            continue
        if entity != "email":
            results = _results_of_short if len(text) <= _SHORT_CHARS else _results
            for start, end, score in results(entity, text):
                yield Finding(row, entity, before + start, before + end, score)
            continue
        # An address begins where the one before ends, even if that one was refused.
        lowest = max(free_from - before, 0) if row == last_row else 0
        span = _address(text, lowest)
        if span:
            last_row, free_from = row, before + span[1]
            if recognizer_of(entity).validate_result(text[span[0] : span[1]]):
                yield Finding(row, entity, before + span[0], free_from, 1.0)


def _results(entity: str, text: str) -> tuple[tuple[int, int, float], ...]:
    found = recognizer_of(entity).analyze(text, [entity])
    return tuple((result.start, result.end, result.score) for result in found)


_results_of_short = lru_cache(1 << 14)(_results)
"""Code repeats itself: `[::-1]` and `127.0.0.1` are half of all windows."""


def _internal_mailboxes(windows: Iterable[_Window], suffixes: tuple[str, ...]) -> Iterator[Finding]:
    expression = _internal(suffixes)
    for row, entity, before, text in windows:
        if entity == "email":
            earliest = max(text.index("@", 1) - _LONGEST_MAILBOX, 0)
            for match in expression.finditer(text, earliest):
                yield Finding(row, entity, before + match.start(), before + match.end(), 1.0)


@cache
def _internal(suffixes: tuple[str, ...]) -> re.Pattern[str]:
    ends = "|".join(re.escape(suffix) for suffix in suffixes)
    return re.compile(
        rf"(?<![\w.+\-@])[\w.+\-]{{1,{_LONGEST_MAILBOX}}}"
        rf"@(?:[a-zA-Z0-9\-]{{1,63}}\.){{1,8}}(?:{ends})(?![\w\-])"
    )


def _address(text: str, lowest: int) -> tuple[int, int] | None:
    """Returns the match of the expression around the first `@` after the first character.

    It is searched from where its local part can begin, so that it matches at once or not at all:
    left to itself it reads a long text again from every word.
    """
    local, end_of_local, domain = _address_parts()
    at = text.index("@", 1)
    if not end_of_local.match(text, at - 1) or not domain.match(text, at + 1):
        return None
    begin = max(local.match(text, 0, at).start(), lowest)
    match = recognizer_of("email").patterns[0].compiled_regex.search(text, begin)
    return match.span() if match else None


@cache
def _address_parts() -> tuple[Any, Any, Any]:
    import regex

    label = r"\w+(?:-+\w+)*"
    return (
        regex.compile(rf"(?r)[{_LOCAL}.]*"),
        regex.compile(rf"[{_LOCAL}]"),
        regex.compile(rf"{label}(?:\.{label})+"),
    )


@cache
def _expressions(entity: str) -> str:
    recognizer = recognizer_of(entity)
    seen = [(pattern.regex, pattern.score) for pattern in recognizer.patterns]
    text = repr((seen, int(recognizer.global_regex_flags)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def recognizer_of(entity: str) -> Any:
    """Makes presidio's recogniser; the first import takes seconds.

    The e-mail recogniser asks for the list of public suffixes: here it is the one of the installed
    version of tldextract, never a fetched one.
    """
    import regex
    import tldextract
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        CryptoRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        UsSsnRecognizer,
    )

    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return extract(pattern_text).fqdn != ""

    classes: dict[str, Any] = {
        "email": OfflineEmailRecognizer,
        "ip": IpRecognizer,
        "credit_card": CreditCardRecognizer,
        "iban": IbanRecognizer,
        "us_ssn": UsSsnRecognizer,
        "crypto": CryptoRecognizer,
    }
    recognizer = classes[entity](supported_entity=entity)
    for pattern in recognizer.patterns:
        flags = recognizer.global_regex_flags
        pattern.compiled_regex = regex.compile(pattern.regex, flags)
        pattern.compiled_with_flags = flags
    return recognizer
