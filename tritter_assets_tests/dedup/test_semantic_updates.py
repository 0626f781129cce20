"""What the semantic index becomes over updates, under a memory limit, and what its curve says."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritter_assets.dedup import removal_curve, semantic, vectors
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.removal_curve import SEMANTIC_CURVE, describe, drawn_clusters, shares
from tritter_assets.dedup.semantic import SemanticSettings, update_semantic_index
from tritter_assets.dedup.vectors import SEMANTIC_EMBEDDINGS
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text, write_filtered

INDEX = "dedup/semantic_index"
CHOSEN = SemanticSettings(epsilon=0.3, documents_per_cluster=8)
FOLDERS = itertools.count()
SHARDS = (("a", "000"), ("a", "001"), ("b", "000"))


def turned(seed: int, run: int) -> str:
    """The words of `text(seed)` in runs, last run first: few 5-grams stay, all words do."""
    found = text(seed).split()
    runs = [found[at : at + run] for at in range(0, len(found), run)]
    return " ".join(word for part in runs[::-1] for word in part)


def documents(seed: int, count: int = 12) -> list[Doc]:
    draw = random.Random(seed)
    return [
        Doc(
            f"{draw.getrandbits(128):032x}",
            turned(draw.randrange(8), draw.choice((2, 3, 4, 60))),
            license=draw.choice(["MIT", "MIT", "Apache-2.0", "GPL-3.0-only"]),
        )
        for _ in range(count)
    ]


def update(lake: Lake, shards: list[tuple[str, str]], mark: str, **options: Any) -> Any:
    inputs = inputs_of(shards, {"a": 2, "b": 1})
    fingerprint = f"{mark:0>15}"
    update_exact_index(lake, inputs, fingerprint=fingerprint)
    update_near_index(lake, inputs, fingerprint=fingerprint)
    settings_ = {"settings": CHOSEN, "fingerprint": fingerprint, **options}
    return update_semantic_index(lake, inputs, **settings_)


def rows(lake: Lake, table: str = INDEX) -> pl.DataFrame:
    return lake.scan(table).collect()


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(0, 50))),
        min_size=2,
        max_size=5,
    )
)
def test_any_sequence_of_updates_gives_the_index_of_a_batch(
    tmp_path: Path, steps: list[tuple[int, int | None]]
) -> None:
    """A step puts documents in a shard's place, or (None) takes the shard out."""
    lake = Lake.at(tmp_path / f"lake{next(FOLDERS)}")
    held: dict[tuple[str, str], int] = {}
    for number, (place, seed) in enumerate(steps):
        if seed is None:
            held.pop(SHARDS[place], None)
        else:
            held[SHARDS[place]] = seed
            sign(lake, *SHARDS[place], documents(seed))
        update(lake, sorted(held), str(number))
    batch = Lake.at(tmp_path / f"lake{next(FOLDERS)}")
    for shard, seed in sorted(held.items()):
        sign(batch, *shard, documents(seed))
    update(batch, sorted(held), "ff")
    for table in (INDEX, SEMANTIC_CURVE):
        assert rows(lake, table).equals(rows(batch, table))
    for one, other in ((lake, batch), (batch, lake)):
        assert vectors_of(one) == vectors_of(other), "no vector outlives its document"


def vectors_of(lake: Lake) -> dict[str, bytes]:
    if not lake.exists(SEMANTIC_EMBEDDINGS):
        return {}
    return dict(rows(lake, SEMANTIC_EMBEDDINGS).select("id", "vector").iter_rows())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.at(tmp_path / "lake")
    for number, shard in enumerate(SHARDS):
        sign(lake, *shard, documents(number, 30))
    return lake


def test_rows_that_lie_in_a_file_give_the_same_index(lake: Lake, tmp_path: Path) -> None:
    update(lake, list(SHARDS), "1")
    held = rows(lake)
    assert held.filter(action="drop").height > 0
    inputs = inputs_of(list(SHARDS), {"a": 2, "b": 1})
    update_semantic_index(lake, inputs, settings=CHOSEN, memory_limit_bytes=1, fingerprint="f" * 15)
    assert rows(lake).equals(held)
    assert list(lake.location.cache_folder(SEMANTIC_EMBEDDINGS).iterdir()) == []
    ids = rows(lake, SEMANTIC_EMBEDDINGS)["id"].unique().sort()
    with vectors.gathered(lake, ids, 1) as in_a_file:
        assert isinstance(in_a_file, np.memmap)
        with vectors.gathered(lake, ids, 1 << 30) as in_memory:
            assert not isinstance(in_memory, np.memmap)
            assert np.array_equal(in_a_file, in_memory)


