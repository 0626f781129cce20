"""How a row becomes one stream of tokens: text parts, special tokens, and what the loss counts.

    code, text      content <|endoftext|>
    with FIM        <|fim_prefix|> before <|fim_suffix|> after <|fim_middle|> middle <|endoftext|>
    instruction     <|user|> instruction <|assistant|> response <|endoftext|>
    preference      the same twice, with `chosen` and with `rejected`

In instruction and preference rows only the answer and the end count towards the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritter_assets.errors import MissingProvenance
from tritter_assets.packing.fim import Cut
from tritter_assets.packing.tokens import (
    ASSISTANT,
    END_OF_TEXT,
    FIM_MIDDLE,
    FIM_PREFIX,
    FIM_SUFFIX,
    USER,
)
from tritter_assets.record import Modality


@dataclass(frozen=True, slots=True)
class Part:
    """A run of the stream: one special token, or a slice of a column's text."""

    text: str
    """The slice, or the special token."""
    column: str | None
    """Column the slice was taken from; None for a special token."""
    start: int = 0
    """First character of the slice in its column."""
    loss: bool = True


def _special(token: str, *, loss: bool = True) -> Part:
    return Part(token, None, 0, loss)


def render(row: Mapping[str, Any], *, answer: str = "", cut: Cut | None = None) -> list[Part]:
    """Renders one row.

    Args:
        row: `modality` and the text columns of a document row.
        answer: For preference rows, `chosen` or `rejected`.
        cut: For code, where the middle begins and ends; None renders the text in order.

    Raises:
        MissingProvenance: the row lacks a text column that its modality promises.
    """
    modality = row["modality"]
    if modality in (Modality.INSTRUCTION, Modality.PREFERENCE):
        column = answer or "response"
        if row["instruction"] is None or row[column] is None:
            raise MissingProvenance(
                f"row {row['id']} is a {modality} row without {column!r} or 'instruction': "
                "the stage that wrote it must fill both"
            )
        return [
            _special(USER, loss=False),
            Part(row["instruction"], "instruction", 0, loss=False),
            _special(ASSISTANT, loss=False),
            Part(row[column], column),
            _special(END_OF_TEXT),
        ]
    content = row["content"]
    if cut is None:
        return [Part(content, "content"), _special(END_OF_TEXT)]
    return [
        _special(FIM_PREFIX, loss=False),
        Part(content[: cut.start], "content"),
        _special(FIM_SUFFIX, loss=False),
        Part(content[cut.end :], "content", cut.end),
        _special(FIM_MIDDLE, loss=False),
        Part(content[cut.start : cut.end], "content", cut.start),
        _special(END_OF_TEXT),
    ]
