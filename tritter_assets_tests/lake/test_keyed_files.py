from __future__ import annotations

import random
import shutil

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import Lake, keyed_files, row_commits
from tritter_assets.lake.gone_rows import drop_gone_rows

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
    monkeypatch.setattr(keyed_files, "FILE_ROWS", 50)
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
        assert len(change.added) <= 1 + wanted.height // 50


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


def numbered(count: int) -> dict[str, list[str]]:
    return {f"{number:06d}": [f"{number:06d}-a"] for number in range(count)}


def changed(state: dict[str, list[str]], keys: list[str], mark: str) -> pl.DataFrame:
    for key in keys:
        state[key] = [f"{key}-{mark}"]
    return frame({key: state[key] for key in keys})


def test_a_small_change_writes_a_small_file_and_leaves_the_large_one(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_commits, "_COMMITS_PER_CHECKPOINT", 20)
    lake = Lake.at(tmp_path)
    state = numbered(140_000)
    whole = replace(lake, frame(state), None).added
    # Three containers of a bitmap, one of them over the 4,096 rows of an array.
    keys = [f"{number:06d}" for number in [*range(60_000, 65_000), 65_536, 131_071, 139_999]]
    change = replace(lake, changed(state, keys, "b"), pl.Series(keys))
    assert change.removed == []
    assert len(change.added) == 1
    assert change.added[0].size < sum(added.size for added in whole) / 10
    for attempt in range(22):  # over a checkpoint
        keys = [f"{number:06d}" for number in range(attempt, 140_000, 20_011)]
        change = replace(lake, changed(state, keys, f"c{attempt}"), pl.Series(keys))
        assert sum(added.size for added in change.added) < 30_000
    assert len(list(tmp_path.glob("t/_delta_log/*.checkpoint.parquet"))) == 1
    found = lake.scan("t").collect().sort("key", "id")
    assert found.equals(frame(state).sort("key", "id"))
    assert lake.state("t").num_rows == 140_000
    assert len(lake._open("t").file_uris()) < 16


def test_the_same_rows_again_are_not_written(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    state = numbered(100)
    replace(lake, frame(state), None)
    keys = sorted(state)[10:20]
    same = frame({key: state[key] for key in keys})
    change = replace(lake, same, pl.Series(keys))
    assert (change.added, change.removed, change.reduced) == ([], [], [])
    assert lake.scan("t").collect().height == 100


def test_a_file_of_which_a_quarter_is_gone_is_written_again(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    state = numbered(1000)
    (first,) = replace(lake, frame(state), None).added
    keys = sorted(state)[:200]
    change = replace(lake, frame({}), pl.Series(keys))
    assert [file.path for file, _ in change.reduced] == [first.path]
    keys = sorted(state)[200:300]
    change = replace(lake, frame({}), pl.Series(keys))
    assert [file.path for file in change.removed] == [first.path]
    assert lake.scan("t").collect()["key"].sort().to_list() == sorted(state)[300:]
    assert len(list((tmp_path / ".cache/t/keys").iterdir())) == 1


def test_rows_that_are_gone_can_be_made_to_leave_their_files(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    state = numbered(1000)
    replace(lake, frame(state), None)
    assert drop_gone_rows(lake.location, "t") == 0
    keys = sorted(state)[:100]
    replace(lake, changed(state, keys, "b"), pl.Series(keys))
    held = lake.state("t")
    assert drop_gone_rows(lake.location, "t") == 100
    files = [pq.read_table(path) for path in lake._open("t").file_uris()]
    assert sum(file.num_rows for file in files) == 1000
    again = lake.state("t")
    assert (again.data_version, again.fingerprint) == (held.data_version, held.fingerprint)
    keys = sorted(state)[50:150]
    replace(lake, changed(state, keys, "c"), pl.Series(keys))
    assert lake.scan("t").collect().sort("key", "id").equals(frame(state).sort("key", "id"))


def test_places_that_are_lost_are_made_from_the_files(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    state = numbered(1000)
    replace(lake, frame(state), None)
    keys = sorted(state)[100:120]
    replace(lake, changed(state, keys, "b"), pl.Series(keys))
    shutil.rmtree(tmp_path / ".cache")
    keys = sorted(state)[110:130]
    replace(lake, changed(state, keys, "c"), pl.Series(keys))
    assert lake.scan("t").collect().sort("key", "id").equals(frame(state).sort("key", "id"))


def test_a_commit_that_another_writer_overtakes_is_refused(tmp_path, monkeypatch) -> None:
    lake = Lake.at(tmp_path)
    state = numbered(10)
    replace(lake, frame(state), None)
    real = keyed_files.KeyedFiles.replace_keys

    def overtaken(*arguments):
        monkeypatch.undo()
        replace(Lake.at(tmp_path), frame({}), pl.Series(["000001"]))
        return real(*arguments)

    monkeypatch.setattr(keyed_files.KeyedFiles, "replace_keys", overtaken)
    with pytest.raises(LakeCorruption, match="another writer made version 2"):
        replace(lake, frame({}), pl.Series(["000002"]))
    assert lake.scan("t").collect().height == 9
    assert not list(tmp_path.glob("t/_delta_log/*.tmp"))
