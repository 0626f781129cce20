from __future__ import annotations

import polars as pl

from tritter_assets.packing.heldout import is_heldout, split_of


def test_about_a_twentieth_of_the_groups_is_held_out() -> None:
    held = is_heldout(pl.Series([f"group {number}" for number in range(20_000)]))
    assert 0.045 < held.mean() < 0.055


def test_members_of_a_group_stay_together() -> None:
    splits = split_of(pl.Series(["a", "b", "c", "a", "b", "c"] * 3))
    assert splits[:3].to_list() * 6 == splits.to_list()


def test_a_small_mix_still_gives_up_one_group() -> None:
    groups = pl.Series([f"g{number}" for number in range(5)])
    assert (split_of(groups) == "heldout").sum() == 1
    assert split_of(groups.head(1)).to_list() == ["train"]
