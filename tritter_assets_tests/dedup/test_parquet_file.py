from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.parquet_file import find_duplicates
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text


def test_a_file_gives_the_clusters_of_the_index(tmp_path) -> None:
    docs = [Doc(f"{n:032x}", text(n % 5, edits=(n,) if n % 3 else ())) for n in range(30)]
    frame = pl.DataFrame({"id": [d.id for d in docs], "content": [d.content for d in docs]})
    frame.write_parquet(tmp_path / "docs.parquet")
    found = find_duplicates(tmp_path / "docs.parquet")
    lake = Lake.at(tmp_path / "lake")
    sign(lake, "s", "000", [Doc(d.id, d.content, path="p") for d in docs])
    update_near_index(lake, inputs_of([("s", "000")]), fingerprint="a" * 15)
    columns = ["id", "cluster_id", "cluster_size", "survivor", "kept_id", "score", "action"]
    index = lake.scan("dedup/near_index").select(columns).collect()
    assert found.clusters.select(columns).equals(index)
    pairs = lake.scan("dedup/near_pairs").select("id_a", "id_b", "jaccard").collect()
    assert found.pairs.equals(pairs)
    assert found.num_documents == 30
    assert found.content_bytes == sum(len(d.content) for d in docs)
    assert found.dropped_ids == index.filter(action="drop")["id"].sort().to_list()


def test_files_that_cannot_be_read_so_are_refused(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"id": ["1"], "text": ["a"]}).write_parquet(path)
    with pytest.raises(ContractViolation, match="id and content are needed"):
        find_duplicates(path)
    pl.DataFrame({"id": ["1", "1"], "content": ["a", "b"]}).write_parquet(path)
    with pytest.raises(ContractViolation, match=r"rows 0 and 1 share the id '1'"):
        find_duplicates(path)
    pl.DataFrame({"id": ["1", None], "content": ["a", "b"]}).write_parquet(path)
    with pytest.raises(ContractViolation, match="row 1 has no id"):
        find_duplicates(path)
    pl.DataFrame({"id": [0.5], "content": ["a"]}).write_parquet(path)
    with pytest.raises(ContractViolation, match="id is of type double"):
        find_duplicates(path)
    pl.DataFrame(schema={"id": pl.String, "content": pl.String}).write_parquet(path)
    with pytest.raises(ContractViolation, match="no rows"):
        find_duplicates(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContractViolation, match=r"holds no \*\.parquet"):
        find_duplicates(tmp_path / "empty")


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0, float("nan")])
def test_a_threshold_that_is_no_similarity_says_which_are(tmp_path, threshold: float) -> None:
    with pytest.raises(ContractViolation, match=r"between 0\.03 and 1"):
        find_duplicates(tmp_path / "x.parquet", threshold=threshold)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_folder_is_read_as_one_file_whatever_the_types_of_text(tmp_path, workers: int) -> None:
    contents = [text(n % 40, edits=(n,) if n % 3 else ()) for n in range(1500)]
    ids = [f"{n:04d}" for n in range(1500)]
    pq.write_table(pa.table({"id": ids, "content": contents}), tmp_path / "whole.parquet")
    expected = find_duplicates(tmp_path / "whole.parquet")
    folder = tmp_path / "parts"
    folder.mkdir()
    kinds = (pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string())
    for number, kind in enumerate(kinds):
        part = slice(500 * number, 500 * number + 500)
        table = pa.table({"id": ids[part], "content": pa.array(contents[part]).cast(kind)})
        pq.write_table(table, folder / f"{number}.parquet")
    found = find_duplicates(folder, workers=workers, memory_limit_bytes=200_000)
    assert found.pairs.height > 1000
    assert found.pairs.equals(expected.pairs)
    assert found.clusters.drop("source").equals(expected.clusters.drop("source"))


def test_a_crowd_is_compared_with_its_first_documents_as_in_the_index(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    docs = [Doc(f"{n:032x}", text(1, edits=(n,), count=400), path="p") for n in range(300)]
    frame = pl.DataFrame({"id": [d.id for d in docs], "content": [d.content for d in docs]})
    frame.write_parquet(path)
    found = find_duplicates(path, workers=2)
    assert found.dropped_ids == [doc.id for doc in docs[1:]]
    assert found.pairs.height < 300 * 299 // 4
    lake = Lake.at(tmp_path / "lake")
    sign(lake, "s", "000", docs)
    update_near_index(lake, inputs_of([("s", "000")]), fingerprint="a" * 15)
    pairs = lake.scan("dedup/near_pairs").select("id_a", "id_b", "jaccard").collect()
    assert found.pairs.equals(pairs)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.csv", b"id,content\n1,a\n", r"polars\.read_csv"),
        ("x.jsonl", b'{"id": 1, "content": "a"}\n', r"polars\.read_ndjson"),
        ("x.parquet", b"", "0 bytes"),
        ("x.parquet", None, "cut short"),
    ],
)
def test_other_formats_and_broken_files_say_the_way_out(tmp_path, name, data, message) -> None:
    path = tmp_path / name
    pl.DataFrame({"id": ["1"], "content": ["a"]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20] if data is None else data)
    with pytest.raises(ContractViolation, match=message):
        find_duplicates(path)


def test_content_that_is_no_text_is_refused(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"id": ["1"], "content": [["a"]]}).write_parquet(path)
    with pytest.raises(ContractViolation, match=r"content is of type \w*list"):
        find_duplicates(path)


@pytest.mark.parametrize(("threshold", "pairs"), [(0.7, 2), (0.85, 1)])
def test_pairs_carry_their_score_and_reach_the_threshold(tmp_path, threshold, pairs) -> None:
    path = tmp_path / "x.parquet"
    contents = [text(1), text(1, edits=(30,)), text(2, count=60), text(2, edits=(0,), count=60)]
    pl.DataFrame({"id": list("abcd"), "content": contents}).write_parquet(path)
    found = find_duplicates(path, threshold=threshold).pairs
    # 56 shingles: an edit inside changes 5 of them, one at the end changes 1.
    exact = {("a", "b"): 51 / 61, ("c", "d"): 55 / 57}
    assert found.height == pairs
    for id_a, id_b, jaccard in found.select("id_a", "id_b", "jaccard").iter_rows():
        assert jaccard == pytest.approx(exact[id_a, id_b])


def test_numeric_ids_and_null_content(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    contents = [None, text(1), text(1, edits=(4,))]
    pl.DataFrame({"id": [3, 2, 1], "content": contents}).write_parquet(path)
    assert find_duplicates(path).dropped_ids == ["2"]
