"""The outline of one source file: its outermost functions and methods, named and documented.

Nested functions stay part of the function that holds them. A function whose syntax tree holds an
error is left out. Cost: one parse, one query, then a sort by position; linear in the file.

Blind spots: functions assigned to object properties or made by macros; C++ declarators with more
than 16 levels; documentation that does not stand directly above (or, in Python, inside) a function.
"""

from __future__ import annotations

import bisect
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.functions.grammar import GRAMMARS, Grammar, parse, query_matches

if TYPE_CHECKING:
    from tree_sitter import Node

_MAX_DECLARATORS = 16
_MAX_PIECES_ABOVE = 256
_RECEIVER_TYPE = re.compile(rb"([A-Za-z_]\w*)\s*(?:\[[^\]]*\])?\s*\)$")
_COMMENT_LEAD = re.compile(r"^\s*(?:///?!?|//!|/\*\*?!?|\*/|\*(?!/))[ \t]?")
_STRING_QUOTES = re.compile(r"^[A-Za-z]{0,2}('''|\"\"\"|'|\")")
_SPACE = b" \t\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionOutline:
    """One function of a file. Byte offsets are into the UTF-8 source; lines count from 1."""

    name: str
    qualified_name: str
    container: str
    """Qualified name of the class, trait, impl or module around it; empty at top level."""
    docstring: str
    """Cleaned documentation; empty when there is none."""
    start_byte: int
    """Of the first documentation comment, attribute or decorator that belongs to it."""
    end_byte: int
    start_line: int
    end_line: int
    node: Node
    """The function's own node, for callers that look inside."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The functions of a file in order of position, and how many were left out as broken."""

    functions: tuple[FunctionOutline, ...]
    num_broken: int


@dataclass(slots=True)
class _Found:
    node: Node
    name: str


def outline(language: str, source: bytes) -> Outline | None:
    """Finds the functions of a file.

    Args:
        language: Key of `GRAMMARS`.
        source: UTF-8.

    Returns:
        None when the file is over the bounds on size or matches.
    """
    grammar = GRAMMARS[language]
    tree = parse(language, source)
    matches = None if tree is None else query_matches(language, grammar.query, tree.root_node)
    if matches is None:
        return None
    functions: dict[int, _Found] = {}
    containers: list[_Found] = []
    wrappers: dict[int, int] = {}
    above: list[tuple[int, int, bool]] = []
    docstrings: dict[int, str] = {}
    for captures in matches:
        kind, nodes = next((k, v) for k, v in captures.items() if k not in _HELPERS)
        node = nodes[0]
        if kind == "function":
            functions[node.start_byte] = _Found(node, _function_name(grammar, source, captures))
        elif kind == "container":
            containers.append(_Found(node, _text(source, captures["name"][0])))
        elif kind == "wrapper":
            known = wrappers.get(node.end_byte, node.start_byte)
            wrappers[node.end_byte] = min(node.start_byte, known)
        elif kind == "documented":
            docstrings[node.start_byte] = _clean_string(_text(source, captures["docstring"][0]))
        else:
            above.append((node.start_byte, node.end_byte, kind == "comment"))
    above.sort()
    found: list[FunctionOutline] = []
    num_broken = 0
    for function, container in _outermost(functions, containers, grammar.separator):
        node = function.node
        if node.has_error or not function.name:
            num_broken += 1
            continue
        start = min(node.start_byte, wrappers.get(node.end_byte, node.start_byte))
        start, comments = _attach(source, above, start, grammar)
        docstring = docstrings.get(node.start_byte, "") or _clean_comments(comments)
        qualified = grammar.separator.join(part for part in (container, function.name) if part)
        first_line = node.start_point.row + 1 - source.count(b"\n", start, node.start_byte)
        found.append(
            FunctionOutline(
                name=re.split(r"::|\.", function.name)[-1],
                qualified_name=qualified,
                container=container,
                docstring=docstring,
                start_byte=start,
                end_byte=node.end_byte,
                start_line=first_line,
                end_line=node.end_point.row + 1,
                node=node,
            )
        )
    return Outline(tuple(found), num_broken)


_HELPERS = frozenset({"name", "docstring", "declarator", "receiver"})


