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


Weaken = Callable[[Code], list[Edit]]
Make = Callable[[Code, "Node", "Node"], list[Edit]]
"""(code, call, its arguments) -> edits."""


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
    weaken: Weaken
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


def first_call(names: frozenset[str], make: Make) -> Weaken:
    """Returns a rule that applies `make` to the first call of one of `names` that it can change."""

    def weaken(code: Code) -> list[Edit]:
        for call, name, arguments in calls(code):
            if name in names:
                edits = make(code, call, arguments)
                if edits:
                    return edits
        return []

    return weaken


def called_instead(call: Node, text: str) -> list[Edit]:
    """Returns the edit that puts another function in place of the one that is called."""
    function = call.child_by_field_name("function")
    return [] if function is None else [Edit(function.start_byte, function.end_byte, text)]


def rule(
    name: str, cwe: str, hint: str, weaken: Weaken, reason: str, *, keep_one_in: int = 1
) -> Rule:
    """Makes a rule; hints are parted by `|`."""
    return Rule(
        name=name,
        cwe=cwe,
        hints=tuple(hint.split("|")),
        weaken=weaken,
        reason=reason,
        keep_one_in=keep_one_in,
    )
