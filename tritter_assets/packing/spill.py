"""Token streams on disk: encoded once in the order tables hold them, read in the order of packing.

A token takes four bytes: the id, with the top bit set where the loss counts it. The file lives in
a temporary folder for as long as a pack runs; memory holds one batch and the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tritter_assets.packing.render import Part

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LOSS_BIT = np.uint32(1 << 31)

Words = npt.NDArray[np.uint32]


def encode_streams(tokenizer: Tokenizer, streams: Sequence[Sequence[Part]]) -> list[Words]:
    """Encodes rendered rows in one batch; returns one array of words per row."""
    texts = [part.text for parts in streams for part in parts if part.column is not None]
    encoded = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    found: list[Words] = []
    for parts in streams:
        pieces: list[Words] = []
        for part in parts:
            if part.column is None:
                ids = np.array([tokenizer.token_to_id(part.text)], dtype=np.uint32)
            else:
                ids = np.array(next(encoded).ids, dtype=np.uint32)
            pieces.append(ids | LOSS_BIT if part.loss else ids)
        found.append(np.concatenate(pieces) if pieces else np.empty(0, dtype=np.uint32))
    return found


@dataclass(slots=True)
class Spill:
    """A file of token streams that is written once and then read anywhere."""

    path: Path
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    _written: int = 0

    def write(self, batches: Iterable[Any], encode: Callable[[Any], Iterable[Words]]) -> None:
        """Encodes every batch and appends its streams."""
        with self.path.open("wb") as sink:
            for batch in batches:
                for words in encode(batch):
                    sink.write(words.tobytes())
                    self.offsets.append(self._written)
                    self.lengths.append(len(words))
                    self._written += len(words)

    def open(self) -> Words:
        """Maps the file."""
        if not self._written:
            return np.empty(0, dtype=np.uint32)
        return np.memmap(self.path, dtype=np.uint32, mode="r", shape=(self._written,))
