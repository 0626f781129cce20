"""What each checkpoint was trained on, phase by phase through its ancestors, joined with licences.

A checkpoint owes what the rows owe that it read, not what today's mixes hold. So the documents it
read (`seen_documents.parquet`, ancestors included) are joined with the version of each mix that
was trained on, through time travel when the mix has been rebuilt since. A document found in
neither is counted under the obligation `unknown`: it fails closed. A checkpoint that does not say
what it read is taken to have read its mixes whole, and is marked so.

Cost: one join of ids a phase, and the segments of the packed table for the held-out documents.
Content is never read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.checkpoints import SEEN_FILE, Checkpoint, checkpoints, packed_rows
from tritter_assets.packing.sequences import HELDOUT

PHASE_ORDER = ("phase1_base", "phase2_domain", "phase3_instruct", "phase4_align")

UNKNOWN = "unknown"
"""Obligation and licence of a document whose row is gone from every kept version of its mix."""

SLICE_ROWS = 1_000_000
"""Documents joined at once. Three million take 645 MiB and 7 CPU seconds so, 1.2 GiB at once."""

_AXES = ("license_concluded", "generator", "source", "language")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCounts:
    """Documents by licence, obligation, generator, source and language."""

    documents: int = 0
    licences: Mapping[str, int]
    obligations: Mapping[str, int]
    generators: Mapping[str, int]
    sources: Mapping[str, int]
    languages: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseUse:
    """What one phase's training read."""

    phase: str
    model: str
    """The checkpoint of the line whose training it was."""
    mix_data_version: str
    mix_replaced: bool
    """True when the mix has been rebuilt since this training."""
    tokens: int | None
    """Tokens read, repeats counted; None when the checkpoint does not say."""
    unaccounted: int
    """Documents read whose row is gone from every kept version of the mix."""
    counts: RowCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """One checkpoint with everything it and its ancestors read."""

    checkpoint: Checkpoint
    phases: Sequence[PhaseUse]
    """In the order of training, the checkpoint's own last."""
    heldout: RowCounts
    """Documents of its own packed table that it was tested on and no phase trains on."""
    certain: bool
    """False when it does not say what it read: its mixes are then counted whole."""

    @property
    def asset(self) -> str:
        """`model/<phase>`."""
        return self.checkpoint.asset

    @property
    def phase(self) -> str:
        """The phase that made it."""
        return self.checkpoint.asset.removeprefix("model/")

    @property
    def data_version(self) -> str:
        """Of the artifact set."""
        return self.checkpoint.data_version

    @property
    def parent(self) -> str | None:
        """The checkpoint it continues."""
        return self.checkpoint.parent

    @property
    def facts(self) -> Mapping[str, Any]:
        """As training stored them."""
        return self.checkpoint.facts

    def joined(self, axis: str) -> dict[str, int]:
        """Adds up one axis of `RowCounts` over all phases; keys in order.

        A document that two phases read counts in both.
        """
        return joined(getattr(use.counts, axis) for use in self.phases)


