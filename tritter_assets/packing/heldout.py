"""Which documents are kept out of training, in every phase alike.

The hash of a document's group decides: its duplicate cluster, or else the document itself, or for
a derived row the group of the ancestor that is held out first. So a held-out document has no near
copy, extract or synthetic child in the training split of any phase.
"""

from __future__ import annotations

import polars as pl

from tritter_assets.mixes.sample import HASH_MAX, HELDOUT_SALT, sample_hash

HELDOUT_FRACTION = 0.05
"""Part of the groups."""


def is_heldout(group_ids: pl.Series) -> pl.Series:
    """Returns a boolean for each group: true where it is held out of training."""
    return (sample_hash(group_ids, HELDOUT_SALT) < int(HELDOUT_FRACTION * HASH_MAX)).alias(
        "heldout"
    )


def split_of(group_ids: pl.Series) -> pl.Series:
    """Returns `heldout` or `train` for each row of a mix.

    A mix with two groups or more whose hashes all miss the fraction gives up the one with the
    smallest hash, so that every phase can be evaluated.
    """
    held = is_heldout(group_ids)
    if not held.any() and group_ids.n_unique() > 1:
        hashes = sample_hash(group_ids, HELDOUT_SALT)
        held = hashes == hashes.min()
    chosen = pl.select(pl.when(held).then(pl.lit("heldout")).otherwise(pl.lit("train")))
    return chosen.to_series().alias("split")
