"""Candidates and exact similarities against plain Python."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from tritter_assets.dedup.bands import BandLayout, candidate_pairs
from tritter_assets.dedup.text_arrays import ShingleSets
from tritter_assets.dedup.verify import exact_jaccard

LAYOUT = BandLayout(num_bands=6, rows_per_band=6, threshold=0.7)


def plain_pairs(keys: np.ndarray, sizes: np.ndarray, crowd: int, hubs: int) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for band in keys.T.tolist():
        buckets: dict[int, list[int]] = defaultdict(list)
        for document, key in enumerate(band):
            buckets[key].append(document)
        for members in buckets.values():
            several = combinations(members, 2)
            few = set(members[:hubs]) if len(members) > crowd else set(members)
            found.update(pair for pair in several if pair[0] in few)
    return {
        (one, two)
        for one, two in found
        if min(sizes[one], sizes[two]) >= 0.7 * max(sizes[one], sizes[two])
    }


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(("crowd", "num_keys"), [(None, 40), (128, 3), (128, 60), (40, 9)])
def test_candidates_are_those_of_the_buckets(crowd, num_keys: int, workers: int) -> None:
    generator = np.random.default_rng(num_keys)
    keys = generator.integers(0, num_keys, (500, 6)) * np.int64(0x9E3779B97F4A7C1)
    sizes = generator.integers(50, 100, 500)
    left, right = candidate_pairs(keys, sizes, LAYOUT, crowd=crowd, workers=workers)
    expected = plain_pairs(keys, sizes, 500 if crowd is None else crowd, 32)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == expected
    assert len(left) == len(expected)
    assert (np.diff(right) >= 0).all()


def test_more_pairs_than_are_held_at_once() -> None:
    keys = np.zeros((700, 6), dtype=np.int64)
    left, right = candidate_pairs(keys, np.ones(700), LAYOUT, crowd=None)
    assert len({*zip(left.tolist(), right.tolist(), strict=True)}) == len(left) == 700 * 699 // 2


def test_no_documents_have_no_candidates() -> None:
    left, right = candidate_pairs(np.empty((0, 6), dtype=np.int64), np.empty(0), LAYOUT)
    assert len(left) == len(right) == 0


@pytest.mark.parametrize(("num_sets", "largest"), [(80, 40), (60, 9_000)])
@pytest.mark.parametrize("workers", [1, 2])
def test_similarities_are_those_of_the_plain_sets(num_sets, largest, workers: int) -> None:
    # 60 sets of up to 9,000 fill several windows of one component.
    generator = np.random.default_rng(largest)
    pool = generator.integers(1, 1 << 63, largest * 3 // 2, dtype=np.uint64)
    parts = [
        generator.choice(pool, generator.integers(1, largest), replace=False)
        for _ in range(num_sets)
    ]
    sets = ShingleSets(np.cumsum([0, *map(len, parts)]), np.concatenate(parts))
    pairs = np.array(list(combinations(range(num_sets), 2)))
    pairs = generator.permutation(pairs)[: 10 * num_sets]
    plain = [set(part.tolist()) for part in parts]
    expected = [
        len(plain[one] & plain[two]) / len(plain[one] | plain[two]) for one, two in pairs.tolist()
    ]
    found = exact_jaccard(sets, pairs[:, 0], pairs[:, 1], workers=workers)
    assert found.tolist() == expected
