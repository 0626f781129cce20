"""The order in which documents are laid into sequences, and sequences are read.

Short contexts: documents in the order of a hash, so that every stretch is a fair sample. Long
contexts: repositories in the order of a hash, and inside one its files by path, so that a sequence
holds files that belong together. Sequences are then shuffled by hash in both cases. A repeated
document is laid down once per epoch, each time in another place.
"""

from __future__ import annotations

import polars as pl

from tritter_assets.mixes.sample import salt_of, sample_hash

REPOSITORY_CONTEXT_TOKENS = 16_384
"""From this context on, files of one repository stand together."""


def lay_out(documents: pl.DataFrame, *, phase: str, context_tokens: int) -> pl.DataFrame:
    """Repeats documents by their epochs and puts them in order.

    Args:
        documents: Columns id, source, repo, path, epochs.
        phase: Another phase has another order.
        context_tokens: Length of the sequences.

    Returns:
        One row per document and epoch, with the columns of `documents` and `epoch`.
    """
    repeated = (
        documents.with_columns(epoch=pl.int_ranges(0, pl.col("epochs")))
        .explode("epoch")
        .filter(pl.col("epoch").is_not_null())
    )
    if repeated.is_empty():
        return repeated
    near = context_tokens >= REPOSITORY_CONTEXT_TOKENS
    what = pl.concat_str("source", "repo", separator="\0") if near else pl.col("id")
    keys = repeated.select(pl.concat_str(what, pl.col("epoch"), separator="\0").alias("key"))
    ordered = repeated.with_columns(_order=sample_hash(keys["key"], salt_of("order", phase)))
    return ordered.sort("_order", "epoch", "path", "id").drop("_order")
