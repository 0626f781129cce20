"""Where a finding stands in its document: what is written over, and what is left alone.

A detector reports a value; the place is the one its expression matched, so that in
`password = "password"` the string is redacted and the name is not. A private key reaches from its
BEGIN to its END line, and only where a key stands between them: parsers and documentation are full
of the marker alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tritter_assets.filters.secret_plugins import (
    ENTROPY_PLUGINS,
    Finding,
    is_quick,
    keyword_patterns,
    plugins,
)

Places = list[tuple[int, int]]

WHOLE_MATCH = frozenset({"GitHubTokenDetector", "GitLabTokenDetector"})
"""Plugins whose expression captures only a prefix of the token, which is then all that
detect-secrets reports (`ghp`); here the whole match is the secret."""

_SURELY_NO_NAME_CHARS = 12
"""A value this long is redacted wherever its line repeats it; a shorter one may be a name too."""

_FOLDED_CHARS = 4096
"""How far from its line a value of INI or YAML is looked for."""

_LONGEST_KEY_CHARS = 16_384
_END_OF_KEY = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/]{40}")
_KEY_LINES = re.compile(r"(?:\W*[A-Za-z0-9+/]{40,}={0,2}\W*?(?:\\n|\n|$))+")


class Placer:
    """Finds places in one document; remembers the line it looked at last."""

    def __init__(self, path: str, content: str) -> None:
        self._path = path
        self._content = content
        self._line: tuple[str, int] = ("", -1)
        self._matched: dict[str, Places] = {}

    def places(self, finding: Finding) -> Places:
        """Returns the places of a finding; none for a private key's marker without a key."""
        begin = finding.line_start
        end = _line_end(self._content, begin)
        spans = list(self._exact(finding, begin, end)) if finding.is_literal else []
        if not spans or len(finding.secret) >= _SURELY_NO_NAME_CHARS:
            spans = sorted({*spans, *_occurrences(self._content, finding.secret, begin, end)})
        if not spans and not finding.is_literal:
            spans = self._unfolded(finding, begin, end)
        if finding.plugin == "PrivateKeyDetector":
            keys = (_whole_key(self._content, start, stop) for start, stop in spans)
            return [key for key in keys if key is not None]
        return spans

    def _exact(self, finding: Finding, begin: int, end: int) -> Places:
        if self._line != (finding.plugin, begin):
            self._line = (finding.plugin, begin)
            self._matched = defaultdict(list)
            text = self._content[begin:end].rstrip()
            if is_quick(text, finding.plugin):
                for value, start, stop in _matches(finding.plugin, self._path, text):
                    self._matched[value].append((begin + start, begin + stop))
        return self._matched.get(finding.secret, [])

    def _unfolded(self, finding: Finding, begin: int, end: int) -> Places:
        """Places of a value of INI or YAML that its line does not hold as it is.

        It stands on further lines (detect-secrets names the last), or an escape hides it. What
        cannot be found is redacted from its sign to the end of its line.
        """
        near = max(begin - _FOLDED_CHARS, 0), min(end + _FOLDED_CHARS, len(self._content))
        value = r"\s+".join(re.escape(word) for word in finding.secret[:_FOLDED_CHARS].split())
        spans = [match.span() for match in re.compile(value).finditer(self._content, *near)]
        if spans:
            return spans
        sign = re.compile(r"[:=]\s*").search(self._content, begin, end)
        return [(sign.end() if sign else begin, end)]


def _matches(name: str, path: str, text: str) -> Iterator[tuple[str, int, int]]:
    """Yields value, start and end of what a plugin's expressions capture in a line."""
    plugin: Any = plugins(())[name]
    if name == "KeywordDetector":
        for expression, group in keyword_patterns(path).items():
            if match := expression.search(text):
                yield match.group(group), *match.span(group)
        return
    for expression in (plugin.regex,) if name in ENTROPY_PLUGINS else plugin.denylist:
        for match in expression.finditer(text):
            for group in range(1, expression.groups + 1) if expression.groups else (0,):
                if match.group(group):
                    whole = 0 if name in WHOLE_MATCH else group
                    yield match.group(group), *match.span(whole)


def _occurrences(content: str, secret: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    place = content.find(secret, begin, end)
    while place >= 0:
        yield place, place + len(secret)
        place = content.find(secret, place + len(secret), end)


def _whole_key(content: str, start: int, end: int) -> tuple[int, int] | None:
    opening = content.rfind("-----", max(start - 5, 0), start)
    start = opening if opening >= 0 else start
    closing = _END_OF_KEY.search(content, end, end + _LONGEST_KEY_CHARS)
    if closing and _KEY_TEXT.search(content, end, closing.start()):
        return start, closing.end()
    # A key that is cut off has no END line.
    line = _line_end(content, end)
    rest = _KEY_LINES.match(content, min(line + 1, len(content)), line + _LONGEST_KEY_CHARS)
    return (start, rest.end()) if rest and not closing else None


def _line_end(content: str, begin: int) -> int:
    ends = [end for sign in "\n\r" if (end := content.find(sign, begin)) >= 0]
    return min(ends, default=len(content))
