"""Which documents a checkpoint saw, how often and in how many tokens, its ancestors' included.

The file `seen_documents.parquet` of a `model/*` artifact set has one row per (phase, document):

| column | meaning |
|---|---|
| phase | the phase whose training read it |
| doc_id, table, source, shard | the document, as the packed table's segments name it |
| times | sequences holding a part of it, each counted as often as it was read |
| tokens | tokens of it that were read, repeats counted |

It stands in the checkpoint, so the answer remains when packed tables have been replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.training.ancestry import PHASES, SEEN_FILE, model_table
from tritter_assets.training.order import SequenceOrder
from tritter_assets.training.sequences import TRAIN, SequenceStore

_KEY = ["phase", "doc_id", "table", "source", "shard"]


def documents_read(
    store: SequenceStore, order: SequenceOrder, *, steps: int, phase: str
) -> pl.DataFrame:
    """Returns the documents that the first `steps` steps of a run read, sorted."""
    positions = store.positions(TRAIN)
    times = order.times_read(store.ranks(TRAIN), steps)
    read = pl.LazyFrame({"position": positions, "times": times}).filter(pl.col("times") > 0)
    rows = pl.scan_ipc(store.path).filter(pl.col("split") == TRAIN)
    return (
        rows.select("position", "segments")
        .join(read, on="position")
        .explode("segments")
        .unnest("segments")
        .with_columns(
            phase=pl.lit(phase),
            tokens=(pl.col("token_end") - pl.col("token_start")).cast(pl.Int64) * pl.col("times"),
        )
        .group_by(_KEY)
        .agg(pl.col("times").sum(), pl.col("tokens").sum())
        .sort(_KEY)
        .collect(engine="streaming")
    )


def write_seen(own: pl.DataFrame, parent: Path | None, path: Path) -> int:
    """Writes a run's documents and its parent's; returns how many distinct documents there are."""
    frames = [own] if parent is None else [pl.read_parquet(parent), own]
    everything = pl.concat(frames).group_by(_KEY).agg(pl.all().sum()).sort(_KEY)
    everything.write_parquet(path)
    return everything["doc_id"].n_unique()


def checkpoints_that_saw(lake: Lake, doc_ids: Iterable[str]) -> dict[str, pl.DataFrame]:
    """Returns, by checkpoint table, the rows of the given documents in its seen documents."""
    wanted = sorted(set(doc_ids))
    store = ArtifactStore(lake)
    found = {}
    for table in map(model_table, PHASES):
        if lake.exists(table):
            rows = pl.scan_parquet(store.open_local(table, SEEN_FILE))
            hits = rows.filter(pl.col("doc_id").is_in(wanted)).collect()
            if not hits.is_empty():
                found[table] = hits
    return found
