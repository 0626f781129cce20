"""Clumsy forms of Python constructs, each equal to what it stands for.

Each function looks for one place where its conditions hold, says what they are, and returns the
edits or none.
"""

from __future__ import annotations

import itertools
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit, rank, text_of, walk

if TYPE_CHECKING:
    from tree_sitter import Node

INDENT = "    "


def comprehension_to_loop(code: Code, seed: str) -> list[Edit]:
    """Writes a comprehension out as a loop, where its variables are used nowhere else."""
    uses = Counter(code.text(node) for node in code.nodes if node.type == "identifier")
    for statement in code.nodes:
        target, value = _assigned(code.source, statement, uses)
        kind = _COLLECTIONS.get(value.type) if value is not None else None
        if value is None or kind is None or any(n.type in _UNFIT for n in walk(value)):
            continue
        inside = Counter(code.text(n) for n in walk(value) if n.type == "identifier")
        clauses = value.named_children[1:]
        bound = {
            code.text(n)
            for clause in clauses
            if clause.type == "for_in_clause"
            for n in walk(clause.named_children[0])
            if n.type == "identifier"
        }
        if target in inside or any(inside[name] != uses[name] for name in bound):
            continue
        indent = " " * statement.start_point.column
        lines = [f"{target} = {kind[0]}"]
        depth = ""
        for clause in clauses:
            lines.append(f"{indent}{depth}{_one_line(code.text(clause))}:")
            depth += INDENT
        body = value.named_children[0]
        if body.type == "pair":
            key, item = body.named_children
            added = f"{target}[{code.text(key)}] = {code.text(item)}"
        else:
            added = f"{target}.{kind[1]}({code.text(body)})"
        lines.append(f"{indent}{depth}{_one_line(added)}")
        if statement.type == "return_statement":
            lines.append(f"{indent}return {target}")
        return [Edit(statement.start_byte, statement.end_byte, "\n".join(lines))]
    return []


_COLLECTIONS = {
    "list_comprehension": ("[]", "append"),
    "set_comprehension": ("set()", "add"),
    "dictionary_comprehension": ("{}", ""),
}
_UNFIT = frozenset({"await", "yield", "named_expression", "lambda", "comment", "async"})


def _assigned(source: bytes, statement: Node, uses: Counter[str]) -> tuple[str, Node | None]:
    if statement.type == "return_statement" and statement.named_child_count:
        name = next(name for name in ("result", "output", "collected_items") if not uses[name])
        return name, statement.named_children[0]
    if statement.type == "expression_statement" and statement.named_child_count == 1:
        inner = statement.named_children[0]
        left = inner.child_by_field_name("left")
        is_plain = inner.type == "assignment" and inner.child_by_field_name("type") is None
        if is_plain and left is not None and left.type == "identifier":
            return text_of(source, left), inner.child_by_field_name("right")
    return "", None


def _one_line(text: str) -> str:
    return " ".join(part.strip() for part in text.split("\n"))


def else_after_return(code: Code, seed: str) -> list[Edit]:
    """Puts what follows a branch that always leaves into an `else`."""
    for block in code.nodes:
        if block.type != "block":
            continue
        statements = [child for child in block.named_children if child.type != "comment"]
        for here, following in itertools.pairwise(statements):
            if here.type != "if_statement" or here.child_by_field_name("alternative") is not None:
                continue
            consequence = here.child_by_field_name("consequence")
            if consequence is None or not _leaves(consequence):
                continue
            start = code.source.rfind(b"\n", 0, following.start_byte) + 1
            end = block.end_byte
            moved = code.source[start:end].decode("utf-8", "replace")
            gap = code.source[here.end_byte : following.start_byte]
            if gap.strip() or _holds_long_string(block, start, end):
                continue
            indent = " " * here.start_point.column
            return [Edit(here.end_byte, end, f"\n{indent}else:\n{textwrap.indent(moved, INDENT)}")]
    return []


def _leaves(block: Node) -> bool:
    return block.named_child_count > 0 and block.named_children[-1].type in {
        "return_statement", "raise_statement", "continue_statement", "break_statement",
    }  # fmt: skip


def _holds_long_string(root: Node, start: int, end: int) -> bool:
    return any(
        node.type == "string"
        and start <= node.start_byte < end
        and node.start_point.row != node.end_point.row
        for node in walk(root)
    )


def boolean_branches(code: Code, seed: str) -> list[Edit]:
    """Spells a returned truth value out as two branches; only what Python makes a `bool`."""
    for node in code.nodes:
        if node.type == "return_statement" and node.named_child_count == 1:
            value = node.named_children[0]
            if _is_bool(code.source, value) and node.start_point.row == node.end_point.row:
                indent = " " * node.start_point.column
                text = (
                    f"if {code.text(value)}:\n{indent}{INDENT}return True\n"
                    f"{indent}else:\n{indent}{INDENT}return False"
                )
                return [Edit(node.start_byte, node.end_byte, text)]
    return []


def _is_bool(source: bytes, value: Node) -> bool:
    if value.type == "not_operator":
        return True
    if value.type == "comparison_operator" and value.named_child_count == 2:
        middle = source[value.named_children[0].end_byte : value.named_children[1].start_byte]
        return middle.decode().strip() in {"is", "is not", "in", "not in"}
    function = value.child_by_field_name("function") if value.type == "call" else None
    return function is not None and text_of(source, function) in {
        "isinstance", "issubclass", "callable", "hasattr", "any", "all", "bool",
    }  # fmt: skip


