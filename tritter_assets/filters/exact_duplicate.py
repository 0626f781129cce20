"""Stage 5: the same content, raw or normalised. Decided by the index `dedup/exact_index`."""

from __future__ import annotations

import polars as pl

from tritter_assets.filters.index_rows import verdicts_of_index
from tritter_assets.lake import Lake
from tritter_assets.verdict import Stage

STAGE_VERSION = "1"

INDEX_TABLE = "dedup/exact_index"


def read_exact_duplicates(lake: Lake) -> pl.DataFrame:
    """Returns the index's drops and quarantines in the form of verdicts."""
    return verdicts_of_index(lake, INDEX_TABLE, Stage.EXACT_DUPLICATE)
