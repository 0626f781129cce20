"""When a function is well written: rules that can be measured, none of them mere taste.

A function passes when it is documented (`documentation.is_request`), of moderate length, does
something (three lines or more beside documentation and comments), has no line over 100 characters,
nests at most four blocks, uses names of two letters or more beside a few
that everyone knows, spaces its operators, and carries none of the marks of unfinished work. Python
must annotate every parameter and its return; Rust must not unwrap or use `unsafe`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, read_code

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_LINE = 100
MIN_LINES = 5
MAX_LINES = 60
MIN_BODY_LINES = 3
MAX_DEPTH = 4
SHORT_NAMES = frozenset(["_", "i", "j", "k", "n", "x", "y", "z", "f", "e", "s"])
_UNFINISHED = re.compile(
    r"\b(TODO|FIXME|XXX|HACK)\b|noqa|type:\s*ignore|pylint:|pyright:|mypy:|clippy::"
)
_BLOCKS = {
    "python": frozenset({"block"}),
    "rust": frozenset({"block", "match_block"}),
}
_BAD = {
    "python": re.compile(r"\bexcept\s*:|\bprint\(|\bglobal\s|\beval\(|\bexec\(|\s;\s"),
    "rust": re.compile(r"\.unwrap\(\)|\bunsafe\b|\btodo!|\bunimplemented!|\bdbg!|\bprintln!"),
}
_BINDERS = {
    "python": frozenset({"assignment", "for_statement", "for_in_clause", "named_expression"}),
    "rust": frozenset({"let_declaration", "for_expression", "parameter", "let_condition"}),
}
_IMPLICIT = frozenset({"self", "cls"})


def bounds() -> tuple[object, ...]:
    """Returns what decides whether a function is well written, for code versions."""
    patterns = [_UNFINISHED.pattern, *(bad.pattern for bad in _BAD.values())]
    numbers = (MAX_LINE, MIN_LINES, MAX_LINES, MIN_BODY_LINES, MAX_DEPTH)
    return (*numbers, sorted(SHORT_NAMES), patterns)


def untidy_text(language: str, text: str) -> str:
    """Returns the first rule that a function breaks as a text, empty if it breaks none."""
    lines = text.split("\n")
    if not MIN_LINES <= len(lines) <= MAX_LINES:
        return "length"
    if max(len(line) for line in lines) > MAX_LINE:
        return "long_line"
    if language == "python" and "->" not in text:
        return "unannotated"
    if _num_body_lines(language, lines) < MIN_BODY_LINES:
        return "little_body"
    return "unfinished" if _UNFINISHED.search(text) or _BAD[language].search(text) else ""


def untidy_tree(language: str, text: str) -> str | Code:
    """Returns the first rule that a function's tree breaks, or the parsed function."""
    code = read_code(language, text.encode("utf-8", "surrogatepass"))
    if code is None:
        return "unreadable"
    if _depth(code.root, _BLOCKS[language]) > MAX_DEPTH:
        return "nesting"
    if _has_short_name(language, code):
        return "names"
    if language == "python" and not _annotated(code):
        return "unannotated"
    return code


def _num_body_lines(language: str, lines: list[str]) -> int:
    """Counts indented lines that are neither blank, nor comment, nor in a documentation string."""
    quotes, count = "", 0
    for line in lines[1:]:
        text = line.strip()
        if quotes:
            quotes = "" if quotes in text else quotes
        elif language == "python" and not count and text.startswith(_QUOTES):
            mark = text.lstrip("rR")[:3]
            quotes = mark if text.count(mark) == 1 else ""
        elif line[:1].isspace() and text and not text.startswith(_COMMENT_MARKS):
            count += 1
    return count


_QUOTES = ('"""', "'''", 'r"""', 'R"""')
_COMMENT_MARKS = ("#", "//", ")", "}")


def _depth(root: Node, kinds: frozenset[str]) -> int:
    deepest = 0
    pending = [(root, 0)]
    while pending:
        node, depth = pending.pop()
        depth += node.type in kinds
        deepest = max(deepest, depth)
        pending += [(child, depth) for child in node.named_children]
    return deepest


def _has_short_name(language: str, code: Code) -> bool:
    for node in code.nodes:
        if node.type in _BINDERS[language]:
            target = node.child_by_field_name("left") or node.child_by_field_name("pattern")
            if target is not None and target.type == "identifier":
                name = code.text(target)
                if len(name) < 2 and name not in SHORT_NAMES:
                    return True
    return False


def _annotated(code: Code) -> bool:
    function = next((node for node in code.nodes if node.type == "function_definition"), None)
    if function is None or function.child_by_field_name("return_type") is None:
        return False
    parameters = function.child_by_field_name("parameters")
    return parameters is not None and all(
        child.type in {"typed_parameter", "typed_default_parameter", "keyword_separator",
                       "positional_separator", "comment"}
        or code.text(child) in _IMPLICIT
        for child in parameters.named_children
    )  # fmt: skip
