"""Seeded faults in code: one change that a reviewer would call a bug, at a place in the syntax.

A mutation is a replacement of one byte range. Candidates come from the syntax tree, never from text
search, so strings and comments stay as they are; the result must still parse.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.functions.grammar import parse, query_matches

if TYPE_CHECKING:
    from tree_sitter import Node

COMPARISONS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "===": "!==", "!==": "===",
    "is": "is not", "in": "not in", "not in": "in", "is not": "is",
}  # fmt: skip
OPERATORS = {"+": "-", "-": "+", "*": "+", "/": "*", "//": "/", "%": "/", "and": "or", "or": "and",
             "&&": "||", "||": "&&", "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+="}  # fmt: skip
MAX_LITERAL = 64

KINDS = (
    "wrong_comparison",
    "operator_swap",
    "off_by_one",
    "dropped_return",
    "removed_error_handling",
)

QUERIES: dict[str, str] = {
    "python": """
(comparison_operator operators: _ @comparison)
(binary_operator operator: _ @operator)
(boolean_operator operator: _ @operator)
(augmented_assignment operator: _ @operator)
(integer) @number
(return_statement (_) @value) @return
(try_statement body: (block) @body) @guard
""",
    "rust": """
(binary_expression operator: _ @operator)
(compound_assignment_expr operator: _ @operator)
(integer_literal) @number
(try_expression (_) @value) @guard
""",
    "javascript": """
(binary_expression operator: _ @operator)
(augmented_assignment_expression operator: _ @operator)
(number) @number
(return_statement (_) @value) @return
(try_statement body: (statement_block) @body) @guard
""",
    "go": """
(binary_expression operator: _ @operator)
(int_literal) @number
(if_statement condition: (binary_expression right: (nil))) @guard
""",
    "cpp": """
(binary_expression operator: _ @operator)
(number_literal) @number
(try_statement body: (compound_statement) @body) @guard
""",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """One fault. `before` and `after` are the changed text, shortened for reading."""

    kind: str
    start_byte: int
    end_byte: int
    replacement: str
    line: int
    """Of the change, from 1."""
    before: str
    after: str


def mutate(language: str, code: str, seed: str) -> tuple[str, Mutation] | None:
    """Returns the code with one fault, and the fault; None when no place for one was found.

    Kinds are tried in an order that the seed gives, places within a kind likewise, so the same code
    and seed give the same fault everywhere. The first that still parses without error is taken.
    """
    source = code.encode("utf-8", "surrogatepass")
    tree = parse(language, source)
    if tree is None or tree.root_node.has_error:
        return None
    matches = query_matches(language, QUERIES[language], tree.root_node) or []
    found = [
        mutation for captures in matches for mutation in _mutations(language, source, captures)
    ]
    ranked = sorted(found, key=lambda m: (_rank(seed, m.kind), _rank(seed, m.kind, m.start_byte)))
    for mutation in ranked[:_MAX_TRIES]:
        changed = (
            source[: mutation.start_byte]
            + mutation.replacement.encode()
            + source[mutation.end_byte :]
        )
        again = parse(language, changed)
        if again is not None and not again.root_node.has_error and changed != source:
            return changed.decode("utf-8", "surrogatepass"), mutation
    return None


_MAX_TRIES = 8


def _rank(*key: object) -> bytes:
    return hashlib.sha256("\0".join(str(part) for part in key).encode()).digest()


def _mutations(language: str, source: bytes, captures: dict[str, list[Node]]) -> Iterator[Mutation]:
    for kind, nodes in captures.items():
        make = _MAKERS.get(kind)
        if make is None:
            continue
        for node in nodes:
            made = make(language, source, node, captures)
            if made is None:
                continue
            name, start, end, text = made
            yield Mutation(
                kind=name,
                start_byte=start,
                end_byte=end,
                replacement=text,
                line=source.count(b"\n", 0, start) + 1,
                before=_short(source[start:end].decode("utf-8", "replace")),
                after=_short(text),
            )


_Made = tuple[str, int, int, str] | None


def _operator(language: str, source: bytes, node: Node, _: dict[str, list[Node]]) -> _Made:
    text = " ".join(source[node.start_byte : node.end_byte].decode("utf-8", "replace").split())
    kind, other = "wrong_comparison", COMPARISONS.get(text)
    if other is None:
        kind, other = "operator_swap", OPERATORS.get(text)
    if other is None:
        return None
    return kind, node.start_byte, node.end_byte, other


def _number(language: str, source: bytes, node: Node, _: dict[str, list[Node]]) -> _Made:
    text = source[node.start_byte : node.end_byte].decode("utf-8", "replace")
    if not text.isascii() or not text.isdigit() or (len(text) > 1 and text[0] == "0"):
        return None
    value = int(text)
    if value > MAX_LITERAL:
        return None
    other = value - 1 if value > 1 and value % 2 else value + 1
    return "off_by_one", node.start_byte, node.end_byte, str(other)


def _return(language: str, source: bytes, node: Node, captures: dict[str, list[Node]]) -> _Made:
    value = captures["value"][0]
    if value.type in {"none", "null", "undefined"}:
        return None
    return "dropped_return", node.start_byte, value.start_byte, ""


def _guard(language: str, source: bytes, node: Node, captures: dict[str, list[Node]]) -> _Made:
    if language == "rust":
        value = captures["value"][0]
        return "removed_error_handling", value.end_byte, node.end_byte, ".unwrap()"
    if language == "go":
        return "removed_error_handling", node.start_byte, node.end_byte, ""
    body = captures["body"][0]
    if language == "python":
        text = _dedented(source, body, node)
    else:
        text = source[body.start_byte + 1 : body.end_byte - 1].decode("utf-8", "replace").strip()
    return ("removed_error_handling", node.start_byte, node.end_byte, text) if text else None


def _dedented(source: bytes, body: Node, statement: Node) -> str:
    """Returns a Python block's statements at the indentation of the statement around it."""
    begin = source.rfind(b"\n", 0, body.start_byte) + 1
    if source[begin : body.start_byte].strip():
        return ""
    text = textwrap.dedent(source[begin : body.end_byte].decode("utf-8", "replace"))
    indent = " " * statement.start_point.column
    return textwrap.indent(text, indent).strip()


_MAKERS: dict[str, Callable[[str, bytes, Node, dict[str, list[Node]]], _Made]] = {
    "comparison": _operator,
    "operator": _operator,
    "number": _number,
    "return": _return,
    "guard": _guard,
}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
