"""Safety rules of Python that change whole statements: queries, temporary files, errors, checks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit
from tritter_assets.synthetic.safety_rules import (
    Rule,
    called_instead,
    calls,
    first_call,
    keywords,
    positional,
    rule,
)

if TYPE_CHECKING:
    from tree_sitter import Node

_SIMPLE = frozenset({"identifier", "attribute"})


def _sql(code: Code, call: Node, arguments: Node) -> list[Edit]:
    given = positional(arguments)
    if len(given) != 2 or given[0].type != "string" or given[1].type not in {"tuple", "list"}:
        return []
    text = code.text(given[0])
    opening = code.text(given[0].children[0])
    values = [child for child in given[1].named_children if child.type in _SIMPLE]
    marks = re.findall(r"\?|%s", text)
    if not marks or len(marks) != given[1].named_child_count or len(values) != len(marks):
        return []
    if "{" in text or "'" in opening or opening not in {'"', '"""'}:
        return []
    for value in values:
        text = re.sub(r"\?|%s", lambda _, v=value: "'{" + code.text(v) + "}'", text, count=1)
    return [
        Edit(given[0].start_byte, given[0].end_byte, "f" + text),
        Edit(given[0].end_byte, given[1].end_byte, ""),
    ]


def _execute(code: Code) -> list[Edit]:
    for call, name, arguments in calls(code):
        if name.rsplit(".", 1)[-1] == "execute":
            edits = _sql(code, call, arguments)
            if edits:
                return edits
    return []


def _mkdtemp(code: Code, call: Node, arguments: Node) -> list[Edit]:
    statement = _plain_assignment(code, call)
    if statement is None or not set(keywords(code, arguments)) <= {"prefix", "suffix", "dir"}:
        return []
    name, node = statement
    indent = " " * node.start_point.column
    return [
        *called_instead(call, "tempfile.mktemp"),
        Edit(node.end_byte, node.end_byte, f"\n{indent}os.mkdir({name})"),
    ]


def _mkstemp(code: Code, call: Node, arguments: Node) -> list[Edit]:
    assignment = call.parent
    left = assignment.child_by_field_name("left") if assignment is not None else None
    if assignment is None or left is None or left.type != "pattern_list":
        return []
    names = [code.text(child) for child in left.named_children]
    if len(names) != 2 or not set(keywords(code, arguments)) <= {"prefix", "suffix", "dir"}:
        return []
    indent = " " * assignment.start_point.column
    opened = f"\n{indent}{names[0]} = os.open({names[1]}, os.O_RDWR | os.O_CREAT)"
    return [
        Edit(left.start_byte, left.end_byte, names[1]),
        *called_instead(call, "tempfile.mktemp"),
        Edit(assignment.end_byte, assignment.end_byte, opened),
    ]


def _plain_assignment(code: Code, call: Node) -> tuple[str, Node] | None:
    parent = call.parent
    left = parent.child_by_field_name("left") if parent is not None else None
    if parent is None or parent.type != "assignment" or left is None:
        return None
    if left.type not in {"identifier", "attribute"}:
        return None
    return code.text(left), parent


def _assert(code: Code) -> list[Edit]:
    """Turns a check of a parameter that raises into an `assert`, which `python -O` drops."""
    given = _parameters(code)
    for node in code.nodes:
        if node.type != "if_statement" or node.child_by_field_name("alternative") is not None:
            continue
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("consequence")
        if condition is None or body is None or body.named_child_count != 1:
            continue
        raised = body.named_children[0]
        call = raised.named_children[0] if raised.named_child_count == 1 else None
        if raised.type != "raise_statement" or call is None or call.type != "call":
            continue
        function, arguments = (call.child_by_field_name(n) for n in ("function", "arguments"))
        if function is None or arguments is None or arguments.named_child_count != 1:
            continue
        if code.text(function) not in {"ValueError", "TypeError", "PermissionError"}:
            continue
        message = code.text(arguments.named_children[0])
        held = code.text(condition)
        if condition.type == "not_operator":
            held = code.text(condition.named_children[0])
        elif held.endswith(" is None") and held.count(" ") == 2:
            held = held.replace(" is None", " is not None")
        else:
            held = f"not ({held})"
        if "\n" in held or "\n" in message or not given & set(re.findall(r"\w+", held)):
            continue
        return [Edit(node.start_byte, node.end_byte, f"assert {held}, {message}")]
    return []


def _parameters(code: Code) -> set[str]:
    for node in code.nodes:
        if node.type == "parameters":
            names = {word for child in node.named_children
                     for word in re.findall(r"^\W*(\w+)", code.text(child))}  # fmt: skip
            return names - {"self", "cls"}
    return set()


def _swallow(code: Code) -> list[Edit]:
    """Turns a handler that raises into one that hides every error."""
    for node in code.nodes:
        if node.type != "except_clause" or node.named_child_count < 2:
            continue
        body = node.named_children[-1]
        if body.type != "block" or body.named_children[-1].type != "raise_statement":
            continue
        if code.source[node.start_byte : body.start_byte].count(b"\n") != 1:
            continue
        siblings = (
            [c for c in node.parent.children if c.type == "except_clause"]
            if (node.parent is not None)
            else []
        )
        if len(siblings) != 1:
            continue
        indent = " " * body.named_children[0].start_point.column
        return [Edit(node.start_byte, body.end_byte, f"except Exception:\n{indent}pass")]
    return []


STATEMENT_RULES: tuple[Rule, ...] = (
    rule("sql_text", "CWE-89", ".execute(", _execute,
          "A bound parameter is never read as SQL; a value put into the text is."),
    rule("temporary_folder", "CWE-377", "mkdtemp",
          first_call(frozenset({"tempfile.mkdtemp", "mkdtemp"}), _mkdtemp),
          "`mkdtemp` makes the folder in one step; with a name made first, somebody else may make "
          "it."),
    rule("temporary_file", "CWE-377", "mkstemp",
          first_call(frozenset({"tempfile.mkstemp", "mkstemp"}), _mkstemp),
          "`mkstemp` makes and opens the file in one step; with a name made first, somebody else "
          "may put a file there."),
    rule("swallowed_error", "CWE-390", "except ", _swallow,
          "An error is reported to the caller rather than passed over.", keep_one_in=6),
    rule("assert_check", "CWE-703", "raise ", _assert,
          "A check that raises stays in force when Python runs with assertions off.",
          keep_one_in=12),
)  # fmt: skip
