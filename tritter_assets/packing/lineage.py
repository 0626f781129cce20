"""From a token of a packed sequence back to the characters it was made from.

The document's stream is encoded again and compared with what was packed, so an answer is proved or
not given at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.errors import LakeCorruption, MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.packing.fim import fim_cut
from tritter_assets.packing.render import Part, render
from tritter_assets.packing.tokenizer import load_tokenizer
from tritter_assets.record import Modality

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_COLUMNS = [
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "modality",
    "content",
    "instruction",
    "response",
    "chosen",
    "rejected",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenOrigin:
    """Where one token came from."""

    doc_id: str
    table: str
    source: str
    shard: str
    repo: str
    path: str
    doc_token: int
    """Place of the token in the document's stream, special tokens counted."""
    column: str | None
    """Text column of the row; None for a special token, which no document holds."""
    char_start: int
    char_end: int
    """Half-open range of characters of `column`; empty for a special token. A token that holds
    only some bytes of a character names the whole character."""
    text: str
    """The characters, or the special token."""


def locate(
    lake: Lake,
    packed_table: str,
    sequence_id: str,
    token_offset: int,
    *,
    rejected: bool = False,
    tokenizer: Tokenizer | None = None,
) -> TokenOrigin:
    """Finds the document and the characters behind one token.

    Args:
        lake: The lake.
        packed_table: E.g. `packed/phase1_base_256`.
        sequence_id: `id` of a sequence.
        token_offset: 0 is the sequence's first token.
        rejected: Counts in the rejected answer of a preference row.
        tokenizer: The lake's tokenizer, when it is open already.

    Raises:
        MissingProvenance: there is no such sequence, token or document.
        LakeCorruption: the document, encoded again, does not give the packed tokens.
    """
    found = lake.scan(packed_table).filter(pl.col("id") == sequence_id).collect()
    if found.is_empty():
        raise MissingProvenance(
            f"{packed_table} holds no sequence {sequence_id!r}: it may have been packed again; "
            "list the ids of the present version"
        )
    sequence = found.row(0, named=True)
    tokens = sequence["rejected_tokens" if rejected else "tokens"]
    if tokens is None or not 0 <= token_offset < len(tokens):
        raise MissingProvenance(
            f"sequence {sequence_id} has {len(tokens or ())} tokens, not a token {token_offset}"
        )
    segment, end = _segment(sequence["segments"], token_offset, len(tokens), rejected=rejected)
    row = _document(lake, segment)
    opened = tokenizer or load_tokenizer(lake)
    packed = tokens[segment["token_start"] : end]
    for parts in _renderings(row, rejected=rejected):
        origins = _origins(opened, parts)
        begin = segment["doc_token_start"]
        if [origin[0] for origin in origins[begin : begin + len(packed)]] == packed:
            doc_token = begin + token_offset - segment["token_start"]
            _, part, start, stop = origins[doc_token]
            return TokenOrigin(
                doc_id=row["id"],
                table=segment["table"],
                source=segment["source"],
                shard=segment["shard"],
                repo=row["repo"],
                path=row["path"],
                doc_token=doc_token,
                column=part.column,
                char_start=part.start + start,
                char_end=part.start + stop,
                text=part.text if part.column is None else part.text[start:stop],
            )
    raise LakeCorruption(
        f"{segment['table']} {row['id']}: its text does not give the tokens of {packed_table} "
        f"{sequence_id}: the tokenizer or the row changed; pack again"
    )


def _segment(
    segments: Sequence[Mapping[str, Any]], offset: int, num_tokens: int, *, rejected: bool
) -> tuple[Mapping[str, Any], int]:
    if rejected:
        return segments[0], num_tokens
    for segment in segments:
        if segment["token_start"] <= offset < segment["token_end"]:
            return segment, segment["token_end"]
    raise MissingProvenance(f"no segment holds token {offset}: the packed table is damaged")


def _document(lake: Lake, segment: Mapping[str, Any]) -> dict[str, Any]:
    partition = {"shard": segment["shard"]}
    if not segment["table"].startswith("filtered/"):
        partition = {"source": segment["source"], "shard": segment["shard"]}
    for batch in lake.batches(segment["table"], partition=partition, columns=_COLUMNS):
        ids = batch.column("id").to_pylist()
        if segment["doc_id"] in ids:
            return batch.slice(ids.index(segment["doc_id"]), 1).to_pylist()[0]
    raise MissingProvenance(
        f"document {segment['doc_id']} is not in {segment['table']} any more: "
        "it was removed after the sequence was packed; pack again"
    )


def _renderings(row: Mapping[str, Any], *, rejected: bool) -> list[list[Part]]:
    if row["modality"] == Modality.PREFERENCE:
        return [render(row, answer="rejected" if rejected else "chosen")]
    plain = render(row)
    cut = fim_cut(row["id"], len(row["content"])) if row["modality"] == Modality.CODE else None
    return [plain] if cut is None else [plain, render(row, cut=cut)]


def _origins(tokenizer: Tokenizer, parts: Sequence[Part]) -> list[tuple[int, Part, int, int]]:
    """Returns (token, part, first character, past the last) of a stream's tokens."""
    found: list[tuple[int, Part, int, int]] = []
    for part in parts:
        if part.column is None:
            token = tokenizer.token_to_id(part.text)
            found.append((-1 if token is None else token, part, 0, 0))
            continue
        encoded = tokenizer.encode(part.text, add_special_tokens=False)
        found.extend(
            (token, part, start, stop)
            for token, (start, stop) in zip(encoded.ids, encoded.offsets, strict=True)
        )
    return found
