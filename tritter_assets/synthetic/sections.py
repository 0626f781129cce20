"""Cuts Markdown and reStructuredText documents into headings and the prose right below them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATX = re.compile(r"^(#{1,5})\s+(.+?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_RULE = re.compile(r"^([=\-~^\"'#*+.:_`])\1{2,}\s*$")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text up to the next heading of any level."""

    title: str
    body: str


def sections_of(language: str, text: str) -> list[Section]:
    """Returns the sections in order; text before the first heading belongs to none."""
    lines = text.replace("\r\n", "\n").split("\n")
    heads = _markdown_heads(lines) if language == "markdown" else _rst_heads(lines)
    ends = [start for start, _, _ in heads[1:]] + [len(lines)] * bool(heads)
    return [
        Section(_plain(title), "\n".join(lines[begin:end]).strip())
        for (_, begin, title), end in zip(heads, ends, strict=True)
    ]


def _markdown_heads(lines: list[str]) -> list[tuple[int, int, str]]:
    """Returns (line of the heading, first line of the body, title)."""
    found = []
    inside = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            inside = not inside
        match = _ATX.match(line)
        if match and not inside:
            found.append((number, number + 1, match.group(2)))
    return found


def _rst_heads(lines: list[str]) -> list[tuple[int, int, str]]:
    found = []
    for number in range(len(lines) - 1):
        title, under = lines[number].rstrip(), lines[number + 1].rstrip()
        if not title or title[0].isspace() or _RULE.match(title) or not _RULE.match(under):
            continue
        if len(under) >= len(title) and (number == 0 or not lines[number - 1].strip()
                                         or _RULE.match(lines[number - 1])):  # fmt: skip
            over = number > 0 and _RULE.match(lines[number - 1]) is not None
            found.append((number - over, number + 2, title))
    return found


def _plain(title: str) -> str:
    """Returns a heading without links, roles and emphasis."""
    title = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", title)
    title = re.sub(r":[\w:]+:`~?([^`<]+?)(?:\s*<[^>]*>)?`", r"\1", title)
    return re.sub(r"\*\*|\{[#.][^}]*\}|<[^>]+>", "", title).strip()
