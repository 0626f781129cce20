"""Row groups of one partition: compressed beside the gathering, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from tritter_assets.lake import partition_writer
from tritter_assets.lake.partition_writer import PartitionWriter

SCHEMA = pa.schema([("id", pa.string()), ("shard", pa.string())])
GROUP_ROWS = 10


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_writer, "ROW_GROUP_BYTES", _batch(0).nbytes)


def _batch(number: int) -> pa.RecordBatch:
    ids = [f"{number:03d}-{row:03d}" for row in range(GROUP_ROWS)]
    return pa.RecordBatch.from_pydict({"id": ids, "shard": ["000"] * GROUP_ROWS}, schema=SCHEMA)


def _writer(folder: Path) -> PartitionWriter:
    filesystem = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
    return PartitionWriter(filesystem, SCHEMA, {"shard": "000"}, "raw/small")


@pytest.mark.usefixtures("small_groups")
def test_groups_stand_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    for number in range(20):
        writer.add(_batch(number))
    (action,) = writer.finish()
    file = pq.ParquetFile(tmp_path / action.path)
    assert file.num_row_groups == 20
    came = [row for number in range(20) for row in _batch(number)["id"].to_pylist()]
    assert file.read()["id"].to_pylist() == came
    assert action.size == (tmp_path / action.path).stat().st_size


@pytest.mark.usefixtures("small_groups")
def test_a_group_that_cannot_be_written_fails_the_write_and_leaves_no_file(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    writer.add(_batch(0))
    writer.add(pa.RecordBatch.from_pydict({"id": [1] * 40, "shard": ["000"] * 40}))
    with pytest.raises(ValueError, match="schema"):
        writer.add(_batch(1))
    writer.abandon()
    assert list(tmp_path.rglob("*.parquet")) == []
