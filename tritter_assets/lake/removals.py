"""Reads the removal requests, for every room that must respect them."""

from __future__ import annotations

import polars as pl

from tritter_assets.lake.table import Lake
from tritter_assets.removal import REMOVAL_SCHEMA, REMOVALS_TABLE


def read_removals(lake: Lake) -> pl.DataFrame:
    """Returns the removal requests, sorted by request; empty when nobody ever asked."""
    if not lake.exists(REMOVALS_TABLE):
        return pl.DataFrame(schema=pl.Schema(REMOVAL_SCHEMA))
    return lake.scan(REMOVALS_TABLE).sort("request").collect()
