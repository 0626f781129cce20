"""The exact index: documents with the same content, or the same once normalised.

Input: `signatures/*`. Output: `dedup/exact_index` (see `index.py`). Grouping is by
`normalized_sha256`, which also joins all byte-identical content; `match` says which of the two a
member is. It is one streaming group-by, so every update is the batch result by construction; only
the documents that have a copy are held in memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tritter_assets.dedup.bands import content_key
from tritter_assets.dedup.clusters import DOCUMENT_COLUMNS, cluster_rows, report_of
from tritter_assets.dedup.index import (
    EXACT_INDEX,
    INDEX_SCHEMA,
    SURVIVAL_ORDER,
    IndexReport,
    ShardInput,
    scan_signatures,
    signature_states,
)
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.verdict import Reason

STAGE_VERSION = "1"

NO_PAIRS = pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64, "score": pl.Float32})


def code_version() -> str:
    """Returns the version of everything that changes the exact index."""
    return f"{STAGE_VERSION}.{fingerprint_of(SURVIVAL_ORDER)}"


def update_exact_index(
    lake: Lake, inputs: Sequence[ShardInput], *, fingerprint: str
) -> IndexReport:
    """Writes `dedup/exact_index` over the signatures of `inputs`.

    Args:
        lake: The lake.
        inputs: Every shard that takes part; a shard left out is taken out of the index.
        fingerprint: Hash of `code_version()` and `index.inputs_version(lake, inputs)`.

    Raises:
        MissingProvenance: an input has no signatures.
    """
    states = signature_states(lake, inputs)
    scanned = scan_signatures(lake, inputs, DOCUMENT_COLUMNS)
    copied = (
        scanned.select("id", "normalized_sha256")
        .unique()
        .group_by("normalized_sha256")
        .len()
        .filter(pl.col("len") > 1)
        .select("normalized_sha256")
        .collect(engine="streaming")
    )
    documents = (
        scanned.join(copied.lazy(), on="normalized_sha256", how="semi")
        .with_columns(content_key())
        .collect(engine="streaming")
    )
    rows = cluster_rows(documents, NO_PAIRS, match="content", reason=Reason.EXACT_DUPLICATE)
    lake.write(EXACT_INDEX, rows.to_arrow(), INDEX_SCHEMA, fingerprint=fingerprint)
    identical = rows.filter(pl.col("match") == "content").height
    return report_of(
        EXACT_INDEX,
        rows,
        sum(state.num_rows for state in states.values()),
        {"shards": len(states), "byte_identical_members": identical},
    )
