"""Ways in which a benchmark's solution comes back in somebody's code.

The five ways that count for recall (`FIVE_WAYS`), and further ones that loosen more than names and
layout (`FURTHER_WAYS`). Each takes a module's source and returns another of the same meaning.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Mapping

Reword = Callable[[str], str]


class _Bound(ast.NodeVisitor):
    """Names that a module binds itself, in order of appearance; imports are left alone."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.imported: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names.setdefault(node.name)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.names.setdefault(node.arg)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.setdefault(node.id)

    def visit_Import(self, node: ast.Import) -> None:
        self.imported |= {alias.asname or alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imported |= {alias.asname or alias.name for alias in node.names}


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.names.get(node.arg, node.arg)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self.names.get(name, name) for name in node.names]
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self.names.get(name, name) for name in node.names]
        return node


class _Bare(ast.NodeTransformer):
    """Without docstrings."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        return node


class _Untyped(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node


class _Method(ast.NodeTransformer):
    """Top-level functions become static methods."""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        imports = [n for n in node.body if isinstance(n, ast.Import | ast.ImportFrom)]
        rest = [n for n in node.body if n not in imports]
        for function in rest:
            if isinstance(function, ast.FunctionDef):
                function.decorator_list = [ast.Name("staticmethod", ast.Load())]
        holder = ast.parse("class Solution:\n    pass").body[0]
        assert isinstance(holder, ast.ClassDef)
        holder.body = rest
        node.body = [*imports, holder]
        return ast.fix_missing_locations(node)


def verbatim(source: str) -> str:
    """Returns the source."""
    return source


def reformatted(source: str) -> str:
    """Two-space indents, the other quotes, one argument a line, brackets round what is returned."""
    printed = ast.unparse(ast.parse(source))
    lines: list[str] = []
    for token in _lines(printed):
        indent = len(token) - len(token.lstrip())
        text = token.lstrip()
        if text.startswith("return ") and not _open(text):
            text = f"return ({text[7:]})"
        lines.append(" " * (indent // 2) + text)
    swapped = "\n".join(lines) + "\n"
    return _split_calls(_other_quotes(swapped))


def renamed(source: str) -> str:
    """Renames what the module binds, token by token: layout, comments and docstrings stay."""
    names = _new_names(ast.parse(source))
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    lines = source.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []
    for number, token in enumerate(tokens):
        after_dot = number > 0 and tokens[number - 1].string == "."
        if token.type == tokenize.NAME and token.string in names and not after_dot:
            edits.append((token.start[0], token.start[1], token.end[1], names[token.string]))
    for row, begin, end, new in reversed(edits):
        line = lines[row - 1]
        lines[row - 1] = line[:begin] + new + line[end:]
    return "".join(lines)


def bare(source: str) -> str:
    """Drops docstrings and comments."""
    return ast.unparse(_Bare().visit(ast.parse(source))) + "\n"


def everything(source: str) -> str:
    """Renamed, bare and reformatted."""
    tree = _Bare().visit(ast.parse(source))
    tree = _Renamer(_new_names(tree)).visit(tree)
    return reformatted(ast.unparse(tree))


def untyped(source: str) -> str:
    """Renamed and bare, without annotations."""
    tree = _Untyped().visit(_Bare().visit(ast.parse(source)))
    return ast.unparse(_Renamer(_new_names(tree)).visit(tree)) + "\n"


def as_method(source: str) -> str:
    """Renamed and bare, as a static method of a class."""
    tree = _Bare().visit(ast.parse(source))
    return ast.unparse(_Method().visit(_Renamer(_new_names(tree)).visit(tree))) + "\n"


def edited(source: str) -> str:
    """Renamed and bare, with a line of logging put in the middle of the last function's body."""
    tree = _Bare().visit(ast.parse(source))
    tree = _Renamer(_new_names(tree)).visit(tree)
    function = [node for node in tree.body if isinstance(node, ast.FunctionDef)][-1]
    note = ast.parse("logger.debug('half way through')").body[0]
    function.body.insert(len(function.body) // 2, note)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


FIVE_WAYS: dict[str, Reword] = {
    "verbatim": verbatim,
    "reformatted": reformatted,
    "renamed": renamed,
    "without_docstring": bare,
    "all_together": everything,
}

FURTHER_WAYS: dict[str, Reword] = {
    "untyped": untyped,
    "as_method": as_method,
    "edited": edited,
}


def _new_names(tree: ast.Module) -> dict[str, str]:
    bound = _Bound()
    bound.visit(tree)
    kept = bound.imported | {"self", "cls"}
    names = [name for name in bound.names if name not in kept]
    return {
        name: f"{'item' if number % 2 else 'value'}_{number}x" for number, name in enumerate(names)
    }


def _lines(source: str) -> list[str]:
    """Splits at line ends outside of strings."""
    lines = source.splitlines()
    joined: list[str] = []
    inside = False
    for line in lines:
        if inside:
            joined[-1] += "\n" + line
        else:
            joined.append(line)
        if line.count('"""') % 2:
            inside = not inside
    return joined


def _open(text: str) -> bool:
    return '"""' in text or "\n" in text


def _other_quotes(source: str) -> str:
    """Turns 'a' into "a" where the text allows it."""
    out: list[str] = []
    for line in source.splitlines():
        plain = '"' not in line and "\\" not in line
        out.append(re.sub(r"'([^']*)'", r'"\1"', line) if plain else line)
    return "\n".join(out) + "\n"


def _split_calls(source: str) -> str:
    """Breaks the line after each comma inside brackets, in code lines that hold no string."""
    out: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.count('"""') % 2:
            inside = not inside
        quoted = inside or '"' in line or "'" in line
        depth, text = 0, ""
        for char in line:
            depth += (char in "([{") - (char in ")]}")
            text += ",\n        " if char == "," and depth and not quoted else char
        out.append(text)
    return "\n".join(out) + "\n"
