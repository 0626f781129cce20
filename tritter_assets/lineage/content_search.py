"""Looks for removed text in everything downstream, by reading what is stored.

Nothing is believed of what rows say of themselves: contents are hashed again, packed tokens are
decoded. Three things are looked for:

- whole contents, by SHA-256, or by git hash where an SWHID was asked for;
- in `filtered`, near copies of removed documents, by the runs of words they share (see `runs.py`);
- in `functions`, `synthetic` and `packed`, passages of a removed text whose runs no remaining
  document of `filtered` has. A run that stays is no trace: licence notices and idioms are
  everybody's. Shorter traces show only by their ids.

Cost: one pass over the text of the lake, about 100 MB per CPU second, as long as there are
requests. Memory: the kept runs, and a batch of rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.packed_text import packed_texts
from tritter_assets.lineage.runs import Hits, RunSearch

NEAR_COPY = 0.8
"""Estimated Jaccard similarity over runs of 12 words: beyond doubt at least 0.7 over those of 5,
which is what the near index calls a duplicate."""

_TEXTS = ("content", "instruction", "response", "chosen", "rejected")
_BATCH_ROWS = 512

Place = tuple[str, tuple[tuple[str, str], ...]]
"""Table and partition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """What is looked for."""

    ids: frozenset[str]
    digests: frozenset[str]
    """SHA-256 of whole contents."""
    git_digests: frozenset[str]
    """SHA-1 of contents as git blobs."""
    documents: pl.DataFrame
    """id, how, num_runs, runs of the removed documents that have runs."""


@dataclass(kw_only=True, slots=True)
class Found:
    """Rows by place, for each of the ways a removed text shows."""

    content: Counter[Place] = field(default_factory=Counter)
    near_copy: Counter[Place] = field(default_factory=Counter)
    text: Counter[Place] = field(default_factory=Counter)
    mislabelled: Counter[Place] = field(default_factory=Counter)
    """Rows whose content is not what their `content_sha256` says."""
    unreadable: list[str] = field(default_factory=list)
    near_ids: set[str] = field(default_factory=set)
    searched_bytes: int = 0


def search_contents(lake: Lake, sought: Sought) -> Found:
    """Reads every text downstream of `verdicts` and returns what is there of the removed ones."""
    return _Search(lake, sought).run()


class _Search:
    def __init__(self, lake: Lake, sought: Sought) -> None:
        self._lake = lake
        self._sought = sought
        kept = sought.documents.select("id", "how", "num_runs", "runs")
        self._runs = RunSearch(kept["runs"].explode().drop_nulls().unique().to_numpy())
        # Copies of copies are nobody's request: see `coverage.py`.
        origins = kept.filter(pl.col("how").is_in(["named", "exact_copy"]))
        self._kept = (
            origins.unique("runs")
            .with_columns(num_kept=pl.col("runs").list.len())
            .explode("runs")
            .rename({"runs": "run", "id": "of", "num_runs": "num_of"})
            .select("run", "of", "num_of", "num_kept")
        )
        self._remaining = np.zeros(0, np.int64)
        """Runs of removed texts that documents which stay have as well."""
        self.found = Found()

    def run(self) -> Found:
        for table in tables_under(self._lake, "filtered"):
            for place, batch in self._batches(table, ("shard",)):
                self._filtered(place, batch)
        for stage in ("functions", "synthetic"):
            for table in tables_under(self._lake, stage):
                for place, batch in self._batches(table, ("source", "shard")):
                    self._derived(place, batch)
        for table in tables_under(self._lake, "packed"):
            self._packed(table)
        return self.found

    def _batches(
        self, table: str, columns: tuple[str, ...]
    ) -> Iterator[tuple[Place, pa.RecordBatch]]:
        names = ["id", "content_sha256", *_TEXTS]
        for state in self._lake.states(table):
            place = (table, tuple((name, state.partition[name]) for name in columns))
            for batch in self._lake.batches(
                table, partition=state.partition, columns=names, batch_rows=_BATCH_ROWS
            ):
                yield place, batch

    def _filtered(self, place: Place, batch: pa.RecordBatch) -> None:
        whole = self._whole(place, batch)
        hits = self._search(batch.column("content"))
        near = self._near_copies(hits, batch.num_rows) & ~whole
        self.found.near_copy[place] += int(near.sum())
        ids = pl.Series(batch.column("id"))
        self.found.near_ids.update(ids.filter(pl.Series(near)).to_list())
        leaves = near | whole | ids.is_in(list(self._sought.ids)).to_numpy()
        stays = hits.found[~leaves[hits.document]]
        self._remaining = np.union1d(self._remaining, stays)
        for name in _TEXTS[1:]:
            column = batch.column(name)
            if column.null_count < batch.num_rows:
                hits = self._search(column)
                stays = hits.found[~leaves[hits.document]]
                self._remaining = np.union1d(self._remaining, stays)

    def _derived(self, place: Place, batch: pa.RecordBatch) -> None:
        shows = np.zeros(batch.num_rows, np.bool_)
        for name in _TEXTS:
            column = batch.column(name)
            if column.null_count < batch.num_rows:
                shows[self._traces(self._search(column))] = True
        whole = self._whole(place, batch)
        self.found.text[place] += int((shows & ~whole).sum())

    def _packed(self, table: str) -> None:
        place: Place = (table, ())
        try:
            for _, texts in packed_texts(self._lake, table):
                self.found.text[place] += len(self._traces(self._search(texts)))
        except LakeCorruption as error:
            self.found.unreadable.append(str(error))

    def _traces(self, hits: Hits) -> np.ndarray:
        """Returns the numbers of the texts with a passage that no remaining document has."""
        return hits.without(self._remaining).passages()

    def _search(self, column: pa.Array) -> Hits:
        self.found.searched_bytes += column.nbytes
        return self._runs.search(column)

    def _whole(self, place: Place, batch: pa.RecordBatch) -> np.ndarray:
        """Hashes contents; returns which of them are removed ones."""
        flags = np.zeros(batch.num_rows, np.bool_)
        stored = batch.column("content_sha256").to_pylist()
        for number, (content, said) in enumerate(zip(batch.column("content"), stored, strict=True)):
            data = content.as_buffer()
            digest = hashlib.sha256(data).hexdigest()
            self.found.mislabelled[place] += digest != said
            flags[number] = digest in self._sought.digests
            if self._sought.git_digests and not flags[number]:
                blob = hashlib.sha1(b"blob %d\0" % data.size, usedforsecurity=False)
                blob.update(data)
                flags[number] = blob.hexdigest() in self._sought.git_digests
        self.found.content[place] += int(flags.sum())
        return flags

    def _near_copies(self, hits: Hits, num_rows: int) -> np.ndarray:
        flags = np.zeros(num_rows, np.bool_)
        if not len(hits.found):
            return flags
        shared = (
            pl.DataFrame({"row": hits.document, "run": hits.found})
            .join(self._kept, on="run")
            .group_by("row", "of")
            .agg(pl.len().alias("hits"), pl.col("num_of", "num_kept").first())
            .with_columns(both=pl.col("hits") * pl.col("num_of") / pl.col("num_kept"))
        )
        num_runs = pl.Series(hits.num_runs).gather(shared["row"])
        union = shared["num_of"] + num_runs - shared["both"]
        near = shared.filter(shared["both"] >= union * NEAR_COPY)
        flags[near["row"].to_numpy()] = True
        return flags
