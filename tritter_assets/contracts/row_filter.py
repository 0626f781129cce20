"""`row_filter` of a source contract: which of upstream's rows are taken at all.

```yaml
- property: row_filter
  value:
    where: {license_type: [permissive]}
    where_not: {meta.kind: [forum]}
    where_host: {url: [docs.python.org]}
    where_not_host: {url: [stackexchange.com, stackoverflow.com]}
    any_keyword: {column: texts, at_least: 2, keywords: [pytorch, python]}
```

Every rule must hold. Columns are upstream's; a dotted path goes into a struct, or into a struct
that upstream stores as JSON text.

| rule | a row passes when | null or empty |
|---|---|---|
| where | the value, or every item of a list, is one of the listed | refused |
| where_not | neither the value nor any item of a list is one of the listed | passes |
| where_host | the host of the address (of every item) is a listed domain or below one | refused |
| where_not_host | no host is a listed domain or below one | passes |
| any_keyword | at least `at_least` different keywords stand in the text as whole words | refused |

Values are compared as text, numbers and booleans in YAML's spelling (`true`, `3`); hosts and
keywords without regard to case. Of keywords that overlap in the text the longest counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritter_assets.contracts.fields import FieldReader, did_you_mean

_VALUE_RULES = ("where", "where_not")
_HOST_RULES = ("where_host", "where_not_host")
_DOMAIN = re.compile(r"[a-z0-9\-]+(\.[a-z0-9\-]+)+")
_MAX_KEYWORDS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class KeywordRule:
    """Rows whose text holds enough of some words."""

    column: str
    keywords: tuple[str, ...]
    """Lower case, each once."""
    at_least: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFilter:
    """Which rows of upstream become documents; the others are counted as `not_selected`."""

    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_host: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not_host: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    any_keyword: KeywordRule | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Paths into the upstream row that the rules look at, each once."""
        rules = (self.where, self.where_not, self.where_host, self.where_not_host)
        named = [column for rule in rules for column in rule]
        if self.any_keyword is not None:
            named.append(self.any_keyword.column)
        return tuple(dict.fromkeys(named))


def value_text(value: Any) -> str:
    """Returns how a value is written for comparison: YAML's spelling of it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_row_filter(
    reader: FieldReader, *, upstream: Collection[str], is_table: bool
) -> RowFilter | None:
    """Reads the custom property `row_filter`; problems go to the reader.

    Args:
        reader: Over the property's mapping.
        upstream: Upstream's column names; empty when the contract does not list them.
        is_table: Whether the origin has rows at all.
    """
    before = len(reader.problems)
    if not is_table:
        reader.problem(
            "where", "filters rows of an origin without columns", "use origin.include instead"
        )
    values = {rule: _lists(reader, rule, upstream, hosts=False) for rule in _VALUE_RULES}
    hosts = {rule: _lists(reader, rule, upstream, hosts=True) for rule in _HOST_RULES}
    keywords = (
        _keywords(reader.child("any_keyword"), upstream) if reader.has("any_keyword") else None
    )
    reader.skip("any_keyword")
    reader.done()
    found = RowFilter(**values, **hosts, any_keyword=keywords)
    if not found.columns and len(reader.problems) == before:
        reader.problem("where", "states no rule", "add where, where_not, where_host, "
                       "where_not_host or any_keyword")  # fmt: skip
    return found if len(reader.problems) == before else None


def _lists(
    reader: FieldReader, rule: str, upstream: Collection[str], *, hosts: bool
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for column, listed in reader.mapping(rule, {}).items():
        _check_column(reader, rule, str(column), upstream)
        items = listed if isinstance(listed, list) else [listed]
        if not items or not all(isinstance(item, str | int | float) for item in items):
            message = f"{column} holds {listed!r}, not a list of values"
            reader.problem(rule, message, f"write '{column}: [value, ...]'")
            continue
        texts = [value_text(item) for item in items]
        if hosts:
            texts = [text.lower() for text in texts]
            for text in texts:
                if not _DOMAIN.fullmatch(text):
                    message = f"{column} lists {text!r}, which is no domain"
                    reader.problem(rule, message, "write a domain such as stackexchange.com")
        found[str(column)] = tuple(sorted(set(texts)))
    return found


def _keywords(reader: FieldReader, upstream: Collection[str]) -> KeywordRule | None:
    rule = reader.record(KeywordRule)
    if rule is None:
        return None
    _check_column(reader, "column", rule.column, upstream)
    words = tuple(sorted({" ".join(word.lower().split()) for word in rule.keywords}))
    if not words or "" in words or len(words) > _MAX_KEYWORDS:
        fix = f"list 1 to {_MAX_KEYWORDS} words, none of them empty"
        reader.problem("keywords", f"holds {len(words)} keywords", fix)
    if not 1 <= rule.at_least <= max(len(words), 1):
        fix = "write a number from 1 to the number of keywords"
        reader.problem("at_least", f"is {rule.at_least} of {len(words)} keywords", fix)
    return KeywordRule(column=rule.column, keywords=words, at_least=rule.at_least)


def _check_column(reader: FieldReader, name: str, column: str, upstream: Collection[str]) -> None:
    if upstream and column.split(".", maxsplit=1)[0] not in upstream:
        message = f"{column!r} is not among upstream's columns"
        reader.problem(name, message, did_you_mean(column, upstream))