def test_off_keeps_no_vectors(lake: Lake) -> None:
    update(lake, list(SHARDS), "1")
    assert vectors_of(lake)
    update(lake, list(SHARDS), "2", enabled=False)
    assert vectors_of(lake) == {}
    assert rows(lake).is_empty()
    assert rows(lake, SEMANTIC_CURVE).is_empty()


def test_a_document_that_is_not_filtered_any_more_stops_the_update(lake: Lake) -> None:
    alone = Doc("0" * 32, text(99))
    sign(lake, "b", "000", [alone, *documents(2, 30)])
    write_filtered(lake, "b", "000", documents(2, 30))
    inputs = inputs_of(list(SHARDS))
    with pytest.raises(MissingProvenance, match=r"1 documents have no vector.*signatures again"):
        update_semantic_index(lake, inputs, settings=CHOSEN, fingerprint="1" * 15)


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 0.33, 0.5])
def test_the_curve_says_what_the_index_does(lake: Lake, epsilon: float) -> None:
    chosen = SemanticSettings(epsilon=epsilon, documents_per_cluster=8)
    report = update(lake, list(SHARDS), "1", settings=chosen)
    compared = report.details["documents_compared"]
    curve = rows(lake, SEMANTIC_CURVE)
    at = curve.filter(epsilon=epsilon).row(0, named=True)
    assert at["removed"] == report.num_dropped + report.num_quarantined
    assert at["measured"] == at["compared"] == compared
    assert curve["removed"].is_sorted()
    assert report.details[f"removed_at_{epsilon:g}"] == round(at["removed"] / compared, 4)
    assert str(report.details["share_removed"]).startswith(f"epsilon {epsilon:g} removes")


def test_the_curve_counts_quarantined_documents(lake: Lake) -> None:
    report = update(lake, list(SHARDS), "1")
    assert report.num_quarantined > 0


def test_a_large_corpus_is_measured_on_whole_drawn_clusters() -> None:
    labels = np.random.default_rng(1).integers(0, 40, 4000)
    drawn = drawn_clusters(labels, limit=1000)
    assert 1000 <= sum(len(members) for members in drawn) < 1200
    for members in drawn:
        assert np.array_equal(members, np.flatnonzero(labels == labels[members[0]]))
    assert len(drawn_clusters(labels)) == 40
    again = drawn_clusters(labels, limit=1000)
    assert all(np.array_equal(one, two) for one, two in zip(drawn, again, strict=True))


def curve_of(*points: tuple[float, int]) -> pl.DataFrame:
    columns = {"epsilon": [e for e, _ in points], "removed": [r for _, r in points]}
    return pl.DataFrame(columns).with_columns(measured=pl.lit(100), compared=pl.lit(1000))


@pytest.mark.parametrize(
    ("points", "epsilon", "said"),
    [
        (
            [(0.1, 2), (0.2, 25), (0.3, 48), (0.4, 70)],
            0.1,
            "epsilon 0.1 removes 2.0%, below the 20% to 50% that SemDeDup is expected to remove: "
            "of those measured, 0.2, 0.3 would be within",
        ),
        (
            [(0.1, 2), (0.2, 25)],
            0.2,
            "epsilon 0.2 removes 25.0%, within the 20% to 50% that SemDeDup is expected to remove",
        ),
        (
            [(0.1, 2), (0.2, 60)],
            0.2,
            "epsilon 0.2 removes 60.0%, above the 20% to 50% that SemDeDup is expected to remove: "
            "none of those measured is within; 0.1 removes 2.0%",
        ),
        (
            [(0.1, 0), (0.2, 0)],
            0.1,
            "epsilon 0.1 removes 0.0%, below the 20% to 50% that SemDeDup is expected to remove: "
            "none of those measured is within; 0.2 removes 0.0%",
        ),
    ],
)
def test_the_report_says_whether_the_share_is_usual(
    points: list[tuple[float, int]], epsilon: float, said: str
) -> None:
    assert describe(curve_of(*points), epsilon) == said


def test_nothing_compared_is_no_share() -> None:
    nothing = removal_curve.measure_curve(
        np.zeros((0, 1)), [], np.zeros(0, np.int64), np.zeros(0, np.int64), (0.1,)
    )
    assert shares(nothing) == [(0.1, 0.0)]
    assert semantic.DEFAULT_SETTINGS.epsilon in removal_curve.EPSILONS
