from __future__ import annotations

import pytest

from tritter_assets.dedup import stats
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake.at(tmp_path)
    sign(lake, "original", "000", [Doc(f"{n:032x}", text(n)) for n in range(20)])
    mirror = [Doc(f"{100 + n:032x}", text(n)) for n in range(18)]
    mirror += [Doc(f"{200 + n:032x}", text(n, edits=(30,))) for n in range(18, 20)]
    sign(lake, "mirror", "000", mirror)
    conflict = [Doc("e" * 32, text(99), "MIT"), Doc("f" * 32, text(99), "GPL-3.0-only")]
    sign(lake, "mixed", "000", [*conflict, Doc("d" * 32, text(98))])
    for verb in (update_exact_index, update_near_index):
        verb(lake, shards(), fingerprint="a" * 15)
    return lake


def shards():
    names = ["original", "mirror", "mixed"]
    priorities = {name: number for number, name in enumerate(names)}
    return inputs_of([(name, "000") for name in names], priorities)


def test_a_mirrored_source_raises_the_alarm(lake: Lake) -> None:
    frame = stats.retention_by_source(lake, shards())
    rows = {row["source"]: row for row in frame.iter_rows(named=True)}
    assert rows["original"]["retention"] == 1.0
    mirror = rows["mirror"]
    assert (mirror["exact"], mirror["near"], mirror["kept"]) == (18, 2, 0)
    assert mirror["alarm"]
    assert not rows["mixed"]["alarm"]
    assert rows["mixed"]["exact"] == 2
    shares = stats.stage_retention(frame)
    assert shares["exact"] == pytest.approx(23 / 43)
    assert shares["near"] == pytest.approx(21 / 23)
    assert shares["semantic"] == 1.0


def test_histogram_matrix_and_conflicts(lake: Lake) -> None:
    histogram = stats.cluster_size_histogram(lake, "dedup/near_index")
    assert histogram.rows() == [(2, 21)]
    assert stats.source_matrix(lake, "dedup/near_index").rows() == [("mirror", "original", 20)]
    found = stats.conflicts(lake, "dedup/exact_index")
    assert found.rows() == [("e" * 32, 2, ["GPL-3.0-only", "MIT"])]
