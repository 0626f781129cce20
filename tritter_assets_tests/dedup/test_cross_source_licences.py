"""One blob in four sources under whatever licences they state: one cluster, and nobody gains."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.contracts.policy import load_policy
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.license_family import LicenseFamilies, families_of
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.lake import Lake
from tritter_assets_tests.contracts.edited_policy import FOLDER
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

SOURCES = ("the_stack", "scotch", "code_search_net", "code_x_glue")
INDEXES = ("dedup/exact_index", "dedup/near_index")
MANY = 10_000

CASES = [
    (("MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0"), True),
    (("MIT", "MIT OR GPL-2.0-only", "MIT AND Apache-2.0", "Apache-2.0 OR MIT"), True),
    (("Apache-2.0 WITH LLVM-exception", "Apache-2.0", "MIT", "NCSA"), True),
    (("GPL-2.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "MIT AND GPL-2.0-only"), True),
    (("GPL-2.0-only WITH Classpath-exception-2.0",) * 3 + ("GPL-2.0-only",), True),
    (("NOASSERTION",) * 4, True),
    (("MIT", "NOASSERTION", "MIT", "MIT"), False),
    (("NOASSERTION", "MIT", "MIT", "MIT"), False),
    (("MIT", "MIT", "MIT", "MIT AND GPL-2.0-only"), False),
    (("MIT", "GPL-2.0-only WITH Classpath-exception-2.0", "MIT", "MIT"), False),
    (("MIT", "LGPL-2.1-only", "MIT", "MIT"), False),
    (("LGPL-2.1-only", "GPL-3.0-only", "LGPL-2.1-only", "LGPL-2.1-only"), False),
    (("CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-4.0", "CC-BY-4.0"), False),
    (("MIT", "C-UDA-1.0", "MIT", "MIT"), False),
    (("MIT", "JSON", "MIT", "MIT"), False),
    (("MIT", "NONE", "", "MIT"), False),
]
"""Licences of one blob in the four sources, and whether a copy may stay."""


@pytest.fixture(scope="module")
def families() -> LicenseFamilies:
    return families_of(load_policy(FOLDER, today=date(2026, 11, 24)), "brief")


def number(source: int, row: int = 0) -> str:
    return f"{source + 1:016x}{row:016x}"


def index(lake: Lake, families: LicenseFamilies) -> None:
    priorities = {source: place for place, source in enumerate(SOURCES)}
    inputs = inputs_of([(source, "000") for source in SOURCES], priorities)
    for verb in (update_exact_index, update_near_index):
        verb(lake, inputs, families=families, fingerprint="a" * 15)


@pytest.fixture(scope="module", params=[False, True], ids=["copies", "near copies"])
def blobs(
    request: pytest.FixtureRequest,
    families: LicenseFamilies,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Lake, bool]:
    """Every case as a blob of its own, and whether the sources hold it changed a little."""
    lake, near = Lake.at(tmp_path_factory.mktemp("lake")), request.param
    for place, source in enumerate(SOURCES):
        edits = (7 * place,) if near and place else ()
        docs = [
            Doc(number(place, case), text(case, edits, count=200), licences[place])
            for case, (licences, _) in enumerate(CASES)
        ]
        sign(lake, source, "000", docs)
    index(lake, families)
    return lake, near


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: "|".join(CASES[case][0]))
def test_one_blob_in_four_sources(blobs: tuple[Lake, bool], case: int) -> None:
    lake, near = blobs
    licences, agree = CASES[case]
    ids = [number(place, case) for place in range(4)]
    for name in INDEXES[near:]:
        rows = lake.scan(name).filter(pl.col("id").is_in(ids)).collect().sort("id")
        assert rows["id"].to_list() == ids
        assert rows["cluster_id"].unique().to_list() == [ids[0]]
        assert set(rows["licenses"].list.join("|")) == {"|".join(sorted(set(licences)))}
        if agree:
            assert rows["action"].to_list() == ["keep", "drop", "drop", "drop"]
            assert set(rows["kept_id"]) == {ids[0]}
        elif not near:
            assert set(rows["action"]) == {"quarantine"}
    gone = set(dropped_ids(lake)["id"])
    assert [one for one in ids if one not in gone] == (ids[:1] if agree else [])


def test_ten_thousand_copies_in_one_source(tmp_path: Path, families: LicenseFamilies) -> None:
    lake = Lake.at(tmp_path)
    copies = [Doc(number(1, row), text(1), repo=f"fork/{row}") for row in range(MANY)]
    sign(lake, "scotch", "000", [*copies, Doc(number(1, MANY), text(2))])
    sign(lake, "the_stack", "000", [Doc(number(0), text(1), "Apache-2.0")])
    sign(lake, "code_search_net", "000", [Doc(number(2), text(1, (30,)))])
    sign(lake, "code_x_glue", "000", [Doc(number(3), text(2))])
    index(lake, families)
    for name, size in zip(INDEXES, (MANY + 1, MANY + 2), strict=True):
        rows = lake.scan(name).collect()
        (kept,) = rows.filter(pl.col("survivor"), pl.col("cluster_size") > 2).rows(named=True)
        assert kept["id"] == number(0)
        assert kept["cluster_size"] == size
        assert kept["licenses"] == ["Apache-2.0", "MIT"]
    assert dropped_ids(lake).height == MANY + 2
    # One copy whose licence is not known holds all of them back, and its end lets them go.
    sign(lake, "code_x_glue", "000", [Doc(number(3), text(1), "NOASSERTION")])
    index(lake, families)
    rows = lake.scan("dedup/exact_index").collect()
    assert rows["action"].value_counts().rows() == [("quarantine", MANY + 2)]
    sign(lake, "code_x_glue", "000", [])
    index(lake, families)
    rows = lake.scan("dedup/exact_index").collect()
    assert rows.filter(action="keep")["id"].to_list() == [number(0)]
