"""YAML as detect-secrets reads it, with libyaml: ten times as fast as its own reader.

detect-secrets writes a document's text values one to a line, `key: "value"`, on the line of the
key. Its reader is PyYAML's in Python, of which it changes two methods. Here the same lines are made
of libyaml's events where both are sure to agree: no flow mapping, no key twice, no standard tag
spelt out. Elsewhere `read_lines` raises `Unsure`, and the slow reader reads the document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_COMMENT = re.compile(r"(\s+#[\S ]*)")
_NOT_PLAIN = re.compile(r"[\t\x85\u2028\u2029\ufeff\x0b\x0c\x1c-\x1e]|^%|^[ -]*\? ", re.MULTILINE)
"""What libyaml and PyYAML may see otherwise, or on another line: tabs, rare line ends, directives,
keys that are marked as such."""


class Unsure(Exception):
    """The document needs the reader that detect-secrets has."""


class Unreadable(Exception):
    """detect-secrets gives the document up."""


@dataclass(slots=True)
class _Value:
    """A scalar, or a collection by its anchor."""

    text: str | None
    """None for what is no text."""
    line: int = 0


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being read."""

    is_mapping: bool
    anchor: str | None
    key: str | None = None
    """Read, and waiting for its value."""
    line: int = 0
    keys: set[str] = field(default_factory=set)
    """Text of its keys so far; numbers and the like are ""."""
    values: list[tuple[str, _Value]] = field(default_factory=list)


def read_lines(text: str) -> list[str]:
    """Returns the lines that detect-secrets makes of a YAML document.

    Args:
        text: With line feeds only.

    Raises:
        Unsure: the document holds what only detect-secrets' own reader tells for sure, or libyaml
            cannot read it.
    """
    import yaml

    if _NOT_PLAIN.search(text):
        raise Unsure
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event, yaml)
    except Unreadable:
        return []
    except yaml.YAMLError:
        raise Unsure from None
    return _written(sorted(reader.found, key=lambda found: found[2]), text.splitlines())


class _Reader:
    """Gathers key, value and line of each text value of a mapping."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, int]] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, _Value] = {}
        self._in_flow_mapping = False
        self._num_documents = 0

    def take(self, event: Any, yaml: Any) -> None:
        """Reads on by one event."""
        kind = type(event)
        if self._in_flow_mapping and kind is not yaml.MappingEndEvent:
            raise Unsure
        if kind is yaml.ScalarEvent:
            self._check(event)
            at = self._open[-1] if self._open else None
            if at is not None and at.is_mapping and at.key is None:
                self._take_key(at, event)
                return
            plain = event.implicit[0]
            if plain and event.value == "=":
                raise Unsure  # a type of its own, which nothing reads
            value = _Value(event.value if not plain or _is_text(event.value) else None)
            self._name(event.anchor, value)
            self._place(value)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._check(event)
            if self._open and self._open[-1].is_mapping and self._open[-1].key is None:
                raise Unsure  # a key that is no text
            is_mapping = kind is yaml.MappingStartEvent
            self._in_flow_mapping = is_mapping and bool(event.flow_style)
            self._open.append(_Open(is_mapping, event.anchor))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._in_flow_mapping = False
            self._end()
        elif kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise Unsure  # unknown, or a collection that holds itself
            self._place(self._anchors[event.anchor], is_alias=True)
        elif kind is yaml.DocumentStartEvent:
            self._num_documents += 1
            if self._num_documents > 1:
                raise Unreadable

    @staticmethod
    def _check(event: Any) -> None:
        if event.tag is not None:
            # Its constructor knows the standard tags only, and stops at any other.
            raise Unsure if event.tag in _standard_tags() or event.tag == "!" else Unreadable

    @staticmethod
    def _take_key(at: _Open, event: Any) -> None:
        is_text = not event.implicit[0] or _is_text(event.value)
        # Two numbers may be the same key in other words.
        name = event.value if is_text or event.value == "<<" else ""
        if name in at.keys or event.anchor or event.start_mark.line != event.end_mark.line:
            raise Unsure
        at.keys.add(name)
        at.key, at.line = event.value, event.end_mark.line + 1

    def _name(self, anchor: str | None, value: _Value) -> None:
        if anchor is not None:
            if anchor in self._anchors:
                raise Unsure
            self._anchors[anchor] = value

    def _place(self, value: _Value, *, is_alias: bool = False) -> None:
        if not self._open:
            return
        at = self._open[-1]
        if not at.is_mapping:
            if is_alias and value.text is not None:
                raise Unsure  # the anchor's line becomes the alias's, wherever that is read
            return
        if at.key is None:
            raise Unsure  # an alias for a key
        if at.key == "<<" and value.text is not None:
            raise Unsure
        # detect-secrets notes an alias's line in the one node that it shares with its anchor.
        value.line = at.line
        at.values.append((at.key, value))
        at.key = None

    def _end(self) -> None:
        done = self._open.pop()
        self.found += [
            (key, value.text, value.line) for key, value in done.values if value.text is not None
        ]
        self._name(done.anchor, _Value(None))
        if self._open:
            self._open[-1].key = None


def _written(found: list[tuple[str, str, int]], source: list[str]) -> list[str]:
    lines: list[str] = []
    last = 0
    for key, value, number in found:
        if number == last:
            raise Unsure  # which of two comes first depends on their depth
        last = number
        while len(lines) < number - 1:
            lines.append("")
        comment = _COMMENT.search(source[number - 1].strip())
        quoted = value.replace('"', '\\"')
        lines.append(f'{key}: "{quoted}"{comment.group(0) if comment else ""}')
    return lines


def _is_text(value: str) -> bool:
    """Whether a plain scalar is text and no number, date or the like."""
    resolvers = _resolvers()
    first = resolvers.get(value[:1] if value else "", ())
    return not any(expression.match(value) for _, expression in first)


@cache
def _resolvers() -> dict[str, Any]:
    import yaml

    return yaml.SafeLoader.yaml_implicit_resolvers


@cache
def _standard_tags() -> frozenset[str]:
    import yaml

    return frozenset(tag for tag in yaml.SafeLoader.yaml_constructors if tag)
