"""Rust's comments, strings and attributes: where they end and what documentation they hold."""

from __future__ import annotations

import re

_PLAIN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_ATTRIBUTE_MARK = re.compile(r"[\[\]\"]|//[^\n]*")


def doc_kind(comment: str, mark: str) -> str:
    """`outer`, `inner` or nothing; `////`, `/***` and `/**/` are plain comments."""
    if comment.startswith(f"{mark}!"):
        return "inner"
    last = mark[1]
    is_outer = comment.startswith(f"{mark}{last}") and comment[3:4] != last
    return "outer" if is_outer and comment != "/**/" else ""


def block_lines(comment: str) -> list[str]:
    """Lines of `/** ... */` without the column of stars."""
    lines = comment[3:].removesuffix("*/").split("\n")
    starred = [line.lstrip() for line in lines[1:] if line.strip()]
    if starred and all(line.startswith("*") for line in starred):
        return [lines[0], *(line.lstrip().removeprefix("*") for line in lines[1:])]
    return lines


_DOC_ATTRIBUTE = re.compile(r"doc\s*=\s*(.*)", re.DOTALL)
# An unclosed string runs to the end: looking for its end again at each quote would be quadratic.
_DOC_PIECE = re.compile(
    r'r(#*)"(.*?)(?:"\1|\Z)|"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)'
    r"|stringify!\(([^()]{0,200})\)|(\$\w+)",
    re.DOTALL,
)
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\", r"\'": "'", "\\\n": ""}
_ESCAPE = re.compile(r"\\(?:\n[ \t]*|.)", re.DOTALL)


def doc_attribute(body: str) -> list[str] | None:
    """The lines of `#[doc = "..."]`, also of `concat!` with `stringify!`; None for any other."""
    match = _DOC_ATTRIBUTE.fullmatch(body)
    if match is None:
        return None
    if match[1].startswith("include_str!"):
        return []
    parts = [
        piece[2]
        if piece[2] is not None
        else _ESCAPE.sub(lambda e: _ESCAPES.get(e[0][:2], e[0]), piece[3])
        if piece[3] is not None
        else (piece[4] or piece[5] or "").strip()
        for piece in _DOC_PIECE.finditer(match[1])
    ]
    # A `///` line has a blank after its mark, and both kinds may stand in one item.
    return [f" {line}" for line in "".join(parts).split("\n")] if parts else []


def comment_end(text: str, position: int) -> int:
    """Returns the place after a `/*` comment, which may hold others."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def string_end(text: str, position: int, hashes: str | None) -> int:
    """Returns the place after a string; `hashes` are those of a raw string, None for any other."""
    if hashes is not None:
        close = f'"{hashes}'
        found = text.find(close, position)
        return len(text) if found < 0 else found + len(close)
    match = _PLAIN_STRING.match(text, position)
    return len(text) if match is None else match.end()


def attribute_end(text: str, position: int) -> int:
    """Returns the place after an attribute's closing bracket."""
    depth, end = 1, len(text)
    while position < end:
        mark = _ATTRIBUTE_MARK.search(text, position)
        if mark is None:
            return end
        position = mark.end()
        if mark[0] == '"':
            hashes = re.search(r"r(#*)$", text[max(0, mark.start() - 8) : mark.start()])
            position = string_end(text, position, hashes[1] if hashes else None)
        elif mark[0] in "[]":
            depth += 1 if mark[0] == "[" else -1
            if depth == 0:
                return position
    return end
