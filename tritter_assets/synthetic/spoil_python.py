"""Ways to make a Python function worse to read without changing what it does.

Each returns edits or none. Those here are verified: both versions are parsed by Python and must be
the same program once documentation, annotations and local names are set aside. The rest stand in
`spoil_python_forms`. Blind spot of all: code that reads its own source, annotations or
documentation at run time.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit, rank
from tritter_assets.synthetic.rewrite import NAMINGS, crowded, new_names, renamed
from tritter_assets.synthetic.spoil_python_forms import (
    BY_CONSTRUCTION,
    body_of,
    commented_out_code,
)

if TYPE_CHECKING:
    from tree_sitter import Node

_REFLECTION = frozenset({"locals", "globals", "vars", "eval", "exec", "dir"})
_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp,
    ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
_PROGRAM_VERSION = (3, 11)


def drop_docstring(code: Code, seed: str) -> list[Edit]:
    """Takes the documentation out."""
    body = body_of(code)
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


__all__ = ["BY_CONSTRUCTION", "COMMON", "VERIFIED", "parsed", "same_program"]

VERIFIED = (drop_docstring, drop_comments, drop_annotations, rename_locals, crowd)
COMMON = (drop_docstring, crowd, commented_out_code)
