"""Markdown as blocks of prose and fenced code, so that nothing that cleans prose touches code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"([ \t]*(?:>[ ]?)*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}|~{3,})[ \t]*(.*)")
_TICKS = re.compile(r"`{3,}")


@dataclass(slots=True)
class Block:
    """A run of prose lines, or one fenced code block without its fence lines."""

    lines: list[str] = field(default_factory=list)
    is_code: bool = False
    indent: str = ""
    """What stands before the fence: blanks, a quote mark or a list marker."""
    info: str = ""
    """The text after the opening fence, e.g. `rust,no_run`."""


def read_blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Splits Markdown lines; a fence that is never closed runs to the end, as in CommonMark."""
    block = Block()
    mark = ""
    for line in lines:
        if block.is_code:
            stripped = line.strip().lstrip("> ")
            if stripped.startswith(mark) and not stripped.strip(mark[0]):
                yield block
                block, mark = Block(), ""
            else:
                block.lines.append(line)
            continue
        match = _FENCE.fullmatch(line)
        if match and not (match[2][0] == "`" and "`" in match[3]):
            if block.lines:
                yield block
            mark = match[2]
            block = Block(is_code=True, indent=match[1], info=match[3].strip())
        else:
            block.lines.append(line)
    if block.lines or block.is_code:
        yield block


def fence_for(code: Iterable[str]) -> str:
    """Returns a fence that no line of the code can close."""
    longest = 2
    for line in code:
        if "```" in line:
            longest = max(longest, *(len(ticks) for ticks in _TICKS.findall(line)))
    return "`" * (longest + 1)


def fenced(code: list[str], language: str = "", indent: str = "") -> list[str]:
    """Returns the lines of a fenced block; blank lines around the code are left out."""
    start, end = 0, len(code)
    while start < end and not code[start].strip():
        start += 1
    while end > start and not code[end - 1].strip():
        end -= 1
    kept = code[start:end]
    mark = fence_for(kept)
    blank = " " * len(indent) if indent.strip(" \t>") else indent
    return [f"{indent}{mark}{language}", *kept, f"{blank}{mark}"]
