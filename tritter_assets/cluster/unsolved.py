"""What a look-up leaves to verify and to solve: pairs, components, and the documents in them.

A cluster is solved again when a content of it is touched: a document of it came, went or changed,
it gains a candidate, or it lost a pair. Which clusters these are is seen from the components of
all pairs, old and new, so what a removed content held together falls apart, and what a new one
ties is one.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tritter_assets.cluster.candidates import Candidates
from tritter_assets.cluster.components import label_components
from tritter_assets.cluster.frames import contents, lesser_and_greater, signatures, union
from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.bands import layout_for
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    from daft import DataFrame

_ENDS = ["left", "right"]


@dataclass(frozen=True, slots=True)
class Unsolved:
    """What has to be solved."""

    pairs: DataFrame
    """left, right, jaccard (null: to verify): at least those within `members`."""
    members: DataFrame
    """content, component: whole components."""
    documents: DataFrame
    """Signatures of all documents of `dissolved`, or of all there are."""
    dissolved: DataFrame | None
    """Contents whose old clusters and evidence go, `members` among them; None: all."""
    rounds: int
    """Of `label_components`."""


def find_unsolved(
    lake: Lake, update: IndexUpdate, known: DataFrame, found: Candidates, scratch: Scratch
) -> Unsolved:
    """Returns what has to be solved.

    Args:
        lake: The lake.
        update: What is done.
        known: Rows of `near_pairs` before the update.
        found: Candidates of the update.
        scratch: Keeps the frames.
    """
    pairs, touched = _scored(known, found, layout_for(update.threshold).name, scratch)
    edges = union([pairs.select(*_ENDS), found.ties])
    labels, rounds = label_components(edges, scratch)
    labels = scratch.store("labels", labels)
    signed = signatures(lake, update.inputs, [*DOCUMENT_COLUMNS, "num_shingles"])
    if touched is None:
        return Unsolved(pairs, labels, signed, None, rounds)
    reached = labels.join(touched, on="content", how="semi").select("component").distinct()
    members = scratch.store("members", labels.join(reached, on="component", how="semi"))
    dissolved = contents((members, "content"), (touched, "content"))
    dissolved = scratch.store("dissolved", dissolved)
    documents = scratch.store("chosen", signed.join(dissolved, on="content", how="semi"))
    return Unsolved(pairs, members, documents, dissolved, rounds)


def _scored(
    known: DataFrame, found: Candidates, layout: str, scratch: Scratch
) -> tuple[DataFrame, DataFrame | None]:
    """Returns all pairs that there may be, those known with a similarity, and what is touched."""
    from daft import col

    low, high = lesser_and_greater("content_a", "content_b")
    # Copies are left out after the columns are made: Daft 0.7 passes over a file in which two
    # columns have the same least and greatest value when it is asked where they differ.
    scores = (
        known.where(col("layout") == layout)
        .select(low.alias("left"), high.alias("right"), col("jaccard"))
        .where(col("left") < col("right"))
    )
    candidates = found.pairs.join(scores, on=_ENDS, how="left").select(*_ENDS, "jaccard")
    if found.renewed is None or found.touched is None:
        return scratch.store("all-pairs", candidates), None
    if found.compared is not None:
        failed = found.compared.join(scores, on=_ENDS, how="anti")
        candidates = candidates.join(failed, on=_ENDS, how="anti")
    kept = scores
    for end in _ENDS:
        kept = kept.join(found.renewed.select(col("content").alias(end)), on=end, how="anti")
    kept = scratch.store("kept", kept)
    dropped = scores.join(kept, on=_ENDS, how="anti")
    touched = contents(
        (found.renewed, "content"),
        (found.touched, "content"),
        *((pairs, end) for pairs in (found.pairs, dropped) for end in _ENDS),
    )
    return scratch.store("all-pairs", union([candidates, kept])), touched
