"""The exact index: documents with the same content, or the same once normalised.

Input: `signatures/*`. Output: `dedup/exact_index` (see `index.py`). Grouping is by
`normalized_sha256`, which also joins all byte-identical content; `match` says which of the two a
member is. An update reads the signatures of changed shards and looks up what else has the same
contents (`cluster_update.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from tritter_assets.dedup.cluster_update import (
    fitting,
    open_cache,
    report_of_cache,
    solve_again,
    take_documents,
    write_clusters,
)
from tritter_assets.dedup.index import (
    EXACT_INDEX,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    signature_states,
)
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "2"
"""2: written by ranges of the cluster id."""


def code_version() -> str:
    """Returns the version of everything that changes the exact index."""
    return f"{STAGE_VERSION}.{fingerprint_of(SURVIVAL_ORDER)}"


def update_exact_index(
    lake: Lake,
    inputs: Sequence[ShardInput],
    *,
    families: LicenseFamilies | None = None,
    fingerprint: str,
) -> IndexReport:
    """Writes `dedup/exact_index` over the signatures of `inputs`.

    Args:
        lake: The lake.
        inputs: Every shard that takes part; a shard left out is taken out of the index.
        families: Of the policy; see `clusters.cluster_rows`.
        fingerprint: Hash of `code_version()` and `index.inputs_version(lake, inputs)`.

    Raises:
        MissingProvenance: an input has no signatures.
    """
    states = signature_states(lake, inputs)
    expected = {EXACT_INDEX: fingerprint}
    cache, written = open_cache(lake, EXACT_INDEX, code_version(), expected)
    with closing(cache):
        taken = take_documents(lake, cache, inputs, states, families)
        contents = None if taken.everything else taken.dirty
        solved = solve_again(cache, contents, match="content", reason=Reason.EXACT_DUPLICATE)
        write_clusters(
            lake,
            cache,
            EXACT_INDEX,
            solved,
            fingerprint=fingerprint,
            is_written=EXACT_INDEX in written,
        )
        report = report_of_cache(
            EXACT_INDEX,
            cache,
            sum(state.num_rows for state in states.values()),
            {"shards": len(states), "contents_changed": len(taken.dirty)},
        )
        cache.commit(fitting(lake, code_version(), [EXACT_INDEX]))
    return report
