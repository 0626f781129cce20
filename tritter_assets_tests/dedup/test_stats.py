from __future__ import annotations

import polars as pl
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
    assert stats.cluster_sizes(lake, "dedup/near_index").rows() == [(2, 2, 21, 42)]
    assert stats.source_matrix(lake, "dedup/near_index").rows() == [("mirror", "original", 20)]
    found = stats.conflicts(lake, "dedup/exact_index")
    assert found.rows() == [("GPL-3.0-only, MIT", 1, 2)]


def test_sizes_are_grouped_by_doubling(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    copies = {1: 2, 2: 3, 3: 4, 4: 5, 5: 8, 6: 9, 7: 16, 8: 17, 9: 7}
    docs = [
        Doc(f"{100 * seed + number:032x}", text(seed))
        for seed, size in copies.items()
        for number in range(size)
    ]
    sign(lake, "s", "000", docs)
    update_exact_index(lake, inputs_of([("s", "000")]), fingerprint="a" * 15)
    assert stats.cluster_sizes(lake, "dedup/exact_index").rows() == [
        (2, 2, 1, 2),
        (3, 3, 1, 3),
        (4, 4, 1, 4),
        (5, 8, 3, 20),
        (9, 16, 2, 25),
        (17, 17, 1, 17),
    ]


def test_a_hundred_sources_fold_into_the_largest() -> None:
    cells = {(f"s{n:03d}", f"s{(n * 7) % 100:03d}"): 1000 - n for n in range(100)}
    frame = pl.DataFrame(
        [(*key, number) for key, number in cells.items()],
        schema=["source", "kept_source", "documents"],
        orient="row",
    )
    folded = stats.largest_sources(frame, 16)
    names = set(folded["source"]) | set(folded["kept_source"])
    assert len(names) == 17
    assert "(84 other sources)" in names
    assert folded["documents"].sum() == frame["documents"].sum()
    assert stats.largest_sources(frame.head(5), 16).equals(frame.head(5))
