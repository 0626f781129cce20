"""Writes planned sequences: tokens, loss marks and the segments that name their documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.mixes.sample import salt_of, sample_hash
from tritter_assets.packing.layout import Ints, Layout, best_fit, concatenate, one_each
from tritter_assets.packing.order import lay_out
from tritter_assets.packing.spill import LOSS_BIT, Words

TRAIN, HELDOUT = "train", "heldout"

TEXT, SAMPLE, PAIR = "text", "sample", "pair"
"""How a document is laid out: cut anywhere, kept whole, or a pair of answers."""

SEGMENT = pa.struct(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("token_start", pa.int32(), nullable=False),
        pa.field("token_end", pa.int32(), nullable=False),
        pa.field("doc_token_start", pa.int64(), nullable=False),
    ]
)
"""`token_start` and `token_end` bound the run in the sequence; `doc_token_start` is where the run
begins in the document's own stream of tokens, special tokens counted."""

PACKED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("loss_mask", pa.list_(pa.int8()), nullable=False),
        pa.field("rejected_tokens", pa.list_(pa.int32())),
        pa.field("rejected_loss_mask", pa.list_(pa.int8())),
        pa.field("segments", pa.list_(SEGMENT), nullable=False),
    ]
)

_BATCH_TOKENS = 1 << 20


@dataclass(slots=True)
class Totals:
    """Counts that the writer adds up; splits are `train` and `heldout`."""

    sequences: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    tokens: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    loss_tokens: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    lost_tokens: int = 0
    truncated_pairs: int = 0
    indistinct_pairs: int = 0


