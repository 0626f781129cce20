from __future__ import annotations

import polars as pl
import pytest

from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.index import EXACT_INDEX, INDEX_SCHEMA, ShardInput
from tritter_assets.dedup.survivors import dropped_ids, require_current
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

FINGERPRINT = "a" * 15


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.at(tmp_path)


def rows_of(lake: Lake) -> dict[str, dict]:
    frame = lake.scan(EXACT_INDEX).collect()
    return {row["id"]: row for row in frame.iter_rows(named=True)}


def test_copies_are_clustered_and_the_first_source_keeps_its_copy(lake: Lake) -> None:
    sign(lake, "late", "000", [Doc("1" * 32, "same text here"), Doc("2" * 32, "alone")])
    sign(lake, "early", "000", [Doc("3" * 32, "same text here"), Doc("4" * 32, "SAME\ttext here")])
    inputs = inputs_of([("late", "000"), ("early", "000")], {"early": 1, "late": 2})
    report = update_exact_index(lake, inputs, fingerprint=FINGERPRINT)
    rows = rows_of(lake)
    assert set(rows) == {"1" * 32, "3" * 32, "4" * 32}
    assert set(rows["1" * 32]) == set(INDEX_SCHEMA.names)
    kept, copied, folded = rows["3" * 32], rows["1" * 32], rows["4" * 32]
    assert (kept["action"], kept["survivor"], kept["kept_id"]) == ("keep", True, "3" * 32)
    assert (copied["action"], copied["kept_id"], copied["match"]) == ("drop", "3" * 32, "content")
    assert (folded["action"], folded["match"], folded["score"]) == ("drop", "normalized", 1.0)
    assert {row["cluster_id"] for row in rows.values()} == {"1" * 32}
    assert {row["cluster_size"] for row in rows.values()} == {3}
    assert (report.num_documents, report.num_clusters, report.num_dropped) == (4, 1, 2)
    assert report.dropped_by_source == {"early": 1, "late": 1}


@pytest.mark.parametrize(
    ("licenses", "action"),
    [
        (["MIT", "Apache-2.0"], "drop"),
        (["MIT", "GPL-3.0-only"], "quarantine"),
        (["MIT", "NOASSERTION"], "quarantine"),
        (["GPL-2.0-only", "GPL-3.0-only"], "drop"),
        (["LGPL-2.1-only", "GPL-3.0-only"], "quarantine"),
        (["MIT OR GPL-2.0-only", "BSD-3-Clause"], "drop"),
    ],
)
def test_licences_are_pooled_and_conflicts_quarantined(lake: Lake, licenses, action) -> None:
    docs = [Doc(str(n) * 32, "the same text", lic) for n, lic in enumerate(licenses)]
    sign(lake, "s", "000", docs)
    update_exact_index(lake, inputs_of([("s", "000")]), fingerprint=FINGERPRINT)
    rows = rows_of(lake)
    assert rows["1" * 32]["action"] == action
    assert rows["1" * 32]["licenses"] == sorted(licenses)
    dropped = dropped_ids(lake)
    if action == "quarantine":
        # Not even the permissive copy stays: choosing it would launder the licence.
        assert dropped["id"].to_list() == ["0" * 32, "1" * 32]
        assert set(dropped["reason"]) == {"cluster_license_conflict"}
        assert rows["0" * 32]["kept_id"] is None
    else:
        assert dropped.rows() == [("1" * 32, "exact_duplicate")]


def test_a_document_listed_in_two_shards_is_one_document(lake: Lake) -> None:
    same = Doc("5" * 32, text(1))
    sign(lake, "s", "000", [same])
    sign(lake, "s", "001", [same])
    update_exact_index(lake, inputs_of([("s", "000"), ("s", "001")]), fingerprint=FINGERPRINT)
    assert rows_of(lake) == {}
    assert dropped_ids(lake).is_empty()


def test_a_shard_left_out_leaves_the_index(lake: Lake) -> None:
    sign(lake, "a", "000", [Doc("1" * 32, "same text")])
    sign(lake, "b", "000", [Doc("2" * 32, "same text")])
    both = inputs_of([("a", "000"), ("b", "000")])
    update_exact_index(lake, both, fingerprint=FINGERPRINT)
    assert len(rows_of(lake)) == 2
    update_exact_index(lake, both[:1], fingerprint="b" * 15)
    assert rows_of(lake) == {}


def test_no_inputs_give_an_empty_index(lake: Lake) -> None:
    report = update_exact_index(lake, [], fingerprint=FINGERPRINT)
    assert (report.num_documents, report.num_members) == (0, 0)


def test_missing_signatures_and_stale_indexes_are_refused(lake: Lake) -> None:
    with pytest.raises(MissingProvenance, match="signatures/nowhere"):
        update_exact_index(lake, inputs_of([("nowhere", "000")]), fingerprint=FINGERPRINT)
    with pytest.raises(MissingProvenance, match="never built"):
        require_current(lake, {EXACT_INDEX: FINGERPRINT})
    sign(lake, "s", "000", [])
    twice = [ShardInput(source="s", shard="000", priority=1)] * 2
    with pytest.raises(MissingProvenance, match="twice"):
        update_exact_index(lake, twice, fingerprint=FINGERPRINT)
    update_exact_index(lake, twice[:1], fingerprint=FINGERPRINT)
    require_current(lake, {EXACT_INDEX: FINGERPRINT})
    with pytest.raises(MissingProvenance, match="materialise 'dedup/exact_index' again"):
        require_current(lake, {EXACT_INDEX: "c" * 15})


def test_dropped_ids_of_a_lake_without_indexes_are_none(lake: Lake) -> None:
    assert dropped_ids(lake).schema == {"id": pl.String, "reason": pl.String}
    assert dropped_ids(lake).is_empty()
