from __future__ import annotations

import pytest

from tritter_assets.dedup.signatures import SIGNATURE_SCHEMA, code_version, sign_shard
from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, sign, text, write_filtered


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.at(tmp_path)


def test_a_shard_is_signed_in_the_order_of_its_rows(lake: Lake) -> None:
    docs = [Doc(f"{n:032x}", text(n)) for n in range(5)] + [Doc("f" * 32, "")]
    write_filtered(lake, "s", "000", docs)
    report = sign_shard(lake, "s", "000", fingerprint="0" * 15)
    assert report.num_documents == 6
    assert report.content_bytes == sum(len(doc.content) for doc in docs)
    rows = lake.scan("signatures/s").collect()
    assert set(rows.columns) == set(SIGNATURE_SCHEMA.names)
    assert rows["id"].to_list() == [doc.id for doc in docs]
    assert rows["num_shingles"].to_list() == [56] * 5 + [1]
    assert {len(value) for value in rows["minhash"]} == {1024}
    assert report.num_shingles == 5 * 56 + 1


def test_signatures_do_not_depend_on_workers(lake: Lake) -> None:
    write_filtered(lake, "s", "000", [Doc(f"{n:032x}", text(n)) for n in range(2500)])
    one = sign_shard(lake, "s", "000", fingerprint="0" * 15)
    four = sign_shard(lake, "s", "000", fingerprint="1" * 15, workers=4)
    assert one.data_version == four.data_version


def test_case_and_white_space_change_only_the_content_digest(lake: Lake) -> None:
    sign(lake, "s", "000", [Doc("a" * 32, "Def  F():\n\tpass"), Doc("b" * 32, "def f(): pass\n")])
    rows = lake.scan("signatures/s").collect()
    assert rows["content_sha256"].n_unique() == 2
    assert rows["normalized_sha256"].n_unique() == 1


def test_an_empty_shard_is_signed_empty(lake: Lake) -> None:
    sign(lake, "s", "000", [])
    assert lake.state("signatures/s", {"shard": "000"}).num_rows == 0


def test_a_missing_input_names_the_asset(lake: Lake) -> None:
    with pytest.raises(LakeCorruption, match="filtered/s"):
        sign_shard(lake, "s", "000", fingerprint="0" * 15)
    assert code_version().startswith("1.")
