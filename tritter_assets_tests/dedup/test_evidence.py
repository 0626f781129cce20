from __future__ import annotations

import polars as pl

from tritter_assets.dedup.evidence import verified_mates
from tritter_assets.dedup.near import update_near_index
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text


def test_mates_are_verified_and_copies_have_those_of_their_content(tmp_path) -> None:
    lake = Lake.at(tmp_path)
    assert verified_mates(lake, pl.Series(["1" * 32])).is_empty()
    a, b, c = text(1), text(1, edits=(20,)), text(1, edits=(20, 45))
    docs = [Doc("1" * 32, a), Doc("2" * 32, b), Doc("3" * 32, c), Doc("4" * 32, a.upper())]
    sign(lake, "s", "000", [*docs, Doc("5" * 32, text(5)), Doc("6" * 32, text(5))])
    update_near_index(lake, inputs_of([("s", "000")]), fingerprint="a" * 15)

    def mates(number: str) -> str:
        found = verified_mates(lake, pl.Series([number * 32]))
        return "".join(identity[0] for identity in found["id"])

    assert {number: mates(number) for number in "123456"} == {
        "1": "24",
        "2": "134",
        "3": "2",  # not 1: the two share a cluster through 2 alone
        "4": "12",
        "5": "6",
        "6": "5",
    }
    both = verified_mates(lake, pl.Series(["1" * 32, "3" * 32]))
    assert both.filter(id="2" * 32)["of"].to_list() == ["1" * 32, "3" * 32]
