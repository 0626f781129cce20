"""The near index on many machines: the rows of `dedup/near.py`, found by frames cut by key.

| step | engine | cut by |
|---|---|---|
| bands of changed shards (`band_changes.py`) | task per (source, shard) | shard |
| candidates: as `crowds.py` has them (`candidates.py`) | Daft group-by, then distinct | band, key |
| components of what ties contents (`unsolved.py`) | iterated joins | content |
| texts of pairs to verify, read once (`spread.py`) | task per (source, shard) | shard |
| texts, pairs, documents side by side (`spread.py`) | Daft | bucket of the component |
| exact Jaccard, clusters, survivors (`bucket_tasks.py`) | task per bucket | bucket |
| evidence and index in order | Daft sort, one commit each | |

Incremental: when the tables stand as the last update of a cluster left them (`standing.py`), bands
are looked up, pairs verified and clusters solved for what changed shards touch; known pairs and
clusters that nothing touches stay. What is linear in the lake then is reading `near_bands`, narrow
columns of `signatures` and `near_pairs`, and writing the two tables in order. Otherwise (the first
time, after an update of the local engine, with other priorities or licence families, while an id
stands for two contents) everything is found anew; pairs that `near_pairs` holds are not verified
again even so.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from typing import TYPE_CHECKING

from tritter_assets.cluster.band_changes import SpreadBandChanges
from tritter_assets.cluster.bucket_tasks import solve_near_bucket
from tritter_assets.cluster.candidates import all_candidates, new_candidates
from tritter_assets.cluster.frames import stored_rows
from tritter_assets.cluster.index_update import IndexUpdate, RunAll
from tritter_assets.cluster.members import Tally, commit_sorted
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.cluster.spread import spread_by_bucket, spread_texts
from tritter_assets.cluster.standing import is_standing, standing_of
from tritter_assets.cluster.unsolved import Unsolved, find_unsolved
from tritter_assets.dedup.bands import layout_for
from tritter_assets.dedup.index import INDEX_SCHEMA, NEAR_INDEX, IndexReport, signature_states
from tritter_assets.dedup.near import NEAR_PAIRS, PAIRS_SCHEMA
from tritter_assets.lake import Lake, fingerprint_of

if TYPE_CHECKING:
    from daft import DataFrame


def update_near_index(
    lake: Lake, update: IndexUpdate, *, run_all: RunAll, num_buckets: int | None = None
) -> IndexReport:
    """Brings `dedup/near_{bands,pairs,index}` up to date with the signatures of the inputs.

    Args:
        lake: The lake, reachable from every worker.
        update: What to do.
        run_all: Calls a function once per tuple of arguments, on any worker.
        num_buckets: By default from the number of contents that have to be clustered.

    Raises:
        MissingProvenance: an input has no signatures, or `filtered` is newer than they are.
    """
    layout = layout_for(update.threshold)
    states = signature_states(lake, update.inputs)
    scratch = Scratch.of(lake, f"near-{update.fingerprint}")
    goes_on = is_standing(lake, update)
    changes = SpreadBandChanges.of(lake, layout, states)
    changes.write(lake, layout, scratch if goes_on else None, run_all)
    found = new_candidates(lake, update.inputs, changes, scratch) if goes_on else None
    if found is None:
        found = all_candidates(lake, update.inputs, scratch)
    known = stored_rows(lake, scratch, NEAR_PAIRS, PAIRS_SCHEMA)
    unsolved = find_unsolved(lake, update, known, found, scratch)
    spread = spread_by_bucket(scratch, unsolved, num_buckets)
    spread_texts(lake, update, spread, scratch, run_all)
    calls = [
        (scratch, number, layout, update.memory_limit_bytes, update.families)
        for number in range(spread.num_buckets)
    ]
    num_computed = sum(computed for _, computed in run_all(solve_near_bucket, calls))
    pairs = _commit_pairs(lake, update, known, unsolved, scratch)
    index = _commit_index(lake, update, unsolved, changes, scratch)
    details: dict[str, int | float | str] = {
        "shards": len(states),
        "shards_changed": len(changes.changed),
        "shards_removed": len(changes.removed),
        "new_contents": found.num_new,
        "candidates": scratch.num_rows("candidates"),
        "pairs_computed": num_computed,
        "pairs": pairs.num_pairs,
        "layout": layout.name,
        "rounds": unsolved.rounds,
        "buckets": spread.num_buckets,
    }
    scratch.clear()
    num_documents = sum(state.num_rows for state in states.values())
    return index.report(NEAR_INDEX, num_documents, details)


def _commit_pairs(
    lake: Lake, update: IndexUpdate, known: DataFrame, unsolved: Unsolved, scratch: Scratch
) -> Tally:
    """Writes the evidence: of what was solved, and of what nothing touched."""
    from daft import col

    rows = scratch.load("evidence").select(*PAIRS_SCHEMA.names)
    if unsolved.dissolved is not None:
        gone = unsolved.dissolved.select(col("content").alias("content_a"))
        untouched = known.join(gone, on="content_a", how="anti")
        rows = rows.concat(untouched.select(*PAIRS_SCHEMA.names))
    return commit_sorted(
        lake,
        scratch,
        NEAR_PAIRS,
        rows,
        PAIRS_SCHEMA,
        order=["id_a", "id_b"],
        fingerprint=fingerprint_of(NEAR_PAIRS, update.fingerprint),
    )


def _commit_index(
    lake: Lake,
    update: IndexUpdate,
    unsolved: Unsolved,
    changes: SpreadBandChanges,
    scratch: Scratch,
) -> Tally:
    """Writes the index: what was solved, and the clusters that nothing touched."""
    rows = scratch.load("rows").select(*INDEX_SCHEMA.names)
    if unsolved.dissolved is not None:
        untouched = stored_rows(lake, scratch, NEAR_INDEX, INDEX_SCHEMA)
        old, _ = changes.frames(scratch)
        for documents in (unsolved.documents, old):
            ids = documents.select("id").distinct()
            untouched = untouched.join(ids, on="id", how="anti")
        rows = rows.concat(untouched.select(*INDEX_SCHEMA.names))
    return commit_sorted(
        lake,
        scratch,
        NEAR_INDEX,
        rows,
        INDEX_SCHEMA,
        order=["cluster_id", "id"],
        fingerprint=update.fingerprint,
        record=standing_of(lake, update, is_tied=scratch.num_rows("ties") > 0),
    )
