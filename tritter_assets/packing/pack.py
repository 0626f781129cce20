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
except of preference pairs longer than the context, and pairs whose answers are then the same; the
report counts both.

Cost: one pass over the content of the mix's shards; a temporary file of four bytes per token; an
index of about 200 bytes per document and 100 per sequence in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tritter_assets.errors import LicenseRefused, MissingProvenance
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.mixes.gate import (
    GATE_VERSION,
    PARENT_NOT_ADMITTED,
    REMOVAL_REQUESTED,
    SOURCE_NOT_ACTIVE,
    admitted_rows,
)
from tritter_assets.packing.content import ContentReader
from tritter_assets.packing.fim import fim_cut, takes_fim
from tritter_assets.packing.heldout import HELDOUT_FRACTION, split_of
from tritter_assets.packing.order import REPOSITORY_CONTEXT_TOKENS
from tritter_assets.packing.render import render
from tritter_assets.packing.sequences import (
    HELDOUT,
    PACKED_SCHEMA,
    PAIR,
    SAMPLE,
    TEXT,
    TRAIN,
    SequenceWriter,
    Totals,
)
from tritter_assets.packing.spill import Spill, Words, encode_streams
from tritter_assets.packing.tokenizer import load_tokenizer
from tritter_assets.record import Modality
from tritter_assets.verdict import Reason

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from tritter_assets.contracts.catalog import Catalog

STAGE_VERSION = "1"

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

_KIND = {Modality.INSTRUCTION: SAMPLE, Modality.PREFERENCE: PAIR}


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
    """Preference pairs that were cut to the context."""
    indistinct_pairs: int
    """Pairs left out because their answers are the same as far as the context reaches."""
    excluded: Mapping[str, int]
    """Why the gate left out rows of the mix -> rows."""
    data_version: str

    @property
    def num_sequences(self) -> int:
        """Sequences of both splits."""
        return sum(self.sequences.values())


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
        totals = Totals()
        writer = SequenceWriter(
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
        indistinct_pairs=totals.indistinct_pairs,
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
            kind = _KIND.get(row["modality"], TEXT)
            cut = None
            trains = row["modality"] == Modality.CODE and row["id"] in self._train
            if trains and takes_fim(row["id"], self._fim_rate):
                cut = fim_cut(row["id"], len(row["content"]))
            answer = "chosen" if kind == PAIR else ""
            streams.append(render(row, answer=answer, cut=cut))
            if kind == PAIR:
                streams.append(render(row, answer="rejected"))
            values = (row["id"], row["table"], row["path"], kind, self._num_streams)
            rejected = self._num_streams + 1 if kind == PAIR else -1
            for name, value in zip(self._index, (*values, rejected), strict=True):
                self._index[name].append(value)
            self._num_streams += 2 if kind == PAIR else 1
        return encode_streams(self._tokenizer, streams)

    def documents(self, spill: Spill, rows: pl.DataFrame) -> pl.DataFrame:
        """Returns one row per document that was read, with the streams it was spilled to."""
        schema = {"id": pl.String, "table": pl.String, "path": pl.String, "kind": pl.String}
        index = pl.DataFrame(
            self._index, schema=schema | {"entry": pl.Int64, "rejected_entry": pl.Int64}
        )
        columns = ["id", "table", "source", "shard", "repo", "epochs", "split"]
        return index.join(rows.select(columns), on=["id", "table"], how="inner").sort("id")
