"""Turns packed tokens back into text, by table look-up: what a model reads, as bytes.

A token of a byte-level vocabulary is a string of bytes, so the text of a sequence is those strings
end to end; special tokens become spaces. Adjacent segments of one document become one text, also
where one sequence ends and the next begins. 100 MB of text take about a second.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.packing.tokenizer import TOKENIZER_ASSET, TOKENIZER_FILE

_BATCH_SEQUENCES = 512
_COLUMNS = ["tokens", "rejected_tokens", "segments"]


def packed_texts(lake: Lake, table: str) -> Iterator[tuple[pl.Series, pa.LargeStringArray]]:
    """Yields (document ids, texts) of a packed table; a text may end inside a character.

    Raises:
        LakeCorruption: the lake has no tokenizer, or one with fewer tokens than were packed.
    """
    vocabulary = _vocabulary(lake, table)
    for batch in lake.batches(table, columns=_COLUMNS, batch_rows=_BATCH_SEQUENCES):
        yield _segments(batch, vocabulary, table)
        pairs = batch.filter(batch.column("rejected_tokens").is_valid())
        if pairs.num_rows:
            lengths = np.asarray(pairs.column("rejected_tokens").value_lengths())
            documents = [rows[0]["doc_id"] for rows in pairs.column("segments").to_pylist()]
            tokens = pairs.column("rejected_tokens").flatten()
            ends = np.concatenate([[0], np.cumsum(lengths)])
            yield pl.Series(documents), _decode(tokens, ends, vocabulary, table)


def _segments(
    batch: pa.RecordBatch, vocabulary: pa.Array, table: str
) -> tuple[pl.Series, pa.LargeStringArray]:
    tokens = batch.column("tokens")
    starts = np.concatenate([[0], np.cumsum(np.asarray(tokens.value_lengths()))])
    frame = pl.DataFrame({"row": np.arange(batch.num_rows), "segments": batch.column("segments")})
    frame = frame.explode("segments").unnest("segments")
    rows = frame["row"].to_numpy()
    begin = starts[rows] + frame["token_start"].to_numpy()
    end = starts[rows] + frame["token_end"].to_numpy()
    documents, first = frame["doc_id"], frame["doc_token_start"].to_numpy()
    follows = (
        (documents == documents.shift(1)).fill_null(value=False).to_numpy()
        & (np.roll(end, 1) == begin)
        & (first == np.roll(first + end - begin, 1))
    )
    follows[:1] = False
    heads = np.flatnonzero(~follows)
    bounds = np.concatenate([begin[heads], end[-1:]]) if len(heads) else np.zeros(1, np.int64)
    return documents.gather(heads), _decode(tokens.flatten(), bounds, vocabulary, table)


def _decode(
    tokens: pa.Array, bounds: np.ndarray, vocabulary: pa.Array, table: str
) -> pa.LargeStringArray:
    """Returns the texts of the token ranges between bounds."""
    try:
        taken = vocabulary.take(tokens.cast(pa.int64()))
    except pa.ArrowIndexError:
        raise LakeCorruption(
            f"{table} holds tokens that the lake's tokenizer does not have: "
            f"materialise {table!r} again"
        ) from None
    _, offsets, data = taken.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[taken.offset :][bounds]
    count = max(len(bounds) - 1, 0)
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(places.tobytes()), data)


def _vocabulary(lake: Lake, table: str) -> pa.Array:
    """Returns the bytes of every token, by id."""
    if not lake.exists(TOKENIZER_ASSET):
        raise LakeCorruption(
            f"the lake holds {table} and no tokenizer to read it with: "
            f"materialise {TOKENIZER_ASSET!r}, then {table!r}"
        )
    with tempfile.TemporaryDirectory(prefix="tritter-tokenizer-") as folder:
        store = ArtifactStore(lake, cache=Path(folder))
        path = store.open_local(TOKENIZER_ASSET, TOKENIZER_FILE)
        stored = json.loads(path.read_text("utf-8"))
    special = {token["id"] for token in stored["added_tokens"]}
    entries = {number: token for token, number in stored["model"]["vocab"].items()}
    letters = _byte_letters()
    size = max([*special, *entries]) + 1
    values = [
        b" " if n in special or n not in entries else bytes(letters[c] for c in entries[n])
        for n in range(size)
    ]
    return pa.array(values, pa.large_binary())


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary.

    Printable bytes of Latin-1 stand for themselves, the others for the letters from 256 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(rest)}