def nested_ifs(code: Code, seed: str) -> list[Edit]:
    """Splits `if a and b` without an `else` into one `if` inside another."""
    for node in code.nodes:
        if node.type != "if_statement" or node.child_by_field_name("alternative") is not None:
            continue
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("consequence")
        if condition is None or body is None or condition.type != "boolean_operator":
            continue
        left, right = condition.named_children[0], condition.named_children[-1]
        between = code.source[left.end_byte : right.start_byte].strip()
        if between != b"and" or condition.start_point.row != condition.end_point.row:
            continue
        start = code.source.rfind(b"\n", 0, body.start_byte) + 1
        if code.source[start : body.start_byte].strip() or _holds_long_string(
            body, start, node.end_byte
        ):
            continue
        indent = " " * node.start_point.column
        inner = textwrap.indent(
            code.source[start : node.end_byte].decode("utf-8", "replace"), INDENT
        )
        head = f"if {code.text(left)}:\n{indent}{INDENT}if {code.text(right)}:\n{inner}"
        return [Edit(node.start_byte, node.end_byte, head)]
    return []


def format_call(code: Code, seed: str) -> list[Edit]:
    """Writes an f-string of plain names as `str.format`, which formats them the same."""
    for node in code.nodes:
        if node.type != "string" or node.start_point.row != node.end_point.row:
            continue
        opening = code.text(node.children[0])
        inner = [child for child in node.children if child.type == "interpolation"]
        if opening not in {'f"', "f'"} or not inner or "concatenated" in _parent_type(node):
            continue
        names = [child.child_by_field_name("expression") for child in inner]
        plain = {"identifier", "attribute"}
        if not all(
            name is not None and name.type in plain and child.named_child_count == 1
            and code.text(child) == "{" + code.text(name) + "}"
            for name, child in zip(names, inner, strict=True)
        ):  # fmt: skip
            continue
        text = code.text(node)[1:]
        for name in names:
            assert name is not None
            text = text.replace("{" + code.text(name) + "}", "{}", 1)
        arguments = ", ".join(code.text(name) for name in names if name is not None)
        return [Edit(node.start_byte, node.end_byte, f"{text}.format({arguments})")]
    return []


def _parent_type(node: Node) -> str:
    return node.parent.type if node.parent is not None else ""


def magic_number(code: Code, seed: str) -> list[Edit]:
    """Replaces a named number that is assigned once, at the top of the body, by the number."""
    body = body_of(code)
    uses = [node for node in code.nodes if node.type == "identifier"]
    for statement in body.named_children if body is not None else ():
        name, value = _assigned(code.source, statement, Counter())
        if value is None or value.type not in {"integer", "float"}:
            continue
        same = [node for node in uses if code.text(node) == name]
        rest = [node for node in same if node.start_byte > statement.end_byte]
        if len(rest) != len(same) - 1 or not rest or not all(_is_read(node) for node in rest):
            continue
        end = statement.end_byte
        while code.source[end : end + 1] in (b" ", b"\n"):
            end += 1
        literal = code.text(value)
        return [
            Edit(statement.start_byte, end, ""),
            *(Edit(node.start_byte, node.end_byte, literal) for node in rest),
        ]
    return []


_READERS = frozenset(
    {"binary_operator", "comparison_operator", "argument_list", "return_statement", "tuple",
     "subscript", "list", "slice"}
)  # fmt: skip


def _is_read(node: Node) -> bool:
    parent = node.parent
    return (
        parent is not None
        and parent.type in _READERS
        and not _is_target(parent)
        and not any(child.type == "=" for child in parent.children)
    )


def _is_target(node: Node) -> bool:
    parent = node.parent
    while parent is not None and parent.type not in {"block", "module"}:
        left = parent.child_by_field_name("left")
        if left is not None and left.start_byte <= node.start_byte < left.end_byte:
            return True
        if parent.type in {"lambda", "delete_statement", "function_definition"}:
            return True
        parent = parent.parent
    return False


def dead_code(code: Code, seed: str) -> list[Edit]:
    """Adds a statement that can never run after the last `return` of the body."""
    body = body_of(code)
    if body is None or body.named_children[-1].type != "return_statement":
        return []
    last = body.named_children[-1]
    if not last.named_child_count or last.named_children[0].type == "none":
        return []
    return [Edit(last.end_byte, last.end_byte, f"\n{' ' * last.start_point.column}return None")]


def commented_out_code(code: Code, seed: str) -> list[Edit]:
    """Leaves a commented-out `print` of a variable behind, as debugging does."""
    found = []
    for node in code.nodes:
        name, value = _assigned(code.source, node, Counter())
        if node.type == "expression_statement" and value is not None:
            indent = " " * node.start_point.column
            end = code.source.find(b"\n", node.end_byte)
            if end >= 0:
                found.append(Edit(end, end, f"\n{indent}# print({name})"))
    return [found[rank(seed, "print") % len(found)]] if found else []


def body_of(code: Code) -> Node | None:
    """Returns the block of the first function."""
    for node in code.nodes:
        if node.type == "function_definition":
            return node.child_by_field_name("body")
    return None


BY_CONSTRUCTION = (
    comprehension_to_loop, else_after_return, boolean_branches, nested_ifs, format_call,
    magic_number, dead_code, commented_out_code,
)  # fmt: skip
