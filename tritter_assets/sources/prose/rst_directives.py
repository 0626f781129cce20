"""The parts of a reStructuredText directive: argument, options, content; tables and file parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tritter_assets.sources.prose.directives import OBJECTS

FIELD = re.compile(r":((?:[^:\n`\\]|\\.){1,120}):(?:\s+(.*))?$")
"""A field of a list, or an option of a directive: `:name: value`."""

INLINE_TEXT = frozenset({"note", "warning", "tip", "important", "hint", "caution", "attention",
                          "danger", "error", "seealso", "todo"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of a page, taken apart."""

    name: str
    argument: str
    options: dict[str, str]
    body: list[str]


def split_parts(argument: str, body: list[str], name: str) -> tuple[str, dict[str, str], list[str]]:
    """Splits a directive's body into the rest of its argument, its options and its content."""
    at = 0
    if argument:
        joiner = "\n" if name in OBJECTS else " "
        while at < len(body) and body[at] and not FIELD.match(body[at]):
            argument = f"{argument}{joiner}{body[at]}"
            at += 1
    options: dict[str, str] = {}
    while at < len(body) and (option := FIELD.match(body[at])):
        options[option[1]] = option[2] or ""
        at += 1
        while at < len(body) and body[at].startswith("   "):  # an option of many lines
            at += 1
    return argument, options, body[at:]


def chosen_part(lines: list[str], options: dict[str, str]) -> list[str]:
    """Cuts what the options `lines`, `start-after`, ... leave of an included file."""
    chosen = options.get("lines", "")
    if chosen:
        kept: list[str] = []
        for part in chosen.split(",")[:200]:
            first, dash, last = part.strip().partition("-")
            if first.isdigit():
                end = int(last) if last.isdigit() else (len(lines) if dash else int(first))
                kept += lines[max(int(first) - 1, 0) : end]
        return kept
    after = options.get("start-after") or options.get("start-at")
    before = options.get("end-before") or options.get("end-at")
    start = next((i for i, line in enumerate(lines) if after and after in line), None)
    if after and start is not None:
        lines = lines[start + ("start-after" in options) :]
    end = next((i for i, line in enumerate(lines) if before and before in line), None)
    if before and end is not None:
        lines = lines[: end + ("end-at" in options)]
    return lines


def list_table(body: list[str], inline: Callable[[str], str]) -> Iterator[str]:
    """`* - a` rows as lines of a Markdown table; cells of many lines are joined."""
    rows: list[list[str]] = []
    for line in body:
        stripped = line.strip()
        if line.startswith("* -"):
            rows.append([stripped[3:].strip()])
        elif rows and line.startswith("  -"):
            rows[-1].append(stripped[1:].strip())
        elif rows and stripped:
            rows[-1][-1] = f"{rows[-1][-1]} {stripped}".strip()
    for number, row in enumerate(rows):
        yield f"| {' | '.join(inline(cell) for cell in row)} |"
        if number == 0:
            yield f"|{' --- |' * len(row)}"
