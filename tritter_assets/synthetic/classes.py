"""Reads the classes of a Python file and the structs, enums and traits of a Rust file.

What is returned is what the file says, nothing inferred: bases by name, fields by declaration or by
assignment to `self`, methods with the names of their parameters, traits by `impl`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tritter_assets.functions.grammar import parse, query_matches

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_MEMBERS = 40
_MAX_PARAMETERS = 8

QUERIES: dict[str, str] = {
    "python": """
(class_definition name: (identifier) @name superclasses: (argument_list)? @bases) @class
(class_definition name: (identifier) @owner body: (block
  (function_definition name: (identifier) @method parameters: (parameters) @parameters)))
(class_definition name: (identifier) @owner body: (block (decorated_definition
  definition: (function_definition name: (identifier) @method
    parameters: (parameters) @parameters))))
(class_definition name: (identifier) @owner body: (block (expression_statement
  (assignment left: (identifier) @field type: (type) @type))))
(class_definition name: (identifier) @owner body: (block (function_definition
  name: (identifier) @init body: (block (expression_statement (assignment left: (attribute
    object: (identifier) @self attribute: (identifier) @field)))))))
""",
    "rust": """
(struct_item name: (type_identifier) @name) @class
(enum_item name: (type_identifier) @name) @enum
(trait_item name: (type_identifier) @name) @trait
(struct_item name: (type_identifier) @owner body: (field_declaration_list
  (field_declaration name: (field_identifier) @field type: (_) @type)))
(enum_item name: (type_identifier) @owner body: (enum_variant_list
  (enum_variant name: (identifier) @field)))
(impl_item !trait type: [(type_identifier) @owner (generic_type type: (type_identifier) @owner)]
  body: (declaration_list (function_item name: (identifier) @method
    parameters: (parameters) @parameters)))
(trait_item name: (type_identifier) @owner body: (declaration_list
  [(function_item name: (identifier) @method parameters: (parameters) @parameters)
   (function_signature_item name: (identifier) @method parameters: (parameters) @parameters)]))
(impl_item trait: [(type_identifier) @base (generic_type type: (type_identifier) @base)]
  type: [(type_identifier) @owner (generic_type type: (type_identifier) @owner)])
""",
}
LANGUAGES = tuple(QUERIES)


@dataclass(kw_only=True, slots=True)
class ClassOutline:
    """One class, struct, enum or trait; members in the order of the file."""

    name: str
    kind: str
    """`class`, `enum` or `trait`."""
    start_byte: int
    end_byte: int
    bases: list[str] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    """(name, type as written or empty)."""
    methods: list[tuple[str, str]] = field(default_factory=list)
    """(name, names of parameters joined by commas)."""


def classes_of(language: str, source: bytes) -> list[ClassOutline]:
    """Returns the classes of a file in order; empty if it cannot be parsed without error."""
    tree = parse(language, source)
    if tree is None or tree.root_node.has_error:
        return []
    matches = query_matches(language, QUERIES[language], tree.root_node) or []
    found: dict[str, ClassOutline] = {}
    repeated: Counter[str] = Counter()
    for captures in matches:
        for kind in ("class", "enum", "trait"):
            if kind in captures:
                node = captures[kind][0]
                name = _text(source, captures["name"][0])
                repeated[name] += 1
                outline = ClassOutline(
                    name=name, kind=kind, start_byte=node.start_byte, end_byte=node.end_byte
                )
                for bases in captures.get("bases", ()):
                    outline.bases = _python_bases(source, bases)
                found.setdefault(name, outline)
    for captures in matches:
        owner = found.get(_text(source, captures["owner"][0])) if "owner" in captures else None
        if owner is not None:
            _add_member(source, owner, captures)
    # Two classes of one name (a conditional definition, a nested one) cannot be told apart here.
    return [outline for name, outline in found.items() if repeated[name] == 1]


def _add_member(source: bytes, owner: ClassOutline, captures: dict[str, list[Node]]) -> None:
    if "base" in captures:
        base = _text(source, captures["base"][0])
        if base not in owner.bases:
            owner.bases.append(base)
    elif "method" in captures:
        name = _text(source, captures["method"][0])
        if len(owner.methods) < MAX_MEMBERS and name not in {known for known, _ in owner.methods}:
            owner.methods.append((name, _parameters(source, captures["parameters"][0])))
    elif "field" in captures:
        if "self" in captures and (
            _text(source, captures["self"][0]) != "self"
            or _text(source, captures["init"][0]) != "__init__"
        ):
            return
        name = _text(source, captures["field"][0])
        kind = _text(source, captures["type"][0]) if "type" in captures else ""
        if len(owner.fields) < MAX_MEMBERS and name not in {known for known, _ in owner.fields}:
            owner.fields.append((name, " ".join(kind.split())[:60]))


def _python_bases(source: bytes, bases: Node) -> list[str]:
    names: list[str] = []
    for node in bases.named_children:
        named = node.child_by_field_name("value") if node.type == "subscript" else node
        if named is not None and named.type in {"identifier", "attribute"}:
            names.append(_text(source, named).split(".")[-1])
    return names


def _parameters(source: bytes, parameters: Node) -> str:
    names: list[str] = []
    for node in parameters.named_children[: _MAX_PARAMETERS + 1]:
        if node.type in {"self_parameter", "comment", "line_comment", "block_comment"}:
            continue
        named = node.child_by_field_name("name") or node.child_by_field_name("pattern") or node
        text = _text(source, named).split(":")[0].strip()
        if text not in {"self", "cls", "/", "*"}:
            names.append(" ".join(text.split())[:40])
    return ", ".join(names[:_MAX_PARAMETERS])


def _text(source: bytes, node: Node) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")
