"""Writes files again that hold rows a deletion vector has taken out, so that these are gone.

A change by key leaves a row in its file, unseen, until a quarter of the file is gone. Who must not
keep such rows calls this, and deletes the files that no table names any more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.lake.fingerprint import ContentHash
from tritter_assets.lake.keyed_files import KeyChange
from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.partition_writer import PartitionWriter
from tritter_assets.lake.row_commits import commit_rows, stored_files, takes_rows
from tritter_assets.lake.seen import table_to_commit


def drop_gone_rows(location: LakeLocation, table: str) -> int:
    """Writes the living rows of a table's files again where some are gone, in one commit.

    The table holds what it held, under the same fingerprint and data version.

    Returns:
        The number of rows that were gone.
    """
    with table_to_commit(location, table) as (opened, _):
        if not takes_rows(opened):
            return 0
        filesystem = location.filesystem(table)
        schema = pa.schema(opened.schema().to_arrow())
        change = KeyChange(ContentHash())
        change.removed = [file for file in stored_files(opened) if len(file.gone)]
        for file in change.removed:
            with filesystem.open_input_file(file.path) as source:
                rows = pq.ParquetFile(source).read()
            living = np.ones(rows.num_rows, dtype=np.bool_)
            living[file.gone] = False
            writer = PartitionWriter(filesystem, schema, {}, table)
            for batch in rows.filter(pa.array(living)).to_batches():
                for conformed in writer.conform(batch):
                    writer.add(conformed)
            change.added += writer.finish()
        if change.removed:
            commit_rows(Path(location.uri(table)), opened, change, {})
        return sum(len(file.gone) for file in change.removed)
