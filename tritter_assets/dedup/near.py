"""The near index: documents whose exact Jaccard similarity over word 5-grams reaches a threshold.

Input: `signatures/*`, and `filtered/*` of the documents that become candidates.
Output: `dedup/near_index` (see `index.py`), the evidence `dedup/near_pairs`, and the helper
`dedup/near_bands`.

| dedup/near_pairs | meaning |
|---|---|
| id_a, id_b | smallest ids of the two contents, id_a < id_b |
| jaccard | exact similarity, at or above the threshold |
| content_a, content_b | 64-bit keys of the normalised contents; equal for copies of one content |
| layout | threshold and band layout the pair was found with |

Incremental: what holds at every moment is that `near_pairs` has every verified pair among the
contents in `near_bands`. An update (1) takes vanished documents out of the bands, (2) finds and
verifies the pairs of contents the bands do not hold yet, against each other and against the bands,
(3) writes the pairs, (4) writes the bands of changed shards, (5) solves. Killed between any two
steps, the next update completes it. A pair depends on two contents alone, so the pairs, and with
them the index, are those of a batch run over the same documents.

Cost of an update: banding and verification in proportion to new contents; one scan of band keys
(9 bytes a row, 42 rows a document) for the join; clustering linear in the pairs, not in documents.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.dedup.bands import (
    BANDS_SCHEMA,
    BandLayout,
    band_rows,
    candidate_pairs,
    content_key,
    layout_for,
)
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS, cluster_rows, report_of
from tritter_assets.dedup.index import (
    INDEX_SCHEMA,
    NEAR_INDEX,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    scan_signatures,
    signature_states,
)
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.verify import lake_reader, verify_pairs
from tritter_assets.lake import Lake, PartitionState, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "1"

NEAR_BANDS = "dedup/near_bands"
NEAR_PAIRS = "dedup/near_pairs"

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("id_a", pa.string(), nullable=False),
        pa.field("id_b", pa.string(), nullable=False),
        pa.field("jaccard", pa.float32(), nullable=False),
        pa.field("content_a", pa.int64(), nullable=False),
        pa.field("content_b", pa.int64(), nullable=False),
        pa.field("layout", pa.string(), nullable=False),
    ]
)

_Shard = tuple[str, str]


def code_version(threshold: float) -> str:
    """Returns the version of everything that changes the near index."""
    return f"{STAGE_VERSION}.{fingerprint_of(layout_for(threshold).name, SURVIVAL_ORDER)}"


def update_near_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    threshold: float = 0.7,
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    fingerprint: str,
) -> IndexReport:
    """Brings bands, pairs and `dedup/near_index` up to date with the signatures of `inputs`.

    Args:
        lake: The lake.
        inputs: Every shard that takes part; a shard left out is taken out of the index.
        threshold: Smallest Jaccard similarity of a duplicate.
        memory_limit_bytes: Joins spill and verification works in groups beyond it.
        fingerprint: Hash of `code_version(threshold)` and `index.inputs_version(lake, inputs)`.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
        ContractViolation: the threshold is out of range.
    """
    update = _Update(lake, inputs, layout_for(threshold), memory_limit_bytes)
    plan = update.plan()
    update.take_out(plan)
    pairs, details = update.find_pairs(plan)
    documents = update.clustered_documents(pairs)
    evidence = _evidence(pairs, documents, update.layout.name)
    lake.write(
        NEAR_PAIRS,
        evidence.to_arrow(),
        PAIRS_SCHEMA,
        fingerprint=fingerprint_of(NEAR_PAIRS, fingerprint),
    )
    update.put_in(plan)
    scored = pairs.select("left", "right", score="jaccard")
    rows = cluster_rows(documents, scored, match="near", reason=Reason.NEAR_DUPLICATE)
    lake.write(NEAR_INDEX, rows.to_arrow(), INDEX_SCHEMA, fingerprint=fingerprint)
    return report_of(NEAR_INDEX, rows, update.num_documents, details)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which partitions of the bands have to change."""

    removed: tuple[_Shard, ...]
    changed: tuple[_Shard, ...]
    held: frozenset[_Shard]
    """Shards whose partition of the bands holds rows before the update."""


