"""What the preference pairs share: text edits, choice by hash, and the row of a pair."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritter_assets.functions.grammar import parse
from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.record import Modality
from tritter_assets.synthetic.shards import Row

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, order=True, slots=True)
class Edit:
    """A replacement of one byte range of the UTF-8 source."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A text that parses without error, and all nodes of its tree in order of position."""

    source: bytes
    nodes: tuple[Node, ...]

    @property
    def root(self) -> Node:
        """The node around everything."""
        return self.nodes[0]

    def text(self, node: Node) -> str:
        """Returns a node's text."""
        return text_of(self.source, node)


def read_code(language: str, source: bytes) -> Code | None:
    """Parses; None when the text is too long or holds an error."""
    tree = parse(language, source)
    if tree is None or tree.root_node.has_error:
        return None
    return Code(source, tuple(walk(tree.root_node)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What was done to one side of a pair, for `license_evidence`."""

    method: str
    value: str
    where: str

    def evidence(self) -> dict[str, Any]:
        """Returns the entry; confidence is one because the change was put in, not found."""
        return {"method": self.method, "value": self.value, "where": self.where, "confidence": 1.0}


def edited(source: bytes, edits: Iterable[Edit]) -> bytes:
    """Returns the source with edits made; one that overlaps an earlier one is left out."""
    pieces, end = [], 0
    for edit in sorted(set(edits)):
        if edit.start >= end:
            pieces += [source[end : edit.start], edit.text.encode("utf-8", "surrogatepass")]
            end = edit.end
    return b"".join([*pieces, source[end:]])


def rank(*key: object) -> int:
    """Returns a number that depends on `key` alone: orders choices the same way everywhere."""
    digest = hashlib.sha256("\0".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:8])


def text_of(source: bytes, node: Node) -> str:
    """Returns a node's text."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def walk(node: Node) -> Iterable[Node]:
    """Yields a node and all below it in order of position, without recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending += reversed(current.children)


def pair_row(
    parent: Row,
    *,
    anchor: str,
    instruction: str,
    chosen: str,
    rejected: str,
    changes: Sequence[Change],
) -> dict[str, Any]:
    """Makes a preference row: licence, attribution and taint are the parent's."""
    return child_row(
        parent,
        anchor=anchor,
        content=f"{instruction}\n\n{chosen}",
        modality=Modality.PREFERENCE,
        evidence=[change.evidence() for change in changes],
        instruction=instruction,
        chosen=chosen,
        rejected=rejected,
        generator=made_by_rule(parent),
    )
