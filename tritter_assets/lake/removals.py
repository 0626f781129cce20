"""Reads the removal requests, for every room that must respect them, and adds to them.

A request is added by appending, in one commit: any number of processes may add at once and none can
lose what another wrote. Two that ask for the same thing leave two rows, of which readers see one.
"""

from __future__ import annotations

import random
import time

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from tritter_assets.lake.table import Lake
from tritter_assets.removal import REMOVAL_SCHEMA, REMOVALS_TABLE, covers_alone

_ATTEMPTS = 12
_MANY_FILES = 64
"""Files of one table, an append each, from which on they are put together into one."""


def read_removals(lake: Lake) -> pl.DataFrame:
    """Returns the removal requests, sorted by request; empty when nobody ever asked.

    Of several rows of one request what a person asked comes before what merely followed, and then
    the oldest.
    """
    if not lake.exists(REMOVALS_TABLE):
        return pl.DataFrame(schema=pl.Schema(REMOVAL_SCHEMA))
    rows = lake.scan(REMOVALS_TABLE).select(REMOVAL_SCHEMA.names)
    return (
        rows.sort("request", covers_alone(), "requested_at", "reason")
        .unique("request", keep="first", maintain_order=True)
        .collect()
    )


def append_rows(lake: Lake, table: str, rows: pa.Table) -> None:
    """Adds rows to an unpartitioned table in one commit, making the table if there is none.

    Raises:
        CommitFailedError: others kept committing in between, a dozen times over.
    """
    uri, options = lake.location.uri(table), dict(lake.location.storage_options) or None
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            write_deltalake(uri, rows, mode="append", storage_options=options)
            break
        except DeltaError:
            # Another writer made the table, or took this version of it, in the meantime.
            if attempt == _ATTEMPTS:
                raise
            time.sleep(random.uniform(0.01, 0.03) * 2 ** min(attempt, 6))
    opened = DeltaTable(uri, storage_options=options)
    if len(opened.file_uris()) > _MANY_FILES:
        try:
            opened.optimize.compact()
        except CommitFailedError:
            return  # another writer was first; the next append finds as many files again
