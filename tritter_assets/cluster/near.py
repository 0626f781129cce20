"""The near index on many machines: the rows of `dedup/near.py`, found by frames cut by key.

| step | engine | cut by |
|---|---|---|
| contents: one row per distinct text | Daft group-by | content |
| candidates: as `crowds.py` has them | Daft group-by, then distinct | band and key |
| components of the candidates | iterated joins (`components.py`) | content |
| texts of candidates, read once | task per (source, shard) | shard |
| texts, pairs, documents side by side | Daft | bucket of the component |
| exact Jaccard, clusters, survivors | task per bucket: `verify_pairs`, `cluster_rows` | bucket |
| index and evidence in order | Daft sort, one commit each | |

A pair lies within one component of the candidates, and so does every cluster: a bucket of whole
components can be verified and solved alone, with the functions of the local engine. What must fit
on one machine is the documents and pairs (not the texts) of the largest component.

Candidates are found anew from all signatures in each update; only pairs that `near_pairs` does not
hold are verified. `dedup/near_bands` serves the local engine's own updates and is not kept up
here: it is emptied, so that it names no document that is gone.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tritter_assets.cluster import near_tasks
from tritter_assets.cluster.components import label_components, lesser_and_greater
from tritter_assets.cluster.scratch import Scratch, io_config, union
from tritter_assets.dedup.bands import (
    BANDS_SCHEMA,
    BandLayout,
    band_keys,
    content_key,
    layout_for,
    unpack_sketches,
)
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS
from tritter_assets.dedup.crowds import CROWD
from tritter_assets.dedup.index import (
    INDEX_SCHEMA,
    NEAR_INDEX,
    IndexReport,
    ShardInput,
    signature_states,
)
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.near import NEAR_BANDS, NEAR_PAIRS, PAIRS_SCHEMA
from tritter_assets.lake import Lake, fingerprint_of

if TYPE_CHECKING:
    from daft import DataFrame, Expression

RunAll = Callable[[Any, Iterable[tuple[Any, ...]]], Iterator[tuple[int, Any]]]

_PAIRS_IN_A_FILE = 1 << 22

BUCKET_CONTENTS = 500_000
"""Contents of candidates in a bucket, on average: at 6 KB of text each, its task reads 3 GB."""


def update_near_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    threshold: float,
    memory_limit_bytes: int,
    families: LicenseFamilies | None = None,
    fingerprint: str,
    run_all: RunAll,
    num_buckets: int | None = None,
) -> IndexReport:
    """Brings `dedup/near_pairs` and `dedup/near_index` up to date with the signatures of `inputs`.

    Args:
        lake: The lake, reachable from every worker.
        inputs: Every shard that takes part.
        threshold: Smallest Jaccard similarity of a duplicate.
        memory_limit_bytes: Of one task's verification.
        families: Of the policy; see `clusters.cluster_rows`.
        fingerprint: As for the local engine.
        run_all: Calls a function once per tuple of arguments, on any worker.
        num_buckets: By default from the number of contents in candidates.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
    """
    run = _Run(lake, inputs, layout_for(threshold), Scratch.of(lake, f"near-{fingerprint}"))
    candidates = run.find_candidates()
    num_buckets, rounds = run.label(candidates, num_buckets)
    known = run.spread_pairs(candidates)
    run.spread_documents()
    run.spread_texts(known, run_all)
    arguments = [
        (run.scratch, number, run.layout, memory_limit_bytes, families)
        for number in range(num_buckets)
    ]
    solved = [report for _, report in run_all(near_tasks.solve_bucket, arguments)]
    _empty_bands(lake)
    run.commit(NEAR_PAIRS, "evidence", PAIRS_SCHEMA, fingerprint_of(NEAR_PAIRS, fingerprint))
    run.commit(NEAR_INDEX, "rows", INDEX_SCHEMA, fingerprint)
    run.scratch.clear()
    details: dict[str, int | float | str] = {
        "shards": len(inputs),
        "layout": run.layout.name,
        "rounds": rounds,
        "buckets": num_buckets,
    }
    return near_tasks.total(solved, run.num_documents, details)


class _Run:
    """One update: the frames that its steps share."""

    def __init__(
        self, lake: Lake, inputs: Sequence[ShardInput], layout: BandLayout, scratch: Scratch
    ) -> None:
        self._lake = lake
        self._inputs = sorted(inputs, key=lambda item: (item.source, item.shard))
        self.layout = layout
        self.scratch = scratch
        states = signature_states(lake, inputs)
        self.num_documents = sum(state.num_rows for state in states.values())
        self._contents: DataFrame
        self._buckets: DataFrame

    def _signatures(self, columns: Sequence[str]) -> DataFrame:
        """Signatures of all inputs with `content`, `priority` and the number of their input."""
        import daft
        from daft import col

        frames = []
        for source in sorted({item.source for item in self._inputs}):
            mine = [(n, item) for n, item in enumerate(self._inputs) if item.source == source]
            shards = daft.from_pydict(
                {
                    "shard": [item.shard for _, item in mine],
                    "priority": [item.priority for _, item in mine],
                    "order": [f"{item.priority:012d}" for _, item in mine],
                    "input": [f"{number:08d}" for number, _ in mine],
                }
            )
            stored = daft.read_deltalake(
                self._lake.location.uri(f"signatures/{source}"),
                io_config=io_config(self._lake.location),
            )
            keyed = stored.select(
                "id", "source", "shard", *columns, _content(col("normalized_sha256"))
            )
            frames.append(keyed.join(shards, on="shard"))
        return union(frames)

    def find_candidates(self) -> DataFrame:
        """Pairs of contents that share a band key: left < right, each pair once."""
        from daft import col, lit
        from daft.functions import concat

        signed = self._signatures(
            ["normalized_sha256", "content_sha256", "num_shingles", "minhash", "repo", "path"]
        )
        # The least place is the first document by source, shard and id: what `near.py` reads too.
        place = concat(concat(col("input"), col("id")), col("content_sha256"))
        # As `SURVIVAL_ORDER` has it: the separator is below every character.
        rank = col("order")
        for column in ("source", "repo", "path", "id"):
            rank = concat(concat(rank, lit(near_tasks.SEPARATOR)), col(column))
        contents = (
            signed.with_columns({"place": place, "rank": rank})
            .groupby("content")
            .agg(
                col("place").min().alias("place"),
                col("rank").min().alias("rank"),
                col("num_shingles").min().alias("num_shingles"),
                col("minhash").any_value().alias("minhash"),
                col("id").count_distinct().alias("num_documents"),
            )
        )
        self._contents = self.scratch.store("contents", contents)
        banded = self._contents.select(
            "content",
            _keys(self.layout)(col("minhash")).alias("key"),
            _numbers(self.layout)(col("content")).alias("band"),
        ).explode("key", "band")
        together = banded.groupby("band", "key").agg(col("content").list_agg().alias("together"))
        shared = self.scratch.store("shared", together.where(col("together").list_count() > 1))
        crowded = col("together").list_count() > CROWD
        few = shared.where(~crowded).select(_pairs(col("together")).alias("pair"))
        ranked = (
            shared.where(crowded)
            .explode("together")
            .join(
                self._contents.select(col("content").alias("together"), col("rank")), on="together"
            )
            .select("band", "key", _ranked(col("rank"), col("together")).alias("ranked"))
        )
        crowds = ranked.groupby("band", "key").agg(col("ranked").list_agg().alias("ranked"))
        many = crowds.select(_hub_pairs(col("ranked")).alias("pair"))
        pairs = union([few, many]).explode("pair")
        return self.scratch.store(
            "candidates",
            pairs.select(
                col("pair").get("left").alias("left"), col("pair").get("right").alias("right")
            ).distinct(),
        )

    def label(self, candidates: DataFrame, num_buckets: int | None) -> tuple[int, int]:
        """Gives every content of a candidate, and every copied one, the bucket of its component."""
        from daft import col, lit

        labels, rounds = label_components(candidates, self.scratch)
        labels = self.scratch.store("labels", labels)
        buckets = num_buckets or max(1, -(-self.scratch.num_rows("labels") // BUCKET_CONTENTS))
        copied = self._contents.where(col("num_documents") > 1).join(
            labels, on="content", how="anti"
        )
        everything = labels.select("content", "component").concat(
            copied.select(col("content"), col("content").alias("component"))
        )
        # Keys are hashes, so their low bits spread evenly; `%` alone keeps the sign.
        number = (col("component") % lit(buckets) + lit(buckets)) % lit(buckets)
        self._buckets = self.scratch.store(
            "buckets", everything.select(col("content"), number.alias("bucket"))
        )
        return buckets, rounds

    def spread_pairs(self, candidates: DataFrame) -> DataFrame:
        """Stores candidates by bucket with the similarity of known pairs; returns them."""
        from daft import col

        known = self._known_pairs()
        if known is None:
            scored = candidates.with_column("jaccard", _no_score())
        else:
            scored = candidates.join(known, on=["left", "right"], how="left")
        scored = scored.select("left", "right", "jaccard").join(
            self._buckets.select(col("content").alias("left"), col("bucket")), on="left"
        )
        scored = self.scratch.store("scored", scored)
        self.scratch.store("pairs", scored, by="bucket")
        return scored

    def _known_pairs(self) -> DataFrame | None:
        from daft import col

        if not self._lake.exists(NEAR_PAIRS):
            return None
        # Through Polars: the local engine takes rows out by deletion vectors, and Daft 0.7 refuses
        # a table that has them.
        known = self._lake.scan(NEAR_PAIRS).filter(
            (pl.col("layout") == self.layout.name) & (pl.col("content_a") != pl.col("content_b"))
        )
        ends = known.select("content_a", "content_b", "jaccard")
        for number, part in enumerate(ends.collect_batches(chunk_size=_PAIRS_IN_A_FILE)):
            self.scratch.write_file(f"known/{number:06d}.parquet", part.to_arrow())
        if not self.scratch.num_rows("known"):
            return None
        stored = self.scratch.load("known")
        low, high = lesser_and_greater("content_a", "content_b")
        return stored.select(low.alias("left"), high.alias("right"), col("jaccard"))

    def spread_documents(self) -> None:
        """Stores by bucket the documents that clustering may see, and where each content is."""
        signed = self._signatures(list(DOCUMENT_COLUMNS))
        self.scratch.store(
            "documents",
            signed.exclude("input", "order").join(self._buckets, on="content"),
            by="bucket",
        )
        places = self._contents.select("content", "place", "num_shingles")
        self.scratch.store("places", places.join(self._buckets, on="content"), by="bucket")

    def spread_texts(self, scored: DataFrame, run_all: RunAll) -> None:
        """Reads the texts of pairs to verify, each shard once, and stores them by bucket."""
        from daft import col

        sizes = self._contents.select("content", "num_shingles")
        sized = scored.where(col("jaccard").is_null())
        for end in ("left", "right"):
            sized = sized.join(
                sizes.select(col("content").alias(end), col("num_shingles").alias(f"{end}_size")),
                on=end,
            )
        smaller, larger = lesser_and_greater("left_size", "right_size")
        # As `verify_pairs` has it: pairs whose sizes alone rule out the threshold are not read.
        possible = sized.where(smaller >= larger * self.layout.threshold)
        ends = union([possible.select(col(end).alias("content")) for end in ("left", "right")])
        wanted = (
            ends.distinct()
            .join(self._contents.select("content", "place"), on="content")
            .join(self._buckets, on="content")
        )
        wanted = wanted.with_column("input", col("place").left(near_tasks.INPUT_DIGITS))
        self.scratch.store("wanted", wanted, by="input")
        arguments = [
            (self._lake.location, self.scratch, number, item.source, item.shard)
            for number, item in enumerate(self._inputs)
        ]
        if sum(count for _, count in run_all(near_tasks.gather_texts, arguments)):
            self.scratch.store("texts", self.scratch.load("gathered"), by="bucket")

    def commit(self, table: str, step: str, schema: pa.Schema, fingerprint: str) -> None:
        """Sorts what the buckets gave and writes it as one table."""
        order = ["cluster_id", "id"] if table == NEAR_INDEX else ["id_a", "id_b"]
        found = self.scratch.load(step).sort(order)
        self.scratch.attempt(
            table,
            lambda: self._lake.write(table, _batches(found), schema, fingerprint=fingerprint),
        )


def _batches(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    for batch in frame.to_arrow_iter():
        yield from pa.Table.from_batches([batch]).to_batches()


def _empty_bands(lake: Lake) -> None:
    for state in lake.states(NEAR_BANDS):
        if state.num_rows:
            lake.write(
                NEAR_BANDS,
                BANDS_SCHEMA.empty_table(),
                BANDS_SCHEMA,
                fingerprint=fingerprint_of(NEAR_BANDS, "cluster"),
                partition=state.partition,
            )


# -- functions that Daft calls with columns ------------------------------------------------------


def _no_score() -> Expression:
    from daft import DataType, lit

    return lit(None).cast(DataType.float32())


def _content(digests: Expression) -> Expression:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.int64())
    def content(digests: daft.Series) -> Any:
        frame = pl.DataFrame({"normalized_sha256": pl.Series(digests.to_arrow())})
        return frame.select(content_key()).to_series().to_arrow()

    return content(digests).alias("content")


def _keys(layout: BandLayout) -> Any:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.int64()))
    def keys(minhash: daft.Series) -> Any:
        found = band_keys(unpack_sketches(pl.Series(minhash.to_arrow())), layout)
        return pa.FixedSizeListArray.from_arrays(
            pa.array(found.reshape(-1)), layout.num_bands
        ).cast(pa.large_list(pa.int64()))

    return keys


def _numbers(layout: BandLayout) -> Any:
    import daft

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.int64()))
    def numbers(contents: daft.Series) -> Any:
        row = np.tile(np.arange(layout.num_bands), len(contents))
        return pa.FixedSizeListArray.from_arrays(pa.array(row), layout.num_bands).cast(
            pa.large_list(pa.int64())
        )

    return numbers


def _ranked(rank: Expression, content: Expression) -> Expression:
    """One text that sorts by rank and still names its content."""
    from daft import DataType, lit
    from daft.functions import concat

    return concat(concat(rank, lit(near_tasks.SEPARATOR)), content.cast(DataType.string()))


def _hub_pairs(ranked: Expression) -> Expression:
    import daft

    kind = {"left": daft.DataType.int64(), "right": daft.DataType.int64()}

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.struct(kind)))
    def pairs(ranked: daft.Series) -> Any:
        return near_tasks.pairs_with_hubs(ranked.to_arrow())

    return pairs(ranked)


def _pairs(together: Expression) -> Expression:
    import daft

    kind = {"left": daft.DataType.int64(), "right": daft.DataType.int64()}

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.struct(kind)))
    def pairs(together: daft.Series) -> Any:
        return near_tasks.pairs_within(together.to_arrow())

    return pairs(together)
