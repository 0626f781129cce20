"""Packs a mix into training sequences that remember where every token came from.

    in    mix/<phase>, the tables its rows stand in, the tokenizer
    out   packed/<phase>_<context>: sequences of at most `context_tokens` tokens, by position

| column | content |
|---|---|
| id | hash of phase, context, position and tokens |
| position | 0, 1, ... over the training sequences, then on over the held-out ones |
| split | `train` or `heldout` |
| tokens, loss_mask | the sequence; 1 where the loss counts the token |
| rejected_tokens, rejected_loss_mask | the second answer of a preference row, otherwise null |
| segments | which run of the sequence is which run of which document |

Before a token is encoded every row passes the gate again: what a removal request or a duplicate
index has taken out since the mix was built is left out and counted; a licence that is not admitted
any more, or content that is not what the mix recorded, stops the pack. No token is discarded
except of preference pairs longer than the context; the report counts those.

Cost: one pass over the content of the mix's shards; a temporary file of four bytes per token; an
index of about 200 bytes per document and 100 per sequence in memory.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.errors import LicenseRefused, MissingProvenance
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.mixes.gate import (
    GATE_VERSION,
    PARENT_NOT_ADMITTED,
    REMOVAL_REQUESTED,
    SOURCE_NOT_ACTIVE,
    admitted_rows,
)
from tritter_assets.mixes.sample import salt_of, sample_hash
from tritter_assets.packing.content import ContentReader
from tritter_assets.packing.fim import fim_cut, takes_fim
from tritter_assets.packing.heldout import HELDOUT_FRACTION, split_of
from tritter_assets.packing.layout import Ints, Layout, best_fit, concatenate, one_each
from tritter_assets.packing.order import REPOSITORY_CONTEXT_TOKENS, lay_out
from tritter_assets.packing.render import render
from tritter_assets.packing.spill import LOSS_BIT, Spill, Words, encode_streams
from tritter_assets.packing.tokenizer import load_tokenizer
from tritter_assets.record import Modality
from tritter_assets.verdict import Reason

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from tritter_assets.contracts.catalog import Catalog

STAGE_VERSION = "1"

TRAIN, HELDOUT = "train", "heldout"

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

_SKIPPED = frozenset(
    {
        REMOVAL_REQUESTED,
        PARENT_NOT_ADMITTED,
        SOURCE_NOT_ACTIVE,
        Reason.EXACT_DUPLICATE.value,
        Reason.NEAR_DUPLICATE.value,
        Reason.SEMANTIC_DUPLICATE.value,
        Reason.CLUSTER_LICENSE_CONFLICT.value,
    }
)
"""Reasons of the gate that leave a row out of the pack; any other reason stops it."""

_BATCH_TOKENS = 1 << 20

_TEXT, _SAMPLE, _PAIR = "text", "sample", "pair"
_KIND = {Modality.INSTRUCTION: _SAMPLE, Modality.PREFERENCE: _PAIR}


@dataclass(frozen=True, kw_only=True, slots=True)
class PackReport:
    """What a packed table holds."""

    phase: str
    context_tokens: int
    sequences: Mapping[str, int]
    """Split -> sequences."""
    tokens: Mapping[str, int]
    """Split -> tokens, the rejected answers not counted."""
    loss_tokens: Mapping[str, int]
    """Split -> tokens that the loss counts."""
    documents: Mapping[str, int]
    """Split -> documents, each counted once."""
    document_tokens: int
    """Tokens of all documents, each counted once."""
    content_bytes: int
    bytes_per_token: float
    """Measured: content over document tokens."""
    lost_tokens: int
    truncated_pairs: int
    excluded: Mapping[str, int]
    """Why the gate left out rows of the mix -> rows."""
    data_version: str

    @property
    def num_sequences(self) -> int:
        """Sequences of both splits."""
        return sum(self.sequences.values())


@dataclass(slots=True)
class _Totals:
    sequences: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    tokens: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    loss_tokens: dict[str, int] = field(default_factory=lambda: {TRAIN: 0, HELDOUT: 0})
    lost_tokens: int = 0
    truncated_pairs: int = 0


def code_version(phase: str, context_tokens: int, catalog: Catalog) -> str:
    """Returns the version of everything but data that decides the packed table."""
    mix = catalog.mixes.get(phase)
    digest = fingerprint_of(
        phase,
        context_tokens,
        mix.fim_rate if mix is not None else 0.0,
        GATE_VERSION,
        HELDOUT_FRACTION,
        REPOSITORY_CONTEXT_TOKENS,
        catalog.policy.digest,
        catalog.profile.use_profile,
    )
    return f"{STAGE_VERSION}.{digest}"


def packed_table(phase: str, context_tokens: int) -> str:
    """Returns the name of a packed table."""
    return f"packed/{phase}_{context_tokens}"


def pack_phase(
    lake: Lake, phase: str, context_tokens: int, *, catalog: Catalog, fingerprint: str
) -> PackReport:
    """Writes `packed/<phase>_<context>`.

    Args:
        lake: The lake; `mix/<phase>` and `tokenizer` exist.
        phase: A phase of the catalogue.
        context_tokens: Most tokens of a sequence.
        catalog: For the policy, the active sources and the mix.
        fingerprint: Of `code_version` and the data versions of mix, tokenizer and removals.

    Raises:
        LicenseRefused: a row of the mix is not admitted any more.
        MissingProvenance: a row is gone, or its content is not what the mix recorded.
    """
    rows, excluded = _gate(lake, phase, catalog)
    mix = catalog.mixes.get(phase)
    rate = mix.fim_rate if mix is not None else 0.0
    with tempfile.TemporaryDirectory(prefix="tritter-pack-") as folder:
        spill = Spill(Path(folder) / "tokens.u32")
        encoder = _Encoder(load_tokenizer(lake), rows, rate)
        reader = ContentReader(lake)
        spill.write(reader.batches(rows), encoder.encode)
        if reader.removed:
            excluded[REMOVAL_REQUESTED] = excluded.get(REMOVAL_REQUESTED, 0) + reader.removed
        lengths = np.asarray(spill.lengths, dtype=np.int64)
        documents = encoder.documents(spill, rows)
        totals = _Totals()
        writer = _Writer(
            words=spill.open(),
            offsets=np.asarray(spill.offsets, dtype=np.int64),
            lengths=lengths,
            phase=phase,
            context_tokens=context_tokens,
            totals=totals,
        )
        state = lake.write(
            packed_table(phase, context_tokens),
            writer.batches(documents),
            PACKED_SCHEMA,
            fingerprint=fingerprint,
            commit_metadata={"phase": phase, "context_tokens": context_tokens},
        )
    first = documents["entry"].to_numpy()
    document_tokens = int(lengths[first].sum()) if len(first) else 0
    counts = dict(documents.group_by("split").len().iter_rows())
    return PackReport(
        phase=phase,
        context_tokens=context_tokens,
        sequences=totals.sequences,
        tokens=totals.tokens,
        loss_tokens=totals.loss_tokens,
        documents={split: counts.get(split, 0) for split in (TRAIN, HELDOUT)},
        document_tokens=document_tokens,
        content_bytes=reader.read_bytes,
        bytes_per_token=round(reader.read_bytes / document_tokens, 4) if document_tokens else 0.0,
        lost_tokens=totals.lost_tokens,
        truncated_pairs=totals.truncated_pairs,
        excluded=dict(sorted(excluded.items())),
        data_version=state.data_version,
    )


def _gate(lake: Lake, phase: str, catalog: Catalog) -> tuple[pl.DataFrame, dict[str, int]]:
    """Returns the rows of the mix that pass the gate now, with their split, and who does not."""
    mix = lake.scan(f"mix/{phase}").collect()
    gated = admitted_rows(lake, mix["table"].unique().sort().to_list(), catalog=catalog)
    now = gated.rows.select("id", "table", sha256_now="content_sha256")
    judged = mix.join(now, on=["id", "table"], how="left", maintain_order="left").join(
        gated.excluded.unique(["id", "table"], keep="first"), on=["id", "table"], how="left"
    )
    excluded = judged.filter(pl.col("reason").is_not_null())
    refused = excluded.filter(~pl.col("reason").is_in(sorted(_SKIPPED)))
    if not refused.is_empty():
        row = refused.sort("id").row(0, named=True)
        raise LicenseRefused(
            f"{refused.height} rows of mix/{phase} are not admitted any more, the first is "
            f"{row['id']} of {row['source']} ({row['license_concluded']}: {row['reason']}): "
            f"materialise mix/{phase} under the present policy"
        )
    rest = judged.filter(pl.col("reason").is_null())
    changed = rest.filter(pl.col("sha256_now").ne_missing(pl.col("content_sha256")))
    if not changed.is_empty():
        row = changed.sort("id").row(0, named=True)
        what = "gone" if row["sha256_now"] is None else "changed"
        raise MissingProvenance(
            f"{changed.height} rows of mix/{phase} are not what the mix recorded, the first is "
            f"{row['id']} of {row['table']} ({what}): materialise mix/{phase} again"
        )
    # The split looks at the whole mix, so that a removal moves no other document across it.
    splits = mix.select("id").with_columns(split_of(mix["group_id"]))
    rows = rest.drop("sha256_now", "reason").join(splits, on="id", how="left").sort("id")
    counts = excluded.group_by("reason").len().sort("reason")
    return rows, dict(counts.iter_rows())


class _Encoder:
    """Renders and encodes batches, and keeps which spilled stream belongs to which row."""

    def __init__(self, tokenizer: Tokenizer, rows: pl.DataFrame, fim_rate: float) -> None:
        self._tokenizer = tokenizer
        self._fim_rate = fim_rate
        self._train = set(rows.filter(pl.col("split") == TRAIN)["id"])
        self._num_streams = 0
        self._index: dict[str, list[object]] = {
            name: [] for name in ("id", "table", "path", "kind", "entry", "rejected_entry")
        }

    def encode(self, frame: pl.DataFrame) -> list[Words]:
        streams = []
        for row in frame.iter_rows(named=True):
            kind = _KIND.get(row["modality"], _TEXT)
            cut = None
            trains = row["modality"] == Modality.CODE and row["id"] in self._train
            if trains and takes_fim(row["id"], self._fim_rate):
                cut = fim_cut(row["id"], len(row["content"]))
            answer = "chosen" if kind == _PAIR else ""
            streams.append(render(row, answer=answer, cut=cut))
            if kind == _PAIR:
                streams.append(render(row, answer="rejected"))
            values = (row["id"], row["table"], row["path"], kind, self._num_streams)
            rejected = self._num_streams + 1 if kind == _PAIR else -1
            for name, value in zip(self._index, (*values, rejected), strict=True):
                self._index[name].append(value)
            self._num_streams += 2 if kind == _PAIR else 1
        return encode_streams(self._tokenizer, streams)

    def documents(self, spill: Spill, rows: pl.DataFrame) -> pl.DataFrame:
        """Returns one row per document that was read, with the streams it was spilled to."""
        schema = {"id": pl.String, "table": pl.String, "path": pl.String, "kind": pl.String}
        index = pl.DataFrame(
            self._index, schema=schema | {"entry": pl.Int64, "rejected_entry": pl.Int64}
        )
        columns = ["id", "table", "source", "shard", "repo", "epochs", "split"]
        return index.join(rows.select(columns), on=["id", "table"], how="inner").sort("id")


@dataclass(slots=True)
class _Writer:
    words: Words
    offsets: Ints
    lengths: Ints
    phase: str
    context_tokens: int
    totals: _Totals
    _position: int = 0

    def batches(self, documents: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        """Plans and writes the training sequences, then the held-out ones."""
        for split in (TRAIN, HELDOUT):
            part = documents.filter(pl.col("split") == split)
            if split == HELDOUT:
                part = part.with_columns(epochs=pl.lit(1, pl.Int32))
            plans = []
            for kind in (_TEXT, _SAMPLE, _PAIR):
                ordered = lay_out(
                    part.filter(pl.col("kind") == kind),
                    phase=self.phase,
                    context_tokens=self.context_tokens,
                )
                plans.append(self._plan(kind, ordered))
            yield from self._split(split, [plan for plan in plans if plan is not None])

    def _plan(self, kind: str, ordered: pl.DataFrame) -> _Plan | None:
        if ordered.is_empty():
            return None
        entries = ordered["entry"].to_numpy()
        lengths = self.lengths[entries]
        if kind == _PAIR:
            return self._plan_pairs(ordered)
        layout = (concatenate if kind == _TEXT else best_fit)(lengths, self.context_tokens)
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
        for entries, num in zip((chosen, rejected), kept, strict=True):
            self.totals.lost_tokens += int((self.lengths[entries] - num).sum())
        layout = one_each(kept[0], cut_left)
        return _Plan(
            _PAIR,
            layout,
            ordered,
            self.offsets[chosen],
            rejected_starts=self.offsets[rejected] + cut_left,
            rejected_lengths=kept[1],
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