def joined(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Adds up mappings of counts; keys in order."""
    total: dict[str, int] = {}
    for mapping in counts:
        for key, number in mapping.items():
            total[key] = total.get(key, 0) + number
    return dict(sorted(total.items()))


def phase_position(table: str) -> tuple[int, str]:
    """Returns a key that sorts tables in the order of the phases."""
    phase = table.rsplit("/", maxsplit=1)[-1]
    return (PHASE_ORDER.index(phase) if phase in PHASE_ORDER else len(PHASE_ORDER), phase)


def read_model_facts(lake: Lake) -> list[ModelFacts]:
    """Reads every checkpoint the lake holds, in the order of the phases."""
    known = {checkpoint.asset: checkpoint for checkpoint in checkpoints(lake)}
    return [_model_facts(lake, known[name], known) for name in sorted(known, key=phase_position)]


def count_rows(rows: pl.LazyFrame) -> RowCounts:
    """Counts mix rows by every axis in one streaming pass."""
    grouped = (
        rows.group_by(*_AXES, "obligations")
        .agg(documents=pl.len().cast(pl.Int64))
        .collect(engine="streaming")
    )
    owed = grouped.select("documents", "obligations").explode("obligations").drop_nulls()
    return RowCounts(
        documents=int(grouped["documents"].sum()),
        licences=_counted(grouped, "license_concluded"),
        obligations=dict(sorted(_counted(owed, "obligations").items())),
        generators=_counted(grouped, "generator"),
        sources=_counted(grouped, "source"),
        languages=_counted(grouped, "language"),
    )


def _counted(frame: pl.DataFrame, column: str) -> dict[str, int]:
    named = frame.with_columns(pl.col(column).fill_null("(none)"))
    grouped = named.group_by(column).agg(pl.sum("documents"))
    ordered = grouped.sort("documents", column, descending=[True, False])
    return {str(key): int(number) for key, number in ordered.iter_rows()}


def _model_facts(lake: Lake, checkpoint: Checkpoint, known: Mapping[str, Checkpoint]) -> ModelFacts:
    line = _line(checkpoint, known)
    certain = SEEN_FILE in ArtifactStore(lake).list(checkpoint.asset)
    phases = []
    with tempfile.TemporaryDirectory(prefix="tritter-seen-") as folder:
        store = ArtifactStore(lake, cache=Path(folder))
        seen = pl.scan_parquet(store.open_local(checkpoint.asset, SEEN_FILE)) if certain else None
        for phase, model, version in line:
            read = None if seen is None else seen.filter(pl.col("phase") == phase)
            use = _phase_use(lake, phase, model, version, read)
            if use is not None:
                phases.append(use)
    return ModelFacts(
        checkpoint=checkpoint,
        phases=phases,
        heldout=_heldout(lake, checkpoint, line[-1][2]),
        certain=certain,
    )


def _line(
    checkpoint: Checkpoint, known: Mapping[str, Checkpoint]
) -> list[tuple[str, str, str | None]]:
    """Returns (phase, checkpoint, data version of its mix) of the line, the oldest first."""
    facts = checkpoint.facts
    own = str(facts.get("phase", checkpoint.asset.removeprefix("model/")))
    line = [
        (str(entry["phase"]), str(entry["table"]), entry.get("mix_data_version"))
        for entry in facts.get("ancestry") or []
    ]
    if not line:  # a checkpoint of another trainer names its parent only
        parent = known.get(checkpoint.parent or "")
        while parent is not None and all(parent.asset != model for _, model, _ in line):
            phase = str(parent.facts.get("phase", parent.asset.removeprefix("model/")))
            line.insert(0, (phase, parent.asset, parent.facts.get("mix_data_version")))
            parent = known.get(parent.parent or "")
    return [*line, (own, checkpoint.asset, facts.get("mix_data_version"))]


def _mix_rows(lake: Lake, phase: str, version: str | None) -> tuple[pl.LazyFrame | None, bool]:
    """Returns the mix as it was trained on, as nearly as it is kept, and whether it is another."""
    table = f"mix/{phase}"
    state = lake.state(table)
    if state is None:
        return None, True
    if version in (None, state.data_version):
        return lake.scan(table), False
    kept = lake.version_of(table, str(version))
    return (lake.scan(table) if kept is None else lake.scan(table, version=kept)), True


def _phase_use(
    lake: Lake, phase: str, model: str, version: str | None, read: pl.LazyFrame | None
) -> PhaseUse | None:
    rows, replaced = _mix_rows(lake, phase, version)
    tokens, unaccounted = None, 0
    if read is None:
        if rows is None:
            return None
        counts = count_rows(rows)
    else:
        totals = read.select(pl.len(), pl.col("tokens").sum()).collect(engine="streaming")
        tokens = int(totals.item(0, 1))
        ids = read.select(pl.col("doc_id").alias("id"), "table")
        documents, counts = _count_read(rows, ids, slices=int(totals.item(0, 0)) // SLICE_ROWS + 1)
        unaccounted = documents - counts.documents
    return PhaseUse(
        phase=phase,
        model=model,
        mix_data_version=str(version or ""),
        mix_replaced=replaced,
        tokens=tokens,
        unaccounted=unaccounted,
        counts=_with_unknown(counts, unaccounted),
    )


def _count_read(
    rows: pl.LazyFrame | None, ids: pl.LazyFrame, *, slices: int
) -> tuple[int, RowCounts]:
    """Returns how many documents were read, and counts of those whose row is there.

    A join holds one side in memory, so it is made slice by slice of the ids' hashes.
    """
    documents, found = 0, []
    for number in range(slices):
        mine = pl.col("id").hash(seed=0) % slices == number
        read = ids.filter(mine).unique()
        documents += int(read.select(pl.len()).collect(engine="streaming").item())
        if rows is not None:
            found.append(count_rows(rows.filter(mine).join(read, on=["id", "table"], how="semi")))
    return documents, _added(found)


def _added(parts: Sequence[RowCounts]) -> RowCounts:
    """Adds up counts of disjoint rows; of each axis but obligations, most documents first."""
    if len(parts) == 1:
        return parts[0]
    axes = {
        name: joined(getattr(part, name) for part in parts)
        for name in ("licences", "obligations", "generators", "sources", "languages")
    }
    for name in axes.keys() - {"obligations"}:
        axes[name] = dict(sorted(axes[name].items(), key=lambda item: (-item[1], item[0])))
    return RowCounts(documents=sum(part.documents for part in parts), **axes)


def _with_unknown(counts: RowCounts, number: int) -> RowCounts:
    if not number:
        return counts
    return RowCounts(
        documents=counts.documents + number,
        licences={**counts.licences, "NOASSERTION": number},
        obligations=joined([counts.obligations, {UNKNOWN: number}]),
        generators={**counts.generators, UNKNOWN: number},
        sources={**counts.sources, UNKNOWN: number},
        languages={**counts.languages, UNKNOWN: number},
    )


def _heldout(lake: Lake, checkpoint: Checkpoint, version: str | None) -> RowCounts:
    packed = packed_rows(lake, checkpoint)
    phase = str(checkpoint.facts.get("phase", checkpoint.asset.removeprefix("model/")))
    rows, _ = _mix_rows(lake, phase, version)
    if packed is None or rows is None:
        return _added([])
    ids = (
        packed.filter(pl.col("split") == HELDOUT)
        .select(pl.col("segments").explode())
        .unnest("segments")
        .select(pl.col("doc_id").alias("id"), "table")
        .unique()
    )
    return count_rows(rows.join(ids, on=["id", "table"], how="semi"))
