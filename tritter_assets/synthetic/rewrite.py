"""Rewrites that keep a program's meaning and lose its readability, for any grammar.

Both work on the leaves of the syntax tree: a rename replaces every occurrence of a name that is
bound inside the function, crowding takes out spaces that no token needs.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tritter_assets.synthetic.pairs import Edit, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

MIN_CROWDED = 4
"""Fewer spaces taken out would hardly be seen."""

_ATOMS = frozenset(
    {
        "string", "comment", "string_literal", "raw_string_literal", "line_comment",
        "block_comment", "char_literal", "attribute_item", "lifetime",
    }
)  # fmt: skip
_TIGHT = frozenset(
    {"=", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "+=", "-=", "*=", ",", ":", "->", "=>"}
)
_OPERATOR_CHARACTERS = frozenset("=!<>+-*/%&|^:~@")
_VAGUE = ("data", "tmp", "val", "res", "obj", "item", "thing", "aux", "stuff", "var")
NAMINGS = ("letters", "vague", "camel")


def leaves(root: Node) -> Iterator[Node]:
    """Yields the leaves in order; strings and comments are one leaf each."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.child_count == 0 or node.type in _ATOMS:
            if node.end_byte > node.start_byte:
                yield node
        else:
            pending += reversed(node.children)


def crowded(source: bytes, root: Node) -> list[Edit]:
    """Takes out blank lines and the spaces around operators, commas and colons."""
    found = []
    before: Node | None = None
    for leaf in leaves(root):
        if before is not None:
            gap = source[before.end_byte : leaf.start_byte]
            edit = _closed_gap(source, before, leaf, gap)
            if edit is not None:
                found.append(edit)
        before = leaf
    return found if len(found) >= MIN_CROWDED else []


def _closed_gap(source: bytes, before: Node, after: Node, gap: bytes) -> Edit | None:
    if gap.count(b"\n") > 1 and not gap.strip():
        return Edit(before.end_byte, after.start_byte, "\n" + gap.rsplit(b"\n", 1)[1].decode())
    if not gap or gap.strip(b" ") or "comment" in before.type or "comment" in after.type:
        return None
    left, right = text_of(source, before), text_of(source, after)
    if left not in _TIGHT and right not in _TIGHT:
        return None
    joined = left[-1], right[0]
    if all(character in _OPERATOR_CHARACTERS for character in joined) or all(
        character.isalnum() or character == "_" for character in joined
    ):
        return None
    return Edit(before.end_byte, after.start_byte, "")


def new_names(names: Sequence[str], taken: frozenset[str], naming: str) -> dict[str, str]:
    """Returns a worse name for each of `names`; none of them is in `taken`."""
    if naming == "camel":
        words = {name: name.strip("_").split("_") for name in names}
        made = {
            name: parts[0].lower() + "".join(part.title() for part in parts[1:])
            for name, parts in words.items()
            if len(parts) > 1 and all(parts)
        }
        fresh = set(made.values())
        return made if len(fresh) == len(made) and not fresh & taken else {}
    if naming == "letters":
        stock: Iterator[str] = itertools.chain(
            string.ascii_lowercase.replace("l", "").replace("o", ""),
            (f"{first}{second}" for first in "abcd" for second in string.digits),
        )
    else:
        stock = (f"{word}{number or ''}" for number in range(9) for word in _VAGUE)
    free = (name for name in stock if name not in taken)
    return dict(zip(names, free, strict=False))


def renamed(nodes: Sequence[tuple[str, Node]], names: Mapping[str, str]) -> list[Edit]:
    """Returns the edits that rename; `nodes` are (name, identifier) occurrences."""
    return [
        Edit(node.start_byte, node.end_byte, names[name]) for name, node in nodes if name in names
    ]
