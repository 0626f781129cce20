"""Globs over paths with `/`: `*` and `?` stay inside a folder, `**` crosses folders."""

from __future__ import annotations

import re
from functools import lru_cache


def translate_glob(pattern: str) -> str:
    """Returns the regular expression of a glob, to be used with `fullmatch`.

    `**/` matches any number of folders, none included; `[a-z]`, `[!a-z]` and `{md,rst}` work as in
    a shell. A pattern is anchored at the root: `*.md` matches only files of the top folder.
    """
    out: list[str] = []
    position, depth = 0, 0
    while position < len(pattern):
        char = pattern[position]
        if pattern.startswith("**/", position):
            out.append("(?:[^/]+/)*")
            position += 3
            continue
        if pattern.startswith("**", position):
            out.append(".*")
            position += 2
            continue
        closing = pattern.find("]", position + 2) if char == "[" else -1
        if closing > 0:
            body = pattern[position + 1 : closing].replace("\\", "\\\\")
            out.append(f"[{'^' + body[1:] if body[0] == '!' else body}]")
            position = closing + 1
            continue
        if char == "{" and "}" in pattern[position:]:
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
        position += 1
    return "".join(out)


@lru_cache(maxsize=256)
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{translate_glob(pattern)})" for pattern in patterns) or r"(?!)")


def selects(path: str, include: tuple[str, ...], exclude: tuple[str, ...] = ()) -> bool:
    """True when some include glob and no exclude glob matches the whole path."""
    if _compile(include).fullmatch(path) is None:
        return False
    return _compile(exclude).fullmatch(path) is None
