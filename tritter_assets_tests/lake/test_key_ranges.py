from __future__ import annotations

import random

import polars as pl
import pyarrow as pa
import pytest

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import Lake, key_ranges

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("names", pa.list_(pa.string()), nullable=False),
    ]
)
FINGERPRINT = "a" * 15


def frame(state: dict[str, list[str]]) -> pl.DataFrame:
    rows = [(name, key, [key, name]) for key in sorted(state) for name in state[key]]
    return pl.DataFrame(rows, schema=pl.Schema(SCHEMA), orient="row")


def replace(lake: Lake, rows: pl.DataFrame, dropped: pl.Series | None):
    return lake.replace_keys(
        "t", rows, SCHEMA, order=("key", "id"), dropped=dropped, fingerprint=FINGERPRINT
    )


def test_random_changes_give_the_table_and_data_version_of_one_write(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(key_ranges, "RANGE_ROWS", 50)
    lake, whole = Lake.at(tmp_path / "a"), Lake.at(tmp_path / "b")
    generator = random.Random(1)
    state: dict[str, list[str]] = {}
    replace(lake, frame(state), None)
    for number in range(20):
        keys = [f"{generator.randrange(500):04d}" for _ in range(generator.choice([0, 1, 5, 200]))]
        for key in keys:
            state[key] = [f"{key}-{number}-{n}" for n in range(generator.randrange(4))]
        coming = frame({key: state[key] for key in set(keys)})
        change = replace(lake, coming, pl.Series(keys, dtype=pl.String))
        wanted = frame(state).sort("key", "id")
        assert lake.scan("t").collect().sort("key", "id").equals(wanted)
        written = whole.write("t", wanted.to_arrow(), SCHEMA, fingerprint=FINGERPRINT)
        assert lake.state("t").data_version == written.data_version
        assert lake.state("t").num_rows == wanted.height
        assert change.files_read <= max(len(keys), 1)


def test_a_table_written_whole_is_not_patched(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    rows = frame({"1": ["a"]})
    lake.write("t", rows.to_arrow(), SCHEMA, fingerprint=FINGERPRINT)
    with pytest.raises(LakeCorruption, match="not written by key"):
        replace(lake, rows, pl.Series(["1"]))
    replace(lake, rows, None)
    lake.write("t", frame({"2": ["a"]}).to_arrow(), SCHEMA, fingerprint=FINGERPRINT)
    with pytest.raises(LakeCorruption, match="written whole after"):
        replace(lake, rows, pl.Series(["1"]))