@dataclass(slots=True)
class SequenceWriter:
    """Turns documents whose streams are on disk into record batches of `PACKED_SCHEMA`."""

    words: Words
    """The spilled streams, end to end."""
    offsets: Ints
    """First word of each stream."""
    lengths: Ints
    """Words of each stream."""
    phase: str
    context_tokens: int
    totals: Totals
    _position: int = 0

    def batches(self, documents: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        """Plans and writes the training sequences, then the held-out ones."""
        for split in (TRAIN, HELDOUT):
            part = documents.filter(pl.col("split") == split)
            if split == HELDOUT:
                part = part.with_columns(epochs=pl.lit(1, pl.Int32))
            plans = []
            for kind in (TEXT, SAMPLE, PAIR):
                ordered = lay_out(
                    part.filter(pl.col("kind") == kind),
                    phase=self.phase,
                    context_tokens=self.context_tokens,
                )
                plans.append(self._plan(kind, ordered))
            yield from self._split(
                split, [plan for plan in plans if plan is not None and plan.layout.num_sequences]
            )

    def _plan(self, kind: str, ordered: pl.DataFrame) -> _Plan | None:
        if ordered.is_empty():
            return None
        entries = ordered["entry"].to_numpy()
        lengths = self.lengths[entries]
        if kind == PAIR:
            return self._plan_pairs(ordered)
        layout = (concatenate if kind == TEXT else best_fit)(lengths, self.context_tokens)
        return _Plan(kind, layout, ordered, self.offsets[entries])

    def _plan_pairs(self, ordered: pl.DataFrame) -> _Plan:
        """Cuts prompts on the left, by the same amount for both answers, then answers' ends."""
        chosen, rejected = (ordered[name].to_numpy() for name in ("entry", "rejected_entry"))
        cut_left = np.zeros(len(chosen), dtype=np.int64)
        longest = np.maximum(self.lengths[chosen], self.lengths[rejected])
        for row in np.flatnonzero(longest > self.context_tokens):
            begin = self.offsets[chosen[row]]
            stream = self.words[begin : begin + self.lengths[chosen[row]]]
            prompt = int(np.argmax((stream & LOSS_BIT) != 0))
            # The token that opens the answer always stays.
            cut_left[row] = min(longest[row] - self.context_tokens, max(prompt - 1, 0))
            self.totals.truncated_pairs += 1
        kept = [
            np.minimum(self.lengths[entries] - cut_left, self.context_tokens)
            for entries in (chosen, rejected)
        ]
        starts = [self.offsets[entries] + cut_left for entries in (chosen, rejected)]
        # Two answers that are the same as far as the context reaches teach nothing.
        differs = np.array(
            [
                not np.array_equal(self.words[a : a + m], self.words[b : b + n])
                for a, m, b, n in zip(starts[0], kept[0], starts[1], kept[1], strict=True)
            ],
            dtype=bool,
        )
        self.totals.indistinct_pairs += int((~differs).sum())
        for entries, num in zip((chosen, rejected), kept, strict=True):
            self.totals.lost_tokens += int((self.lengths[entries] - num * differs).sum())
        return _Plan(
            PAIR,
            one_each(kept[0][differs], cut_left[differs]),
            ordered.filter(pl.Series(differs)),
            self.offsets[chosen][differs],
            rejected_starts=starts[1][differs],
            rejected_lengths=kept[1][differs],
        )

    def _split(self, split: str, plans: list[_Plan]) -> Iterator[pa.RecordBatch]:
        numbers = [
            pl.DataFrame({"plan": [index] * plan.layout.num_sequences}).with_columns(
                sequence=pl.int_range(plan.layout.num_sequences),
                key=pl.lit(plan.kind),
            )
            for index, plan in enumerate(plans)
        ]
        if not numbers:
            return
        order = pl.concat(numbers)
        keys = order.select(pl.concat_str("key", "sequence", separator="\0"))["key"]
        order = order.with_columns(sample_hash(keys, salt_of("shuffle", self.phase, split)))
        order = order.sort("sample_hash", "plan", "sequence")
        segments = _Segments(plans)
        step = max(_BATCH_TOKENS // self.context_tokens, 1)
        for start in range(0, order.height, step):
            chosen = order.slice(start, step)
            pairs = list(chosen.select("plan", "sequence").iter_rows())
            yield self._batch(split, plans, segments, pairs)

    def _batch(
        self,
        split: str,
        plans: list[_Plan],
        segments: _Segments,
        chosen: list[tuple[int, int]],
    ) -> pa.RecordBatch:
        ids: list[str] = []
        tokens, rejected = _Lists(), _Lists()
        for place, (number, sequence) in enumerate(chosen):
            plan = plans[number]
            pieces = plan.pieces(sequence)
            words = np.concatenate([self.words[a:b] for a, b in plan.ranges(pieces)])
            other = None
            if plan.rejected_starts is not None and plan.rejected_lengths is not None:
                begin = int(plan.rejected_starts[sequence])
                other = self.words[begin : begin + int(plan.rejected_lengths[sequence])]
            tokens.add(words)
            rejected.add(other)
            segments.add(number, pieces)
            ids.append(self._sequence_id(split, self._position + place, words, other))
            self.totals.tokens[split] += len(words)
            self.totals.loss_tokens[split] += int(np.count_nonzero(words & LOSS_BIT))
        positions = np.arange(self._position, self._position + len(chosen), dtype=np.int64)
        self._position += len(chosen)
        self.totals.sequences[split] += len(chosen)
        return pa.RecordBatch.from_arrays(
            [
                pa.array(ids, pa.string()),
                pa.array(positions),
                pa.array([split] * len(chosen), pa.string()),
                *tokens.arrays(),
                *rejected.arrays(),
                segments.take(),
            ],
            schema=PACKED_SCHEMA,
        )

    def _sequence_id(self, split: str, position: int, words: Words, other: Words | None) -> str:
        digest = hashlib.sha256(
            f"{self.phase}\0{self.context_tokens}\0{split}\0{position}\0".encode()
        )
        digest.update(words.tobytes())
        if other is not None:
            digest.update(b"\0" + other.tobytes())
        return digest.hexdigest()[:32]


class _Plan:
    """A layout with the documents it lays out and where their streams begin on disk."""

    def __init__(
        self,
        kind: str,
        layout: Layout,
        ordered: pl.DataFrame,
        starts: Ints,
        *,
        rejected_starts: Ints | None = None,
        rejected_lengths: Ints | None = None,
    ) -> None:
        self.kind = kind
        self.layout = layout
        self.ordered = ordered
        self.rejected_starts = rejected_starts
        self.rejected_lengths = rejected_lengths
        self._starts = starts
        self._bounds = np.searchsorted(layout.sequence, np.arange(layout.num_sequences + 1))

    def pieces(self, sequence: int) -> slice:
        """Returns which pieces make up a sequence."""
        return slice(int(self._bounds[sequence]), int(self._bounds[sequence + 1]))

    def ranges(self, pieces: slice) -> list[tuple[int, int]]:
        """Returns where the pieces stand in the spilled file."""
        layout = self.layout
        begin = self._starts[layout.document[pieces]] + layout.doc_token_start[pieces]
        end = begin + layout.num_tokens[pieces]
        return list(zip(begin.tolist(), end.tolist(), strict=True))


class _Segments:
    """Gathers the segments of many sequences and names their documents in one lookup."""

    def __init__(self, plans: Sequence[_Plan]) -> None:
        self._plans = plans
        sizes = [plan.ordered.height for plan in plans]
        self._first = np.concatenate([[0], np.cumsum(sizes)])
        columns = ["id", "table", "source", "shard"]
        documents = pl.concat([plan.ordered.select(columns) for plan in plans]).to_arrow()
        self._names = [
            documents.column(name).cast(pa.string()).combine_chunks() for name in columns
        ]
        self._runs: list[tuple[Ints, Ints, Ints, Ints]] = []

    def add(self, number: int, pieces: slice) -> None:
        """Adds the pieces of one sequence of plan `number`."""
        layout = self._plans[number].layout
        self._runs.append(
            (
                layout.document[pieces] + self._first[number],
                layout.token_start[pieces],
                layout.num_tokens[pieces],
                layout.doc_token_start[pieces],
            )
        )

    def take(self) -> pa.ListArray:
        """Returns the list column of what was added since the last call."""
        counts = [len(run[0]) for run in self._runs]
        document, start, size, begin = (
            np.concatenate(arrays) for arrays in zip(*self._runs, strict=True)
        )
        self._runs = []
        rows = pa.array(document)
        values = pa.StructArray.from_arrays(
            [
                *(names.take(rows) for names in self._names),
                pa.array(start.astype(np.int32)),
                pa.array((start + size).astype(np.int32)),
                pa.array(begin),
            ],
            fields=list(SEGMENT),
        )
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)


class _Lists:
    """Gathers arrays of words into a list column of tokens and one of loss marks."""

    def __init__(self) -> None:
        self._words: list[Words] = []
        self._lengths: list[int] = []
        self._valid: list[bool] = []

    def add(self, words: Words | None) -> None:
        self._valid.append(words is not None)
        self._lengths.append(0 if words is None else len(words))
        if words is not None:
            self._words.append(words)

    def arrays(self) -> tuple[pa.Array, pa.Array]:
        flat = np.concatenate(self._words) if self._words else np.empty(0, dtype=np.uint32)
        offsets = pa.array(np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int32))
        mask = None if all(self._valid) else pa.array([not valid for valid in self._valid])
        tokens = pa.array((flat & ~LOSS_BIT).astype(np.int32))
        marks = pa.array((flat >> np.uint32(31)).astype(np.int8))
        return (
            pa.ListArray.from_arrays(offsets, tokens, mask=mask),
            pa.ListArray.from_arrays(offsets, marks, mask=mask),
        )
