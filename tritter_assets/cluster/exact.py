"""The exact index on many machines: the rows of `dedup/exact.py`, grouped by a Daft frame.

Contents that more than one document has are found by a group-by over the hash of the normalised
text; those that one id ties together share a bucket, and each bucket is solved by the function of
the local engine. All of it is done in each update: it reads narrow columns, and no text.
"""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from tritter_assets.cluster import bucket_tasks
from tritter_assets.cluster.components import label_components
from tritter_assets.cluster.frames import signatures
from tritter_assets.cluster.index_update import IndexUpdate, RunAll
from tritter_assets.cluster.members import DOCUMENTS, commit_sorted, put_in_buckets, ties
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS
from tritter_assets.dedup.index import EXACT_INDEX, INDEX_SCHEMA, IndexReport, signature_states
from tritter_assets.lake import Lake


def update_exact_index(
    lake: Lake, update: IndexUpdate, *, run_all: RunAll, num_buckets: int | None = None
) -> IndexReport:
    """Writes `dedup/exact_index` over the signatures of the inputs.

    Args:
        lake: The lake, reachable from every worker.
        update: What to do.
        run_all: Calls a function once per tuple of arguments, on any worker.
        num_buckets: By default from the number of contents that have a copy.

    Raises:
        MissingProvenance: an input has no signatures.
    """
    from daft import col

    states = signature_states(lake, update.inputs)
    scratch = Scratch.of(lake, f"exact-{update.fingerprint}")
    signed = signatures(lake, update.inputs, DOCUMENT_COLUMNS)
    counted = signed.groupby("content").agg(col("id").count_distinct().alias("num_documents"))
    copied = scratch.store("copied", counted.where(col("num_documents") > 1).select("content"))
    documents = signed.select(*DOCUMENTS).join(copied, on="content", how="semi")
    documents = scratch.store("members", documents)
    labels, _ = label_components(ties(documents, scratch), scratch)
    alone = copied.join(labels, on="content", how="anti")
    components = labels.select("content", "component").concat(
        alone.select("content", col("content").alias("component"))
    )
    buckets, num_buckets = put_in_buckets(scratch, components, num_buckets)
    scratch.store("documents", documents.join(buckets, on="content"), by="bucket")
    calls = [(scratch, number, update.families) for number in range(num_buckets)]
    for _ in run_all(bucket_tasks.solve_exact_bucket, calls):
        pass
    tally = commit_sorted(
        lake,
        scratch,
        EXACT_INDEX,
        scratch.load("rows"),
        INDEX_SCHEMA,
        order=["cluster_id", "id"],
        fingerprint=update.fingerprint,
    )
    scratch.clear()
    num_documents = sum(state.num_rows for state in states.values())
    details: dict[str, int | float | str] = {"shards": len(states), "buckets": num_buckets}
    return tally.report(EXACT_INDEX, num_documents, details)
