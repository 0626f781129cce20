"""INI files as detect-secrets reads them, without an expression compiled for each key.

detect-secrets lets `configparser` read the file, then looks for the line of each value again, since
`configparser` does not tell it. The same lines come out here in time linear in the file.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator

_COMMENT = re.compile(r"\s*[;#]")
_SIGNS = " :="


def read_lines(text: str, *, has_header: bool) -> list[str]:
    """Returns the lines that detect-secrets makes of an INI file.

    Args:
        text: With line feeds only.
        has_header: A section header stands before the text.

    Raises:
        configparser.Error: it is no INI file.
    """
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string("[global]\n" + text if has_header else text)
    if not parser.sections():
        raise configparser.Error("no section")
    search = _Search([line.strip() for line in text.split("\n")])
    lines: list[str] = []
    for section in parser:
        for key, values in parser.items(section):
            for value, number in search.places(key, values):
                if not value:
                    continue
                while len(lines) < number - 1:
                    lines.append("")
                lines.append(value if _is_pragma(value) else _quoted(key, value))
    return lines


class _Search:
    """Looks for values in the lines that follow those found before."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def places(self, key: str, values: str) -> Iterator[tuple[str, int]]:
        """Yields each line of a value and its number; comments that allow the next line too."""
        first, *more = values.splitlines() or [""]
        wanted = [first, *filter(None, more)] if values else []
        if not wanted:
            return
        found = 0
        begin = self._at
        self._at = len(self._lines)
        for number in range(begin, len(self._lines)):
            line = self._lines[number]
            if _is_pragma(line):
                yield line, number + 1
            elif not line or _COMMENT.match(line):
                continue
            elif found == 0:
                if _assigns(line, key, wanted[0]):
                    yield wanted[0], number + 1
                    found = 1
            elif found == len(wanted):
                self._at = max(number, begin + 1)
                return
            else:
                yield wanted[found], number + 1
                found += 1


def _assigns(line: str, key: str, value: str) -> bool:
    """Whether a line is the key, one sign or several, and the value."""
    if not line.startswith(key):
        return False
    place = len(key)
    while place < len(line) and line[place] in _SIGNS:
        place += 1
        if line.startswith(value, place):
            return True
    return False


def _quoted(key: str, value: str) -> str:
    if value[0] in "'\"" and value[-1] == value[0]:
        value = value[1:-1]
    escaped = value.replace('"', '\\"')
    return f'{key} = "{escaped}"'


def _is_pragma(line: str) -> bool:
    if "pragma" not in line:
        return False
    from detect_secrets.filters.allowlist import get_allowlist_regexes

    return any(
        get_allowlist_regexes(comment_tuple=(sign, ""), nextline=True).search(line) for sign in "#;"
    )
