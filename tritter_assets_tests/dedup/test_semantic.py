from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tritter_assets.dedup import kmeans
from tritter_assets.dedup.embeddings import embed_lexical, embedder
from tritter_assets.dedup.kmeans import close_pairs, cluster
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.semantic import SemanticSettings, code_version, update_semantic_index
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

FINGERPRINT = "a" * 15
INDEX = "dedup/semantic_index"


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.at(tmp_path)


def shuffled(seed: int) -> str:
    """The words of `text(seed)` in another order, in runs of four: no 5-gram stays."""
    found = text(seed).split()
    runs = [found[i : i + 4] for i in range(0, len(found), 4)]
    return " ".join(word for run in runs[::-1] for word in run)


def test_off_writes_an_empty_index_that_says_why(lake: Lake) -> None:
    sign(lake, "s", "000", [Doc("1" * 32, text(1)), Doc("2" * 32, text(1))])
    report = update_semantic_index(
        lake, inputs_of([("s", "000")]), enabled=False, fingerprint=FINGERPRINT
    )
    assert (report.num_documents, report.num_members) == (2, 0)
    assert lake.state(INDEX).num_rows == 0
    assert "off in the profile" in lake.history(INDEX)[0]["tritter"]


def test_same_words_in_another_order_fall_and_the_result_repeats(lake: Lake) -> None:
    docs = [Doc(f"{n:032x}", text(n)) for n in range(20)]
    docs.append(Doc("f" * 32, shuffled(3)))
    sign(lake, "s", "000", docs)
    inputs = inputs_of([("s", "000")])
    assert update_near_index(lake, inputs, fingerprint=FINGERPRINT).num_dropped == 0
    chosen = SemanticSettings(epsilon=0.25, documents_per_cluster=50)
    first = update_semantic_index(lake, inputs, settings=chosen, fingerprint=FINGERPRINT)
    rows = lake.scan(INDEX).collect()
    assert rows.filter(action="drop").select("id", "kept_id", "reason").rows() == [
        ("f" * 32, f"{3:032x}", "semantic_duplicate")
    ]
    again = update_semantic_index(lake, inputs, settings=chosen, fingerprint=FINGERPRINT)
    assert (first.details["shards_embedded"], again.details["shards_embedded"]) == (1, 0)
    assert lake.scan(INDEX).collect().equals(rows)


def test_documents_that_near_drops_take_no_part(lake: Lake) -> None:
    sign(lake, "s", "000", [Doc("1" * 32, text(1)), Doc("2" * 32, text(1, edits=(30,)))])
    inputs = inputs_of([("s", "000")])
    update_near_index(lake, inputs, fingerprint=FINGERPRINT)
    report = update_semantic_index(lake, inputs, fingerprint=FINGERPRINT)
    assert (report.details["documents_compared"], report.num_members) == (1, 0)


def test_an_embedding_can_be_plugged_in(lake: Lake) -> None:
    def by_first_word(content: pa.Array) -> np.ndarray:
        rows = np.zeros((len(content), 4), dtype=np.float32)
        for row, value in zip(rows, content.to_pylist(), strict=True):
            row[int(value[1]) % 4] = 1.0
        return rows

    sign(lake, "s", "000", [Doc(str(n) * 32, text(n)) for n in range(6)])
    settings = SemanticSettings(embedding="mine", documents_per_cluster=2)
    inputs = inputs_of([("s", "000")])
    report = update_semantic_index(
        lake, inputs, settings=settings, embed=by_first_word, fingerprint=FINGERPRINT
    )
    assert report.num_dropped == 2  # 4 is 0 again, 5 is 1 again
    with pytest.raises(ContractViolation, match="neither 'lexical', 'minilm' nor a folder"):
        embedder("mine")


def test_the_lexical_embedding_follows_vocabulary() -> None:
    rows = embed_lexical(pa.array([text(1), shuffled(1), text(2), ""], pa.large_string()))
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    assert rows[0] @ rows[1] > 0.7
    assert abs(rows[0] @ rows[2]) < 0.3


def test_k_means_separates_what_is_apart() -> None:
    generator = np.random.default_rng(0)
    centres = np.eye(4, 16, dtype=np.float32)
    rows = np.repeat(centres, 25, axis=0) + generator.normal(0, 0.02, (100, 16)).astype("f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = cluster(rows, 4, 5)
    assert [len(set(labels[i : i + 25])) for i in range(0, 100, 25)] == [1, 1, 1, 1]
    left, right, cosine = close_pairs(rows, labels, 0.9)
    assert len(left) == 4 * 25 * 24 // 2
    assert (left < right).all()
    assert (cosine >= 0.9).all()


def test_many_clusters_are_cut_in_two_levels(monkeypatch) -> None:
    generator = np.random.default_rng(0)
    centres = np.eye(40, 64, dtype=np.float32)
    rows = np.repeat(centres, 10, axis=0) + generator.normal(0, 0.01, (400, 64)).astype("f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    monkeypatch.setattr(kmeans, "_FLAT_CLUSTERS", 20)
    labels = cluster(rows, 40, 5)
    assert 30 <= len(set(labels)) <= 50
    assert np.array_equal(labels, cluster(rows, 40, 5))
    left, _, _ = close_pairs(rows, labels, 0.9)
    assert len(left) == 40 * 10 * 9 // 2, "no group of close rows is parted"
    for members in kmeans.members_of(labels):
        assert len(set(labels[members])) == 1


def test_versions_follow_the_settings() -> None:
    assert code_version(False) != code_version(True)
    assert code_version(True) != code_version(True, SemanticSettings(epsilon=0.1))