def source_of(source: bytes, function: FunctionOutline) -> str:
    """Returns a function's text from the start of its line, its own indentation taken off."""
    line_start = source.rfind(b"\n", 0, function.start_byte) + 1
    lead = source[line_start : function.start_byte]
    text = source[function.start_byte : function.end_byte].decode("utf-8", "replace")
    if lead.strip() or not lead:
        return text
    indent = lead.decode()
    first, *rest = text.split("\n")
    if any(line.strip() and not line.startswith(indent) for line in rest):
        return indent + text
    return "\n".join([first, *(line.removeprefix(indent) for line in rest)])


def _outermost(
    functions: dict[int, _Found], containers: list[_Found], separator: str
) -> Iterator[tuple[_Found, str]]:
    """Yields functions that no other function holds, with the qualified name of what holds them."""
    spans = [(f.node.start_byte, -f.node.end_byte, True, f) for f in functions.values()]
    spans += [(c.node.start_byte, -c.node.end_byte, False, c) for c in containers]
    spans.sort(key=lambda span: span[:3])
    stack: list[tuple[int, bool, str]] = []
    num_functions_open = 0
    for start, negative_end, is_function, found in spans:
        while stack and stack[-1][0] <= start:
            num_functions_open -= stack.pop()[1]
        if num_functions_open == 0:
            prefix = stack[-1][2] if stack else ""
            qualified = f"{prefix}{separator}{found.name}" if prefix else found.name
            if is_function:
                yield found, prefix
        else:
            qualified = ""
        # A chain of hostile containers must not build names of quadratic length.
        stack.append((-negative_end, is_function, qualified[:512]))
        num_functions_open += is_function


def _attach(
    source: bytes, above: list[tuple[int, int, bool]], start: int, grammar: Grammar
) -> tuple[int, list[str]]:
    """Takes in the documentation comments and attributes that stand directly above `start`."""
    comments: list[str] = []
    index = bisect.bisect_left(above, (start,)) - 1
    for _ in range(_MAX_PIECES_ABOVE):
        if index < 0:
            break
        begin, end, is_comment = above[index]
        text = source[begin:end].rstrip(_SPACE)
        gap = source[begin + len(text) : start]
        if gap.strip(_SPACE) or gap.count(b"\n") > 1:
            break
        if is_comment:
            decoded = text.decode("utf-8", "replace")
            line_start = source.rfind(b"\n", 0, begin) + 1
            trails_code = source[line_start:begin].strip(_SPACE)
            if trails_code or not decoded.startswith(grammar.doc_starts or ("\0",)):
                break
            comments.append(decoded)
        start, index = begin, index - 1
    return start, comments[::-1]


def _text(source: bytes, node: Node) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _function_name(grammar: Grammar, source: bytes, captures: dict[str, list[Node]]) -> str:
    if "declarator" in captures:
        return _declared_name(source, captures["declarator"][0])
    name = _text(source, captures["name"][0])
    if "receiver" in captures:
        receiver = captures["receiver"][0]
        match = _RECEIVER_TYPE.search(source, receiver.start_byte, receiver.end_byte)
        if match:
            return f"{match.group(1).decode()}{grammar.separator}{name}"
    return name


def _declared_name(source: bytes, declarator: Node) -> str:
    node: Node | None = declarator
    inside_function = False
    for _ in range(_MAX_DECLARATORS):
        if node is None:
            return ""
        if inside_function and node.type.endswith(("identifier", "_name", "operator_cast")):
            return " ".join(_text(source, node).split())[:256]
        inside_function = inside_function or node.type == "function_declarator"
        following = node.child_by_field_name("declarator")
        if following is None and node.named_child_count:
            following = node.named_children[0] if not inside_function else None
        node = following
    return ""


def _clean_string(literal: str) -> str:
    match = _STRING_QUOTES.match(literal)
    if match is None:
        return ""
    quotes = match.group(1)
    body = literal[match.end() :].removesuffix(quotes)
    return inspect.cleandoc(body).strip()


def _clean_comments(comments: list[str]) -> str:
    lines = [
        _COMMENT_LEAD.sub("", line.removesuffix("*/").rstrip())
        for comment in comments
        for line in comment.split("\n")
    ]
    return "\n".join(lines).strip()