class _Update:
    """One update: inputs, their states, and the steps that `update_near_index` orders."""

    def __init__(
        self,
        lake: Lake,
        inputs: Sequence[ShardInput],
        layout: BandLayout,
        memory_limit_bytes: int,
    ) -> None:
        self._lake = lake
        self._inputs = inputs
        self.layout = layout
        self._memory_limit_bytes = memory_limit_bytes
        self._states = signature_states(lake, inputs)
        self.num_documents = sum(state.num_rows for state in self._states.values())

    def plan(self) -> _Plan:
        held = {
            (state.partition["source"], state.partition["shard"]): state
            for state in self._lake.states(NEAR_BANDS)
            if state.num_rows
        }
        changed = []
        for shard, signed in sorted(self._states.items()):
            bands = held.get(shard)
            if signed.num_rows == 0 and bands is None:
                continue
            if bands is None or bands.fingerprint != self._bands_fingerprint(signed):
                changed.append(shard)
        return _Plan(
            removed=tuple(sorted(set(held) - set(self._states))),
            changed=tuple(changed),
            held=frozenset(held),
        )

    def take_out(self, plan: _Plan) -> None:
        """Removes from the bands every document that is gone, before any pair is touched."""
        for source, shard in plan.removed:
            self._write_bands((source, shard), BANDS_SCHEMA.empty_table(), "removed")
        for source, shard in plan.changed:
            if (source, shard) not in plan.held:
                continue
            stored = self._lake.scan(NEAR_BANDS).filter(
                (pl.col("source") == source) & (pl.col("shard") == shard)
            )
            current = self._signatures((source, shard), ["id", "content"])
            staying = stored.filter(pl.col("layout") == self.layout.name).join(
                current.lazy(), on=["id", "content"], how="semi"
            )
            before = stored.select(pl.len()).collect().item()
            rows = staying.sort("id", "band").collect()
            if rows.height < before:
                self._write_bands((source, shard), rows.to_arrow(), "partial")

    def find_pairs(self, plan: _Plan) -> tuple[pl.DataFrame, dict[str, int | float | str]]:
        """Returns all verified pairs of current contents (left, right, jaccard), and counts."""
        known = self._known_pairs()
        details: dict[str, int | float | str] = {
            "shards": len(self._states),
            "shards_changed": len(plan.changed),
            "shards_removed": len(plan.removed),
            "new_contents": 0,
            "candidates": 0,
            "pairs_computed": 0,
            "layout": self.layout.name,
        }
        with tempfile.TemporaryDirectory(prefix="tritter-bands-") as folder:
            num_fresh = self._spill_fresh_bands(plan.changed, Path(folder))
            if num_fresh:
                import pyarrow.dataset as pads  # brings pandas: not at every load

                fresh = pads.dataset(folder, format="parquet")
                held = [self._lake.dataset(NEAR_BANDS)] if self._lake.exists(NEAR_BANDS) else []
                candidates = candidate_pairs(
                    fresh, held, memory_limit_bytes=self._memory_limit_bytes
                )
                verified = verify_pairs(
                    lake_reader(self._lake),
                    candidates,
                    self._places(candidates),
                    threshold=self.layout.threshold,
                    memory_limit_bytes=self._memory_limit_bytes,
                )
                details |= {
                    "new_contents": num_fresh,
                    "candidates": candidates.height,
                    "pairs_computed": verified.num_computed,
                }
                known = pl.concat([known, verified.pairs]).unique(["left", "right"], keep="last")
        details["pairs"] = known.height
        return known.sort("left", "right"), details

    def put_in(self, plan: _Plan) -> None:
        """Writes the bands of changed shards; the pairs already cover them."""
        for source, shard in plan.changed:
            signatures = self._signatures((source, shard), ["id", "content", "minhash"])
            rows = band_rows(signatures, self.layout).with_columns(
                source=pl.lit(source), shard=pl.lit(shard), layout=pl.lit(self.layout.name)
            )
            fingerprint = self._bands_fingerprint(self._states[source, shard])
            self._write_bands((source, shard), rows.to_arrow(), fingerprint)

    def clustered_documents(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Returns the documents that have a copy or stand in a pair; no other is held."""
        scanned = scan_signatures(self._lake, self._inputs, DOCUMENT_COLUMNS).with_columns(
            content_key()
        )
        copied = (
            scanned.select("id", "content")
            .unique()
            .group_by("content")
            .len()
            .filter(pl.col("len") > 1)
            .select("content")
            .collect(engine="streaming")
        )
        wanted = pl.concat(
            [copied, pairs.select(content="left"), pairs.select(content="right")]
        ).unique()
        return scanned.join(wanted.lazy(), on="content", how="semi").collect(engine="streaming")

    # -- parts -----------------------------------------------------------------------------------

    def _known_pairs(self) -> pl.DataFrame:
        """Returns stored pairs of this layout whose two contents are still there."""
        if not self._lake.exists(NEAR_PAIRS):
            schema = {"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32}
            return pl.DataFrame(schema=schema)
        stored = (
            self._lake.scan(NEAR_PAIRS)
            .filter(
                (pl.col("layout") == self.layout.name)
                & (pl.col("content_a") != pl.col("content_b"))
            )
            .select(
                left=pl.min_horizontal("content_a", "content_b"),
                right=pl.max_horizontal("content_a", "content_b"),
                jaccard="jaccard",
            )
            .collect()
        )
        wanted = pl.concat([stored["left"], stored["right"]]).unique().to_frame("content")
        current = (
            scan_signatures(self._lake, self._inputs, ["normalized_sha256"])
            .select(content_key())
            .join(wanted.lazy(), on="content", how="semi")
            .unique()
            .collect(engine="streaming")
        )
        for end in ("left", "right"):
            stored = stored.join(current, left_on=end, right_on="content", how="semi")
        return stored

    def _spill_fresh_bands(self, shards: Iterable[_Shard], folder: Path) -> int:
        """Writes the bands of contents that the stored bands lack; returns how many contents."""
        seen = self._held_contents()
        num_fresh = 0
        for number, shard in enumerate(shards):
            signatures = (
                self._signatures(shard, ["id", "content", "minhash"])
                .unique("content", keep="first", maintain_order=True)
                .join(seen, on="content", how="anti")
            )
            if signatures.is_empty():
                continue
            num_fresh += signatures.height
            seen = pl.concat([seen, signatures.select("content")])
            rows = band_rows(signatures, self.layout).select("content", "band", "key")
            pq.write_table(rows.to_arrow(), folder / f"{number:06d}.parquet")
        return num_fresh

    def _held_contents(self) -> pl.DataFrame:
        if not self._lake.exists(NEAR_BANDS):
            return pl.DataFrame(schema={"content": pl.Int64})
        return (
            self._lake.scan(NEAR_BANDS)
            .filter(pl.col("band") == 0)
            .select("content")
            .unique()
            .collect(engine="streaming")
        )

    def _places(self, candidates: pl.DataFrame) -> pl.DataFrame:
        """Returns where to read each candidate content: its first document by source and shard."""
        wanted = pl.concat([candidates["left"], candidates["right"]]).unique().to_frame("content")
        columns = ["normalized_sha256", "content_sha256", "num_shingles"]
        return (
            scan_signatures(self._lake, self._inputs, columns)
            .with_columns(content_key())
            .join(wanted.lazy(), on="content", how="semi")
            .collect(engine="streaming")
            .sort("source", "shard", "id")
            .unique("content", keep="first", maintain_order=True)
        )

    def _signatures(self, shard: _Shard, columns: Sequence[str]) -> pl.DataFrame:
        source, name = shard
        scanned = self._lake.scan(f"signatures/{source}").filter(pl.col("shard") == name)
        return scanned.with_columns(content_key()).select(columns).collect().sort("id")

    def _bands_fingerprint(self, signed: PartitionState) -> str:
        return fingerprint_of(NEAR_BANDS, self.layout.name, signed.data_version)

    def _write_bands(self, shard: _Shard, rows: pa.Table, fingerprint: str) -> None:
        """Writes one partition; a word in place of a fingerprint marks it as unfinished."""
        if not all(character in "0123456789abcdef" for character in fingerprint):
            fingerprint = fingerprint_of(NEAR_BANDS, fingerprint)
        source, name = shard
        self._lake.write(
            NEAR_BANDS,
            rows,
            BANDS_SCHEMA,
            fingerprint=fingerprint,
            partition={"source": source, "shard": name},
        )


def _evidence(pairs: pl.DataFrame, documents: pl.DataFrame, layout: str) -> pl.DataFrame:
    """Returns the rows of `near_pairs`: verified pairs, and each copy with its first document."""
    firsts = documents.group_by("content").agg(first=pl.col("id").min())
    between = (
        pairs.join(firsts.rename({"content": "left", "first": "id_left"}), on="left")
        .join(firsts.rename({"content": "right", "first": "id_right"}), on="right")
        .with_columns(swapped=pl.col("id_left") > pl.col("id_right"))
        .select(
            id_a=pl.min_horizontal("id_left", "id_right"),
            id_b=pl.max_horizontal("id_left", "id_right"),
            jaccard="jaccard",
            content_a=pl.when("swapped").then("right").otherwise("left"),
            content_b=pl.when("swapped").then("left").otherwise("right"),
        )
    )
    copies = (
        documents.select("id", "content")
        .unique()
        .join(firsts, on="content")
        .filter(pl.col("id") != pl.col("first"))
        .select(
            id_a="first",
            id_b="id",
            jaccard=pl.lit(1.0, dtype=pl.Float32),
            content_a="content",
            content_b="content",
        )
    )
    return pl.concat([between, copies]).with_columns(layout=pl.lit(layout)).sort("id_a", "id_b")
