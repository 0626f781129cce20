"""What a Python file imports, defines and holds: the side of a pair that calls.

Names are bound per file; an import inside a function binds for the whole file. `try` and `if`
blocks at the top are looked into for imports, not for definitions, so the usual fallback
(`except ImportError: def f(): ...`) does not hide the compiled function. Blind spots: names bound
by `globals()`, `importlib` or `setattr`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tritter_assets.functions.grammar import parse, query_matches

if TYPE_CHECKING:
    from tree_sitter import Node

Module = tuple[str, ...]
"""A dotted name in its parts; of a relative import, the path from the root of the repository."""

IMPORTS = "(import_statement) @import (import_from_statement) @from"
_REPLACED = re.compile(rb"sys\.modules\[__name__\]\s*=[^=]")

MAX_CHAIN = 32
"""Parts of a dotted expression, and calls inside calls, that are followed."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name of a file stands for: a module, or `symbol` of a module."""

    module: Module
    symbol: str | None
    statement: str
    """The import as written, in one line per name where it is long."""


@dataclass(slots=True)
class PythonFile:
    """What was read of a file; no syntax tree is kept, since a repository may hold thousands."""

    path: str
    source: bytes
    bindings: dict[str, Binding] = field(default_factory=dict)
    stars: list[Module] = field(default_factory=list)
    definitions: set[str] = field(default_factory=set)
    """Functions and classes at the top of the file."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Top-level `name = a.b` -> `a.b`."""
    fields: dict[tuple[str, str], str] = field(default_factory=dict)
    """(class, attribute) -> the annotation in the class body."""
    is_replaced: bool = False
    """True when the file puts another module in its own place: its names are not its own."""

    @property
    def module(self) -> Module:
        """The file as a module, from the root of the repository."""
        pure = PurePosixPath(self.path).with_suffix("")
        return pure.parent.parts if pure.name == "__init__" else pure.parts

    @property
    def is_stub(self) -> bool:
        """True for a `.pyi` file."""
        return self.path.endswith(".pyi")


def read_python(path: str, source: bytes) -> PythonFile | None:
    """Reads a file; None when it is over the bounds on size or matches."""
    tree = parse("python", source)
    imports = None if tree is None else query_matches("python", IMPORTS, tree.root_node)
    if tree is None or imports is None:
        return None
    file = PythonFile(path, source, is_replaced=_REPLACED.search(source) is not None)
    for node in tree.root_node.named_children:
        inner = node
        if node.type == "decorated_definition":
            inner = node.child_by_field_name("definition") or node
        if inner.type in ("function_definition", "class_definition"):
            name = text_of(inner.child_by_field_name("name"))
            file.definitions.add(name)
            body = inner.child_by_field_name("body")
            if inner.type == "class_definition" and body is not None:
                _read_fields(file, name, body)
        elif node.type == "expression_statement" and node.named_child_count:
            _read_alias(file, node.named_children[0])
    for captures in sorted(imports, key=lambda found: next(iter(found.values()))[0].start_byte):
        for kind, nodes in captures.items():
            reader = _read_import if kind == "import" else _read_import_from
            reader(file, nodes[0])
    return file


def walk(root: Node) -> Iterator[Node]:
    """Yields the nodes below `root` in order of position, without recursion."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(node.named_children)


def text_of(node: Node | None) -> str:
    """Returns a node's text."""
    raw = node.text if node is not None else None
    return (raw or b"").decode("utf-8", "replace")


def _read_alias(file: PythonFile, node: Node) -> None:
    if node.type != "assignment":
        return
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or left.type != "identifier":
        return
    if right is not None and right.type in ("identifier", "attribute"):
        file.aliases[text_of(left)] = text_of(right)


def _read_fields(file: PythonFile, name: str, body: Node) -> None:
    for statement in body.named_children:
        inner = statement.named_children[0] if statement.named_children else None
        if statement.type == "expression_statement" and inner and inner.type == "assignment":
            kind = inner.child_by_field_name("type")
            if kind is not None:
                file.fields[name, text_of(inner.child_by_field_name("left"))] = text_of(kind)


def _read_import(file: PythonFile, node: Node) -> None:
    for child in node.named_children:
        if child.type == "aliased_import":
            module = _parts(child.child_by_field_name("name"))
            name = text_of(child.child_by_field_name("alias"))
            file.bindings[name] = Binding(module, None, f"import {'.'.join(module)} as {name}")
        elif child.type == "dotted_name":
            module = _parts(child)
            statement = f"import {'.'.join(module)}"
            # `import a.b` binds `a`; the rest is looked up part by part.
            file.bindings.setdefault(module[0], Binding(module[:1], None, statement))


def _read_import_from(file: PythonFile, node: Node) -> None:
    origin = node.child_by_field_name("module_name")
    if origin is None:
        return
    written = text_of(origin)
    module = _relative(file.path, written) if written.startswith(".") else _parts(origin)
    if module is None:
        return
    for child in node.named_children:
        if child == origin:
            continue
        if child.type == "wildcard_import":
            file.stars.append(module)
        elif child.type == "aliased_import":
            symbol = text_of(child.child_by_field_name("name"))
            name = text_of(child.child_by_field_name("alias"))
            statement = f"from {written} import {symbol} as {name}"
            file.bindings[name] = Binding(module, symbol, statement)
        elif child.type == "dotted_name":
            symbol = text_of(child)
            file.bindings[symbol] = Binding(module, symbol, f"from {written} import {symbol}")


def _relative(path: str, written: str) -> Module | None:
    """Resolves `..a.b` against the folder of `path`; None when it leaves the repository."""
    name = written.lstrip(".")
    levels = len(written) - len(name)
    folder = PurePosixPath(path).parent.parts
    if levels - 1 > len(folder):
        return None
    base = folder[: len(folder) - (levels - 1)]
    return (*base, *(part for part in name.split(".") if part))


def _parts(node: Node | None) -> Module:
    return tuple(part for part in text_of(node).replace(" ", "").split(".") if part)
