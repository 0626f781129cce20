"""Ways to make a Python function worse to read without changing what it does.

Each returns edits or none. The first five are verified: both versions are parsed by Python and
must be the same program once documentation, annotations and local names are set aside. The rest
replace one construct by an equal one, under conditions that make it equal; each says which. Blind
spot of all: code that reads its own source, annotations or documentation at run time.
"""

from __future__ import annotations

import ast
import itertools
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit, rank, text_of, walk
from tritter_assets.synthetic.rewrite import NAMINGS, crowded, new_names, renamed

if TYPE_CHECKING:
    from tree_sitter import Node

INDENT = "    "
_REFLECTION = frozenset({"locals", "globals", "vars", "eval", "exec", "dir"})
_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
_PROGRAM_VERSION = (3, 11)


# -- verified -------------------------------------------------------------------------------------


def drop_docstring(code: Code, seed: str) -> list[Edit]:
    """Takes the documentation out."""
    body = _body(code)
    if body is None or body.named_child_count < 2:
        return []
    first = body.named_children[0]
    if first.type != "expression_statement" or first.named_children[0].type != "string":
        return []
    return [Edit(first.start_byte, body.named_children[1].start_byte, "")]


def drop_comments(code: Code, seed: str) -> list[Edit]:
    """Takes every comment out, and the line it stood alone on."""
    found = []
    for node in code.nodes:
        if node.type == "comment":
            line = code.source.rfind(b"\n", 0, node.start_byte) + 1
            lead = code.source[line : node.start_byte]
            if lead.strip():
                start = line + len(lead.rstrip())
                found.append(Edit(start, node.end_byte, ""))
            else:
                end = node.end_byte + (code.source[node.end_byte : node.end_byte + 1] == b"\n")
                found.append(Edit(line, end, ""))
    return found


def drop_annotations(code: Code, seed: str) -> list[Edit]:
    """Takes type annotations out of the signature and of assignments."""
    found = []
    for node in code.nodes:
        if node.type in {"typed_parameter", "typed_default_parameter"}:
            kind = node.child_by_field_name("type")
            colon = next(child for child in node.children if child.type == ":")
            if kind is not None:
                found.append(Edit(colon.start_byte, kind.end_byte, ""))
        elif node.type == "function_definition":
            kind = node.child_by_field_name("return_type")
            parameters = node.child_by_field_name("parameters")
            if kind is not None and parameters is not None:
                found.append(Edit(parameters.end_byte, kind.end_byte, ""))
        elif node.type == "assignment" and node.child_by_field_name("right") is not None:
            left, kind = node.child_by_field_name("left"), node.child_by_field_name("type")
            if left is not None and kind is not None:
                found.append(Edit(left.end_byte, kind.end_byte, ""))
    return found


def rename_locals(code: Code, seed: str) -> list[Edit]:
    """Gives local variables names that say nothing; parameters keep theirs, callers use them."""
    program = parsed(code.source)
    if program is None:
        return []
    names = _local_names(program)
    taken = frozenset(code.text(node) for node in code.nodes if node.type == "identifier")
    order = rank(seed, "naming")
    for step in range(len(NAMINGS)):
        made = new_names(names, taken, NAMINGS[(order + step) % len(NAMINGS)])
        if made:
            return renamed(_occurrences(code), made)
    return []


def crowd(code: Code, seed: str) -> list[Edit]:
    """Takes out blank lines and spaces around operators."""
    return crowded(code.source, code.root)


def parsed(source: bytes) -> ast.Module | None:
    """Parses a program as Python 3.11 does, whichever version runs this."""
    try:
        return ast.parse(source.decode(), feature_version=_PROGRAM_VERSION)
    except (SyntaxError, ValueError, RecursionError):
        return None


def same_program(before: Code, after: Code, *, renamed: bool) -> bool:
    """True when two functions differ in documentation and annotations at most.

    Args:
        before: As it was.
        after: As it is.
        renamed: Sets the names of local variables aside as well.
    """
    first, second = parsed(before.source), parsed(after.source)
    return (
        first is not None
        and second is not None
        and ast.dump(_Bare(renamed).visit(first)) == ast.dump(_Bare(renamed).visit(second))
    )


class _Bare(ast.NodeTransformer):
    """Sets aside what `VERIFIED` may change: locals get the number of their first appearance."""

    def __init__(self, renamed: bool) -> None:
        self._renamed = renamed
        self._numbers: dict[str, str] = {}

    def visit_Module(self, node: ast.Module) -> ast.AST:
        names = set(_local_names(node)) if self._renamed else set()
        for child in ast.walk(node) if names else ():
            if isinstance(child, ast.Name) and child.id in names:
                self._numbers.setdefault(child.id, f"#{len(self._numbers)}")
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._numbers.get(node.id, node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        node.returns = None
        return self.generic_visit(node)


def _function_of(program: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    first = program.body[0] if len(program.body) == 1 else None
    return first if isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def _local_names(program: ast.Module) -> list[str]:
    """Names that the function itself assigns, and that may be renamed everywhere in it."""
    function = _function_of(program)
    if function is None:
        return []
    kept = {argument.arg for node in ast.walk(function) if isinstance(node, ast.arguments)
            for argument in _arguments(node)}  # fmt: skip
    outside = [*function.decorator_list, function.args, function.returns]
    for part in outside:
        if part is not None:
            kept |= {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.Name) and node.id in _REFLECTION
        ):
            return []
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            kept |= set(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            kept.add(node.name or "")
        elif isinstance(node, ast.alias):
            kept.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kept.add(node.name)
    found: dict[str, None] = {}
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        if not isinstance(node, _SCOPES):
            pending += reversed(list(ast.iter_child_nodes(node)))
    return [name for name in found if name not in kept and not name.startswith("__")]


def _arguments(node: ast.arguments) -> list[ast.arg]:
    extra = [argument for argument in (node.vararg, node.kwarg) if argument is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *extra]


def _occurrences(code: Code) -> list[tuple[str, Node]]:
    found = []
    for node in code.nodes:
        if node.type == "identifier" and node.parent is not None:
            field = None
            if node.parent.type == "attribute":
                field = node.parent.child_by_field_name("attribute")
            elif node.parent.type == "keyword_argument":
                field = node.parent.child_by_field_name("name")
            if field is None or field.id != node.id:
                found.append((code.text(node), node))
    return found


# -- equal by construction ------------------------------------------------------------------------


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
    body = _body(code)
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
    body = _body(code)
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


def _body(code: Code) -> Node | None:
    for node in code.nodes:
        if node.type == "function_definition":
            return node.child_by_field_name("body")
    return None


VERIFIED = (drop_docstring, drop_comments, drop_annotations, rename_locals, crowd)
BY_CONSTRUCTION = (
    comprehension_to_loop, else_after_return, boolean_branches, nested_ifs, format_call,
    magic_number, dead_code, commented_out_code,
)  # fmt: skip
COMMON = (drop_docstring, crowd, commented_out_code)
