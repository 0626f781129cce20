"""Comments, docstrings and prose of a document: where people are named.

Code is parsed with the grammars of `functions`; documents of other languages, and those too long to
parse in bounded time, are not read, and the caller counts them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tritter_assets.functions.grammar import GRAMMARS, MAX_SOURCE_BYTES, language_of

if TYPE_CHECKING:
    from tree_sitter import Node

_PROSE = frozenset({"markdown", "mdx", "restructuredtext", "text"})
_OF_LANGUAGE = {name: grammar.name for grammar in GRAMMARS.values() for name in grammar.names} | {
    "c": "cpp",
    "typescript": "javascript",
    "tsx": "javascript",
}
# Markers of comments and docstrings, at the start or the end of a line.
_MARKERS = re.compile(
    r"^[ \t]*(?:#+!?|//[/!]?|/\*+!?|\*(?!/)|[rRuU]?(?:\"\"\"|'''))?[ \t]*"
    r"|[ \t]*(?:\*+/|\"\"\"|''')?[ \t\r]*$",
    re.MULTILINE,
)


class Passage(NamedTuple):
    """A comment, a run of line comments, a docstring or a whole page of prose."""

    line: int
    """1-based number of its first line in the document."""
    text: str
    """Without comment markers; its lines are those of the document."""


def passages(content: str, language: str | None, *, max_chars: int) -> list[Passage] | None:
    """Returns what a document says in words, or None where its language is not read.

    Args:
        content: The document.
        language: Value of the document column.
        max_chars: Passages beyond so many characters are left out.
    """
    name = (language or "").lower()
    if name in _PROSE:
        return [Passage(1, content[:max_chars])]
    grammar = _OF_LANGUAGE.get(name)
    raw = content.encode()
    if grammar is None or len(raw) > MAX_SOURCE_BYTES:
        return None
    from tree_sitter import Parser

    found: list[Passage] = []
    for line, text in _joined(_nodes(Parser(language_of(grammar)).parse(raw).root_node, raw)):
        found.append(Passage(line, _MARKERS.sub("", text)[:max_chars]))
        max_chars -= len(text)
        if max_chars <= 0:
            break
    return found


def _nodes(root: Node, raw: bytes) -> list[tuple[int, int, str]]:
    """Returns (first line, last line, text) of comments and docstrings, in order."""
    found: list[tuple[int, int, str]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type.endswith("comment") or _is_docstring(node):
            text = raw[node.start_byte : node.end_byte].decode("utf-8", "replace")
            text = text.rstrip("\n")
            found.append(
                (node.start_point[0] + 1, node.start_point[0] + text.count("\n") + 1, text)
            )
        else:
            waiting.extend(reversed(node.children))
    return found


def _is_docstring(node: Node) -> bool:
    return (
        node.type == "expression_statement"
        and node.child_count == 1
        and node.children[0].type == "string"
    )


def _joined(nodes: list[tuple[int, int, str]]) -> list[tuple[int, str]]:
    """Joins comments of adjacent lines: a sentence goes on from one to the next."""
    found: list[tuple[int, str]] = []
    previous = -1
    for first, last, text in nodes:
        if found and first == previous + 1:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{text}")
        else:
            found.append((first, text))
        previous = last
    return found
