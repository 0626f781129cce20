from __future__ import annotations

import dataclasses
from itertools import pairwise

import polars as pl
import pytest

from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.source import HubOrigin
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.mixes.gate import admitted_rows
from tritter_assets.packing.heldout import is_heldout
from tritter_assets.sources.upstream import MAIN, Observation, UpstreamFacts, record
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.mixes.lake_of_rows import (
    catalog_of,
    cluster_row,
    code,
    document,
    request_removal,
    write_derived,
    write_filtered,
    write_indexes,
)
from tritter_assets_tests.sources.builders import contract_of

CATALOG = catalog_of({"a": (), "b": ()})


def test_admitted_rows_carry_obligations_and_their_group(lake: Lake) -> None:
    rows = code("a", 3)
    write_filtered(lake, rows)
    write_indexes(lake)
    found = admitted_rows(lake, ["filtered/a"], catalog=CATALOG)
    assert found.rows["id"].to_list() == sorted(row["id"] for row in rows)
    assert found.rows["group_id"].to_list() == found.rows["id"].to_list()
    assert found.rows["obligations"].to_list() == [["attribution"]] * 3
    assert found.excluded.is_empty()


def test_a_refused_licence_is_held_back_with_its_reason(lake: Lake) -> None:
    write_filtered(lake, [*code("a", 2), *code("a", 1, start=9, license_concluded="GPL-3.0-only")])
    write_indexes(lake)
    found = admitted_rows(lake, ["filtered/a"], catalog=CATALOG)
    assert found.rows.height == 2
    assert found.excluded_by_reason() == {"license_not_admitted": 1}


def test_a_row_without_a_final_keep_raises(lake: Lake) -> None:
    rows = code("a", 3)
    write_filtered(lake, rows, unproved=[rows[0]["id"]])
    write_indexes(lake)
    with pytest.raises(MissingProvenance, match="no terminal 'keep'"):
        admitted_rows(lake, ["filtered/a"], catalog=CATALOG)


def test_without_duplicate_indexes_nothing_passes(lake: Lake) -> None:
    write_filtered(lake, code("a", 1))
    with pytest.raises(MissingProvenance, match="dedup/exact_index"):
        admitted_rows(lake, ["filtered/a"], catalog=CATALOG)


def test_duplicates_are_held_back_and_survivors_know_their_cluster(lake: Lake) -> None:
    first, second, third = code("a", 3)
    write_filtered(lake, [first, second, third])
    write_indexes(
        lake,
        [
            cluster_row(first, "cluster", kept_id=first["id"]),
            cluster_row(second, "cluster", kept_id=first["id"]),
        ],
    )
    found = admitted_rows(lake, ["filtered/a"], catalog=CATALOG)
    groups = dict(found.rows.select("id", "group_id").iter_rows())
    assert groups == {first["id"]: "cluster", third["id"]: third["id"]}
    assert found.excluded_by_reason() == {"near_duplicate": 1}


def test_a_removal_holds_back_the_row_and_all_its_descendants(lake: Lake) -> None:
    parent, other = code("a", 2)
    function = document("a", "f", "def f(): ...", derived_from=[parent["id"]])
    child = document("a", "g", "explain f", derived_from=[function["id"]], modality="text")
    kept = document("a", "h", "explain other", derived_from=[other["id"]], modality="text")
    write_filtered(lake, [parent, other])
    write_derived(lake, "functions/python", [function])
    write_derived(lake, "synthetic/notes", [child, kept])
    write_indexes(lake)
    tables = ["functions/python", "synthetic/notes"]
    before = admitted_rows(lake, tables, catalog=CATALOG)
    assert before.rows.height == 3
    assert set(before.rows["group_id"]) == {parent["id"], other["id"]}
    request_removal(lake, "id", parent["id"])
    after = admitted_rows(lake, tables, catalog=CATALOG)
    assert after.rows["id"].to_list() == [kept["id"]]
    assert after.excluded_by_reason() == {"parent_not_admitted": 1, "removal_requested": 1}


def test_a_row_of_several_parents_is_held_out_with_any_of_them(lake: Lake) -> None:
    parents = code("a", 60)
    held = is_heldout(pl.Series([row["id"] for row in parents]))
    assert 0 < held.sum() < len(parents)
    pairs = [
        document("a", f"pair {n}", f"of {n}", derived_from=[one["id"], other["id"]])
        for n, (one, other) in enumerate(pairwise(parents))
    ]
    write_filtered(lake, parents)
    write_derived(lake, "functions/interop", pairs)
    write_indexes(lake)
    found = admitted_rows(lake, ["functions/interop"], catalog=CATALOG).rows.sort("path")
    either = held[:-1] | held[1:]
    expected = {row["id"]: flag for row, flag in zip(pairs, either, strict=True)}
    assert dict(zip(found["id"], is_heldout(found["group_id"]), strict=True)) == expected


def test_a_derived_row_that_names_no_parent_raises(lake: Lake) -> None:
    write_filtered(lake, code("a", 1))
    write_derived(lake, "synthetic/notes", [document("a", "g", "text")])
    write_indexes(lake)
    with pytest.raises(MissingProvenance, match="derived from"):
        admitted_rows(lake, ["synthetic/notes"], catalog=CATALOG)


def test_rows_of_a_source_that_left_the_profile_are_held_back(lake: Lake) -> None:
    write_filtered(lake, code("a", 2))
    write_indexes(lake)
    found = admitted_rows(lake, ["filtered/a"], catalog=catalog_of({"b": ()}))
    assert found.rows.is_empty()
    assert found.excluded_by_reason() == {"source_not_active": 2}


def test_a_source_whose_licence_changed_upstream_is_held_back_with_all_made_from_it(
    lake: Lake,
) -> None:
    contract = contract_of(HubOrigin(repo="org/data", revision="a" * 40), id="a")
    catalog = catalog_of({"a": (), "b": ()})
    others = [other for other in catalog.active_sources() if other.id != "a"]
    catalog.active_sources = lambda: (contract, *others)
    catalog.policy = load_policy(REPOSITORY / "data_contracts" / "policy")
    rows = [*code("a", 2), *code("b", 1)]
    write_filtered(lake, rows)
    function = document("a", "f", "def f(): ...", derived_from=[rows[0]["id"]])
    write_derived(lake, "functions/python", [function])
    write_indexes(lake)
    tables = ["filtered/a", "filtered/b", "functions/python"]
    facts = UpstreamFacts(revision="a" * 40, license_tag="mit", gate="none")
    record(lake, "a", "a" * 40, Observation("a" * 40, "2026-11-01T00:00:00Z", facts))
    assert admitted_rows(lake, tables, catalog=catalog).rows.height == 4
    moved = dataclasses.replace(facts, revision="b" * 40, license_tag="cc-by-nc-4.0")
    record(lake, "a", MAIN, Observation(MAIN, "2026-11-02T00:00:00Z", moved))
    found = admitted_rows(lake, tables, catalog=catalog)
    assert found.rows["source"].to_list() == ["b"]
    ((reason, number),) = found.excluded_by_reason().items()
    assert number == 3
    assert reason.startswith("upstream_drift of a (licence tag): look at upstream")
    assert "tritter pin a --write --accept" in reason
