"""The text of one pair and its row: Rust pieces and Python examples, with all their parents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tritter_assets.functions.inherit import child_row, made_by_rule
from tritter_assets.functions.interop_items import Item
from tritter_assets.functions.interop_parents import joint_parent
from tritter_assets.functions.interop_rust import NEW
from tritter_assets.record import Modality

MAX_MODULE_BYTES = 800
"""A longer module function registers much else; it is left out of the Rust part."""


@dataclass(frozen=True, slots=True)
class Example:
    """One Python function that calls an item."""

    document: int
    text: str
    """Under a comment with its file, after the imports it uses."""
    members: frozenset[str]
    rank: tuple[Any, ...]


def pair_row(
    documents: list[dict[str, Any]],
    item: Item,
    members: tuple[str, ...] | None,
    examples: list[Example],
) -> dict[str, Any] | None:
    """Makes the row of an item, or of some `members` of it."""
    pieces: list[tuple[int, str]] = [(item.document, item.export.text)]
    if members is None:
        pieces += [(document, block.text) for document, block in item.blocks]
    else:
        pieces += _method_pieces(item, members)
    registration = next(
        (
            (document, module.text)
            for document, module in item.modules
            if module.text is not None and len(module.text.encode()) <= MAX_MODULE_BYTES
        ),
        None,
    )
    if registration is not None:
        pieces.append(registration)
    parents = dict.fromkeys([*(p for p, _ in pieces), *(e.document for e in examples)])
    joined = joint_parent([documents[place] for place in parents])
    if joined is None:
        return None
    joint, evidence = joined
    titles = {place: f"// Rust: {documents[place]['path']}" for place, _ in pieces}
    content = [*_under(titles, pieces), *(example.text for example in examples)]
    qualified = _qualified(item, members)
    anchor = ",".join(members or ())
    return child_row(
        joint,
        anchor=f"interop:{qualified}:{item.export.start_line}:{anchor}",
        content="\n\n".join(content) + "\n",
        modality=Modality.CODE,
        evidence=evidence,
        generator=made_by_rule(joint),
        language="rust",
        name=qualified.rsplit(".", 1)[-1],
        qualified_name=qualified,
        docstring=item.export.documentation or None,
        start_line=item.export.start_line,
        end_line=item.export.end_line,
    )


def _method_pieces(item: Item, members: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The chosen methods, those of one block inside its head."""
    found = item.methods(members)
    for place, block in item.blocks:
        texts = [method.text for _, other, method in found if other is block]
        if texts:
            yield place, "\n".join([block.head, "\n\n".join(texts), "}"])


def _under(titles: Mapping[int, str], pieces: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Puts each piece under the title of its file; pieces of one file share it."""
    before: int | None = None
    for place, text in pieces:
        yield text if place == before else f"{titles[place]}\n{text}"
        before = place


def _qualified(item: Item, members: tuple[str, ...] | None) -> str:
    module = item.export.module or next((m.name for _, m in item.modules), None)
    member = members[0] if members is not None and len(members) == 1 else None
    parts = [module, item.export.name, None if member == NEW else member]
    return ".".join(part for part in parts if part)
