"""Packed sequences as a memory-mapped file: a step reads its rows in O(1) wherever they are.

Input: a `packed/*` table (columns position, split, tokens, loss_mask, rejected_tokens,
rejected_loss_mask, segments). It is streamed once into one uncompressed Arrow file, kept under the
work folder by data version; memory is a few batches, whatever the table holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tritter_assets.errors import ContractViolation, LakeCorruption
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    import torch

COLUMNS = [
    "position",
    "split",
    "tokens",
    "loss_mask",
    "rejected_tokens",
    "rejected_loss_mask",
    "segments",
]
TRAIN, HELDOUT = "train", "heldout"


@dataclass(frozen=True, slots=True)
class Batch:
    """Token sequences of one step, padded on the right to the longest."""

    tokens: torch.Tensor
    """int64 [rows, length]."""
    positions: torch.Tensor
    """int64 [rows, length]; each document (and the padding) counts from 0 again."""
    is_target: torch.Tensor
    """bool [rows, length]; true where the loss predicts this token from the one before it."""

    @property
    def num_tokens(self) -> int:
        """Tokens in the batch, padding included."""
        return self.tokens.numel()


class SequenceStore:
    """Random access to the rows of one packed table by split and rank (order of position)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        positions, batches, offsets, trains = [], [], [], []
        for number, batch in enumerate(self._batches):
            positions.append(batch.column("position").to_numpy())
            batches.append(np.full(batch.num_rows, number, dtype=np.int64))
            offsets.append(np.arange(batch.num_rows, dtype=np.int64))
            split = batch.column("split")
            trains.append(np.asarray(split.to_numpy(zero_copy_only=False) == TRAIN))
        empty = [np.empty(0, dtype=np.int64)]
        position = np.concatenate(positions or empty)
        where = np.stack([np.concatenate(batches or empty), np.concatenate(offsets or empty)], 1)
        is_train = np.concatenate(trains or [np.empty(0, dtype=bool)])
        order = np.argsort(position, kind="stable")
        self._position = position[order]
        self._where = where[order]
        self._ranks = {
            TRAIN: np.flatnonzero(is_train[order]),
            HELDOUT: np.flatnonzero(~is_train[order]),
        }

    def num_rows(self, split: str) -> int:
        """Returns the number of rows of a split."""
        return len(self._ranks[split])

    def positions(self, split: str) -> npt.NDArray[np.int64]:
        """Returns the `position` of every row of a split, by rank."""
        return self._position[self._ranks[split]]

    def ranks(self, split: str) -> npt.NDArray[np.int64]:
        """Returns every rank of a split: 0, 1, ... in order of position."""
        return np.arange(self.num_rows(split), dtype=np.int64)

    def batch(self, split: str, ranks: npt.NDArray[np.int64]) -> Batch:
        """Returns rows of a split by rank, with positions by document."""
        rows = [self._row(split, rank, "tokens", "loss_mask") for rank in ranks]
        starts = [self._starts(split, rank) for rank in ranks]
        return _collate(rows, starts)

    def pairs(self, split: str, ranks: npt.NDArray[np.int64]) -> Batch:
        """Returns preference rows as one batch: all chosen sequences, then all rejected ones.

        Raises:
            ContractViolation: a row has no rejected sequence.
        """
        chosen = [self._row(split, rank, "tokens", "loss_mask") for rank in ranks]
        rejected = [
            self._row(split, rank, "rejected_tokens", "rejected_loss_mask") for rank in ranks
        ]
        if any(not len(tokens) for tokens, _ in rejected):
            raise ContractViolation(
                f"{self.path.name}: a preference phase met a row without rejected_tokens: "
                "pack this phase from preference rows only"
            )
        return _collate(chosen + rejected, [[0]] * (2 * len(chosen)))

    def _row(
        self, split: str, rank: int, tokens: str, mask: str
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
        number, offset = self._where[self._ranks[split][rank]]
        batch = self._batches[int(number)]
        found = batch.column(tokens)[int(offset)]
        if not found.is_valid:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int8)
        counted = batch.column(mask)[int(offset)]
        ids = found.values.to_numpy()
        flags = counted.values.to_numpy() if counted.is_valid else np.ones(len(ids), dtype=np.int8)
        return ids, flags

    def _starts(self, split: str, rank: int) -> list[int]:
        number, offset = self._where[self._ranks[split][rank]]
        segments = self._batches[int(number)].column("segments")[int(offset)]
        if not segments.is_valid:
            return [0]
        fields = segments.values
        ends = fields.field("token_end").to_numpy()
        starts = fields.field("token_start").to_numpy()
        return sorted({0, *starts.tolist(), *ends.tolist()})


def open_sequences(
    lake: Lake, table: str, data_version: str, work_dir: Path, *, heldout_only: bool = False
) -> SequenceStore:
    """Copies a packed table into the work folder, unless it is there, and opens it.

    Args:
        lake: The lake.
        table: The packed table.
        data_version: What it must hold.
        work_dir: Where to keep the copy.
        heldout_only: Leave the training rows out, for an evaluation.

    Raises:
        LakeCorruption: the table does not hold `data_version` (any more).
        ContractViolation: the table has no rows.
    """
    folder = work_dir / "sequences"
    folder.mkdir(parents=True, exist_ok=True)
    part = "-heldout" if heldout_only else ""
    path = folder / f"{table.replace('/', '-')}-{data_version}{part}.arrow"
    if path.exists():
        return SequenceStore(path)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    sink: pa.RecordBatchFileWriter | None = None
    for batch in lake.batches(table, columns=COLUMNS):
        if heldout_only:
            split = batch.column("split").to_numpy(zero_copy_only=False)
            batch = batch.filter(pa.array(split == HELDOUT))  # noqa: PLW2901 - narrowed
        if sink is None:
            sink = pa.ipc.new_file(str(unfinished), batch.schema)
        sink.write_batch(batch)
    state = lake.state(table)
    if state is None or state.data_version != data_version:
        raise LakeCorruption(f"{table} was replaced while it was being read: train again")
    if sink is None:
        raise ContractViolation(f"{table} holds no sequences: its mix supplied no documents")
    sink.close()
    os.replace(unfinished, path)
    return SequenceStore(path)


def _collate(
    rows: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]], starts: list[list[int]]
) -> Batch:
    import torch

    length = max(2, *(len(tokens) for tokens, _ in rows))
    tokens = np.zeros((len(rows), length), dtype=np.int64)
    positions = np.zeros((len(rows), length), dtype=np.int64)
    is_target = np.zeros((len(rows), length), dtype=bool)
    steps = np.arange(length, dtype=np.int64)
    for index, ((ids, mask), begins) in enumerate(zip(rows, starts, strict=True)):
        tokens[index, : len(ids)] = ids
        is_target[index, : len(ids)] = mask != 0
        edges = np.asarray(sorted({0, len(ids), *begins}))
        edges = edges[edges < length]
        begin = edges[np.searchsorted(edges, steps, side="right") - 1]
        positions[index] = steps - begin
    # A document's first token has nothing before it to be predicted from.
    is_target &= positions != 0
    return Batch(torch.from_numpy(tokens), torch.from_numpy(positions), torch.from_numpy(is_target))
