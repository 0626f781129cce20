"""The order in which a run reads sequences: a function of (data version, seed, step), no state.

Every epoch is a permutation of 0..n-1 made by a keyed Feistel network with cycle walking: the k-th
row of the stream costs O(1) wherever k is, so a resumed run skips nothing, and the inverse tells,
also in O(1), how often a row was read before a given step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tritter_assets.errors import ContractViolation

ROUNDS = 4
_U64 = np.uint64

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceOrder:
    """An endless stream of row indices, epoch after epoch, each epoch in its own order."""

    data_version: str
    """Data version of the packed table: other rows, another order."""
    seed: int
    num_rows: int
    batch_rows: int

    def __post_init__(self) -> None:
        """Refuses an empty stream."""
        if self.num_rows < 1 or self.batch_rows < 1:
            raise ContractViolation(
                f"cannot order {self.num_rows} training sequences in batches of "
                f"{self.batch_rows}: the packed table holds no training rows"
            )

    def batch(self, step: int) -> Indices:
        """Returns the row indices of one step, counted from 0."""
        start = step * self.batch_rows
        return self.rows(start, start + self.batch_rows)

    def rows(self, start: int, end: int) -> Indices:
        """Returns positions start..end-1 of the stream."""
        stream = np.arange(start, end, dtype=np.int64)
        out = np.empty_like(stream)
        for epoch in range(start // self.num_rows, (end - 1) // self.num_rows + 1):
            inside = stream // self.num_rows == epoch
            out[inside] = self._permute(stream[inside] % self.num_rows, self._keys(epoch))
        return out

    def times_read(self, rows: Indices, steps: int) -> Indices:
        """Returns how often each row was read in the first `steps` steps."""
        epochs, rest = divmod(steps * self.batch_rows, self.num_rows)
        ranks = self._invert(np.asarray(rows, dtype=np.int64), self._keys(epochs))
        return epochs + (ranks < rest).astype(np.int64)

    # -- Feistel network over [0, 4^half_bits), restricted to [0, n) by walking the cycle ---------

    def _half_bits(self) -> int:
        return max(1, (max(self.num_rows - 1, 1).bit_length() + 1) // 2)

    def _keys(self, epoch: int) -> list[np.uint64]:
        text = f"{self.data_version}/{self.seed}/{epoch}"
        digest = hashlib.sha256(text.encode()).digest()
        return [_U64(int.from_bytes(digest[8 * i : 8 * i + 8], "big")) for i in range(ROUNDS)]

    def _permute(self, values: Indices, keys: list[np.uint64]) -> Indices:
        return self._walk(values, keys, forward=True)

    def _invert(self, values: Indices, keys: list[np.uint64]) -> Indices:
        return self._walk(values, keys, forward=False)

    def _walk(self, values: Indices, keys: list[np.uint64], *, forward: bool) -> Indices:
        out = self._network(values.astype(_U64), keys, forward=forward)
        outside = out >= _U64(self.num_rows)
        while outside.any():
            out[outside] = self._network(out[outside], keys, forward=forward)
            outside = out >= _U64(self.num_rows)
        return out.astype(np.int64)

    def _network(
        self, values: npt.NDArray[np.uint64], keys: list[np.uint64], *, forward: bool
    ) -> npt.NDArray[np.uint64]:
        bits = _U64(self._half_bits())
        mask = (_U64(1) << bits) - _U64(1)
        left, right = values >> bits, values & mask
        for key in keys if forward else reversed(keys):
            if forward:
                left, right = right, left ^ (_mix(right, key) & mask)
            else:
                left, right = right ^ (_mix(left, key) & mask), left
        return (left << bits) | right


def _mix(values: npt.NDArray[np.uint64], key: np.uint64) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64, keyed."""
    mixed = values + key
    mixed = (mixed ^ (mixed >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> _U64(27))) * _U64(0x94D049BB133111EB)
    return mixed ^ (mixed >> _U64(31))
