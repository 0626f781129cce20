"""What a safety rule is, and how one is applied: a safe form in code, and the unsafe form for it.

Both languages list their rules in a table; a rule looks at one function and returns the edits that
make it unsafe, or none. Rules never look at strings or comments, only at syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Code, Edit

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One known weakness."""

    name: str
    cwe: str
    """Identifier of the weakness in the Common Weakness Enumeration."""
    reason: str
    """One sentence: why the safe form is safe."""
    hints: tuple[str, ...]
    """Without one of these texts the rule cannot apply: most functions are never parsed."""
    weaken: Callable[[Code], list[Edit]]
    keep_one_in: int = 1
    """Forms that nearly every program holds would crowd the rare ones out."""


def calls(code: Code) -> Iterator[tuple[Node, str, Node]]:
    """Yields (call, name of what is called as written, arguments) of every call."""
    for node in code.nodes:
        if node.type in {"call", "call_expression"}:
            function = node.child_by_field_name("function")
            arguments = node.child_by_field_name("arguments")
            if function is not None and arguments is not None:
                yield node, "".join(code.text(function).split()), arguments


def positional(arguments: Node) -> list[Node]:
    """Returns the arguments without comments and keywords."""
    return [
        child
        for child in arguments.named_children
        if "comment" not in child.type and child.type not in _NOT_POSITIONAL
    ]


_NOT_POSITIONAL = frozenset({"keyword_argument", "dictionary_splat", "list_splat"})


def keywords(code: Code, arguments: Node) -> Mapping[str, Node]:
    """Returns keyword -> the whole argument."""
    found = {}
    for child in arguments.named_children:
        name = child.child_by_field_name("name") if child.type == "keyword_argument" else None
        if name is not None:
            found[code.text(name)] = child
    return found


def without(code: Code, arguments: Node, argument: Node) -> Edit:
    """Returns the edit that takes an argument out together with one comma."""
    start, end = argument.start_byte, argument.end_byte
    before = code.source[arguments.start_byte : start].rstrip()
    if before.endswith(b","):
        return Edit(arguments.start_byte + len(before) - 1, end, "")
    after = code.source[end : arguments.end_byte]
    skipped = len(after) - len(after.lstrip(b", \n"))
    return Edit(start, end + skipped, "")
