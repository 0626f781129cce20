"""What a Rust file hands to Python through PyO3: functions, classes, methods and modules.

Read from the syntax tree, so text inside strings, comments and `macro_rules!` bodies is never
taken for an item. Attributes count in any spelling: `#[pyfunction]`, `#[pyo3::pyfunction]`,
`#[cfg_attr(feature = "python", pyfunction)]`. Items under `#[cfg(test)]` are left out. Blind spots:
items that a macro makes, modules registered by hand in a function that is no `#[pymodule]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tritter_assets.functions.grammar import parse

if TYPE_CHECKING:
    from tree_sitter import Node

MARKERS = (b"pyfunction", b"pyclass", b"pymethods", b"pymodule")
MAX_DEPTH = 16
"""Modules inside modules that are followed."""

NEW = "__new__"
_REGISTERED = re.compile(
    r"(?:wrap_pyfunction|wrap_pymodule)!\s*\(\s*(?:[\w:]*::)?(\w+)"
    r"|add_class\s*::\s*<\s*(?:[\w:]*::)?(\w+)"
)
_WORD = re.compile(r"\w+")
_USED = re.compile(r"(?:^|[{,:]|\buse\b)\s*(\w+)(?:\s+as\s+(\w+))?\s*(?=[,};])")
_OPTION = re.compile(r"(\w+)\s*=\s*\"([^\"]*)\"")
_CFG_TEST = re.compile(r"#\s*\[\s*cfg\s*\(\s*test\s*\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RustMethod:
    """A method that Python sees."""

    name: str
    """As Python calls it; `__new__` for the constructor."""
    text: str
    """With its documentation and attributes, indented as in the file."""
    returns: frozenset[str]
    """Words of the return type; `Self` among them means an object of the class."""
    is_getter: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RustMethods:
    """One `#[pymethods] impl` block."""

    type_name: str
    head: str
    """Attributes and everything up to the opening brace, the brace included."""
    text: str
    methods: tuple[RustMethod, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RustExport:
    """A function or class that Python can import."""

    is_class: bool
    rust_name: str
    name: str
    """As Python imports it."""
    module: str | None
    """Dotted module that the attribute states, or the `#[pymodule] mod` around the item."""
    text: str
    documentation: str
    start_line: int
    end_line: int
    returns: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class RustModule:
    """A `#[pymodule]` and the Rust names it registers."""

    name: str
    registered: frozenset[str]
    text: str | None
    """Of a module function; None for a module written as `mod`."""


@dataclass(slots=True)
class RustFile:
    """Everything of one file."""

    exports: list[RustExport] = field(default_factory=list)
    methods: list[RustMethods] = field(default_factory=list)
    modules: list[RustModule] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Meta:
    """One attribute: its last path segment, and its arguments split at top-level commas."""

    name: str
    arguments: tuple[str, ...]

    def option(self, name: str) -> str | None:
        for argument in self.arguments:
            match = _OPTION.fullmatch(argument)
            if match and match.group(1) == name:
                return match.group(2)
        return None


@dataclass(slots=True)
class _Item:
    """An item with what stands directly above it."""

    node: Node
    start_byte: int
    metas: list[_Meta]
    documentation: list[str]
    is_test: bool

    def meta(self, name: str) -> _Meta | None:
        return next((meta for meta in self.metas if meta.name == name), None)

    def option(self, marker: str, name: str) -> str | None:
        found = (m.option(name) for m in self.metas if m.name in (marker, "pyo3"))
        return next((value for value in found if value is not None), None)


def read_rust(source: bytes) -> RustFile | None:
    """Finds what a file hands to Python; None when it is too long to parse.

    Args:
        source: UTF-8.
    """
    found = RustFile()
    if not any(marker in source for marker in MARKERS):
        return found
    tree = parse("rust", source)
    if tree is None:
        return None
    _read_items(source, tree.root_node, found, None, 0)
    return found


def _read_items(
    source: bytes, parent: Node, found: RustFile, module: str | None, depth: int
) -> None:
    for item in _items(source, parent):
        node = item.node
        if item.is_test:
            continue
        if node.type == "mod_item":
            _read_module(source, item, found, module, depth)
        elif node.has_error:
            continue
        elif node.type == "impl_item" and item.meta("pymethods"):
            methods = _methods(source, item)
            if methods is not None:
                found.methods.append(methods)
        elif node.type == "function_item" and item.meta("pymodule"):
            text = _text(source, item)
            registered = frozenset(a or b for a, b in _REGISTERED.findall(text))
            name = item.option("pymodule", "name") or _name(node)
            found.modules.append(RustModule(name=name, registered=registered, text=text))
        elif node.type == "function_item" and item.meta("pyfunction"):
            found.exports.append(_export(source, item, "pyfunction", module))
        elif node.type in ("struct_item", "enum_item") and item.meta("pyclass"):
            found.exports.append(_export(source, item, "pyclass", module))


def _read_module(
    source: bytes, item: _Item, found: RustFile, module: str | None, depth: int
) -> None:
    body = item.node.child_by_field_name("body")
    if body is None or depth >= MAX_DEPTH:
        return
    if item.meta("pymodule") is None:
        _read_items(source, body, found, None, depth + 1)
        return
    name = item.option("pymodule", "name") or _name(item.node)
    inner = RustFile()
    _read_items(source, body, inner, name, depth + 1)
    registered = {export.rust_name for export in inner.exports}
    registered |= {module.name for module in inner.modules}
    for used in _items(source, body):
        if used.node.type == "use_declaration" and used.meta("pymodule_export"):
            text = source[used.node.start_byte : used.node.end_byte].decode("utf-8", "replace")
            registered |= {first for first, _ in _USED.findall(text)}
    found.modules.append(RustModule(name=name, registered=frozenset(registered), text=None))
    found.exports += inner.exports
    found.methods += inner.methods
    found.modules += inner.modules


def _items(source: bytes, parent: Node) -> Iterator[_Item]:
    """Yields the items of a block, each with the attributes and documentation above it."""
    metas: list[_Meta] = []
    documentation: list[str] = []
    start: int | None = None
    is_test = False
    for node in parent.named_children:
        kind = node.type
        text = ""
        if kind in ("attribute_item", "line_comment", "block_comment"):
            text = source[node.start_byte : node.end_byte].decode("utf-8", "replace")
        if kind == "attribute_item":
            metas += _metas(text)
            is_test = is_test or _CFG_TEST.match(text) is not None
            start = node.start_byte if start is None else start
        elif text.startswith(("///", "/**")):
            documentation.append(text)
            start = node.start_byte if start is None else start
        elif not text:
            first = node.start_byte if start is None else start
            yield _Item(node, first, metas, documentation, is_test)
            metas, documentation, start, is_test = [], [], None, False


def _export(source: bytes, item: _Item, marker: str, module: str | None) -> RustExport:
    rust_name = _name(item.node)
    text = _text(source, item)
    first = source.count(b"\n", 0, item.start_byte) + 1
    return RustExport(
        is_class=marker == "pyclass",
        rust_name=rust_name,
        name=item.option(marker, "name") or rust_name,
        module=item.option(marker, "module") or module,
        text=text,
        documentation=_documentation(item.documentation),
        start_line=first,
        end_line=item.node.end_point.row + 1,
        returns=_returns(source, item.node),
    )


def _methods(source: bytes, item: _Item) -> RustMethods | None:
    body = item.node.child_by_field_name("body")
    kind = item.node.child_by_field_name("type")
    if body is None or kind is None:
        return None
    if kind.type == "generic_type":
        kind = kind.child_by_field_name("type") or kind
    type_name = source[kind.start_byte : kind.end_byte].decode("utf-8", "replace")
    found: list[RustMethod] = []
    for method in _items(source, body):
        if method.node.type != "function_item" or method.is_test:
            continue
        getter = method.meta("getter")
        start = source.rfind(b"\n", 0, method.start_byte) + 1
        found.append(
            RustMethod(
                name=_method_name(method),
                text=source[start : method.node.end_byte].decode("utf-8", "replace"),
                returns=_returns(source, method.node),
                is_getter=getter is not None,
            )
        )
    head = source[item.start_byte : body.start_byte].decode("utf-8", "replace")
    return RustMethods(
        type_name=type_name.rsplit("::", 1)[-1],
        head=f"{head}{{",
        text=_text(source, item),
        methods=tuple(found),
    )


def _method_name(method: _Item) -> str:
    if method.meta("new") is not None:
        return NEW
    named = method.option("pyo3", "name")
    if named:
        return named
    plain = _name(method.node)
    for marker, prefix in (("getter", "get_"), ("setter", "set_")):
        meta = method.meta(marker)
        if meta is not None:
            return meta.arguments[0] if meta.arguments else plain.removeprefix(prefix)
    return plain


def _metas(text: str) -> list[_Meta]:
    """Reads `#[path(arguments)]`; the attributes that a `cfg_attr` adds stand for themselves."""
    inside = text.strip().removeprefix("#").strip().removeprefix("[").removesuffix("]").strip()
    found: list[_Meta] = []
    pending = [inside]
    for _ in range(MAX_DEPTH):
        if not pending:
            break
        entry = pending.pop()
        path, opened, rest = entry.partition("(")
        name = path.partition("=")[0].strip().rsplit("::", 1)[-1].strip()
        arguments = _split(rest.rpartition(")")[0]) if opened else ()
        if name == "cfg_attr":
            pending += arguments[1:]
        else:
            found.append(_Meta(name, arguments))
    return found


def _split(text: str) -> tuple[str, ...]:
    """Splits at commas outside brackets and strings."""
    parts: list[str] = []
    depth = start = 0
    quoted = escaped = False
    for place, letter in enumerate(text):
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)


def _returns(source: bytes, node: Node) -> frozenset[str]:
    kind = node.child_by_field_name("return_type")
    if kind is None:
        return frozenset()
    text = source[kind.start_byte : kind.end_byte].decode("utf-8", "replace")
    return frozenset(_WORD.findall(text))


def _name(node: Node) -> str:
    name = node.child_by_field_name("name")
    raw = name.text if name is not None else None
    return (raw or b"").decode("utf-8", "replace").removeprefix("r#")


def _text(source: bytes, item: _Item) -> str:
    """An item's text, its own indentation taken off."""
    text = source[item.start_byte : item.node.end_byte].decode("utf-8", "replace")
    line = source[source.rfind(b"\n", 0, item.start_byte) + 1 : item.start_byte].decode()
    if not line or line.strip():
        return text
    first, *rest = text.split("\n")
    return "\n".join([first, *(other.removeprefix(line) for other in rest)])


def _documentation(comments: list[str]) -> str:
    lines = [line for comment in comments for line in comment.split("\n")]
    cleaned = (re.sub(r"^\s*(?:///|/\*\*|\*/|\*(?!/))[ \t]?|\*/\s*$", "", line) for line in lines)
    return "\n".join(line.rstrip() for line in cleaned).strip()
