from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from tritter_assets.dedup.band_runs import BandRuns, distinct_pairs
from tritter_assets.dedup.sorted_runs import without


def entries(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Few hashes, so that many are shared; they stand at both ends of the range."""
    hashes = generator.integers(0, 60, count).astype(np.uint64) * np.uint64(0x0444444444444444)
    return hashes, generator.integers(-40, 40, count)


def brute_force(parts: list[tuple[np.ndarray, np.ndarray]]) -> set[tuple[int, int]]:
    hashes = np.concatenate([part for part, _ in parts])
    contents = np.concatenate([part for _, part in parts])
    one, two = np.nonzero(hashes[:, None] == hashes[None, :])
    return {(int(a), int(b)) for a, b in zip(contents[one], contents[two], strict=True) if a < b}


def found_by(runs: BandRuns, hashes: np.ndarray, contents: np.ndarray) -> set[tuple[int, int]]:
    """Adds entries as an update does, and returns the pairs that they make."""
    held = list(runs.runs)
    added = runs.add(hashes, contents)
    hashes = runs.keys(added)
    shared = hashes[runs.counts(hashes) > 1]
    found = chain(runs.pairs_within(added), runs.pairs_between(added, held, shared=shared))
    return set(distinct_pairs(found).rows())


@pytest.mark.parametrize("memory_limit_bytes", [1, 1 << 30])
def test_pairs_do_not_depend_on_how_entries_lie_in_runs(tmp_path, memory_limit_bytes: int) -> None:
    generator = np.random.default_rng(5)
    parts = [entries(generator, size) for size in (3000, 50, 1, 700, 60, 55, 70, 2000)]
    step = BandRuns(tmp_path / "step", [], memory_limit_bytes)
    found: set[tuple[int, int]] = set()
    for part in parts:
        found |= found_by(step, *part)
        step.settle()
        step.sweep()
    once = BandRuns(tmp_path / "once", [], memory_limit_bytes)
    once.add_all(parts)
    everything = once.merge(once.runs)
    assert found == brute_force(parts) == set(distinct_pairs(once.pairs_within(everything)).rows())
    assert step.num_entries == once.num_entries == sum(len(hashes) for hashes, _ in parts)
    files = {file.stem for file in (tmp_path / "step").iterdir()}
    assert files == {run.name for run in step.runs}
    assert len(step.runs) < len(parts)


def test_like_runs_are_merged_and_the_dead_left_out(tmp_path) -> None:
    generator = np.random.default_rng(6)
    runs = BandRuns(tmp_path, [], 1 << 20)
    parts = [entries(generator, 100) for _ in range(4)]
    for part in parts:
        runs.add(*part)
    dead = np.arange(-40, 0)
    living = int(sum((contents >= 0).sum() for _, contents in parts))
    assert runs.settle(without(dead)) == living
    assert [run.num_entries for run in runs.runs] == [living]
    again = BandRuns(tmp_path, runs.runs, 1 << 20)
    pairs = set(distinct_pairs(again.pairs_within(again.runs[0])).rows())
    assert pairs == {(a, b) for a, b in brute_force(parts) if a >= 0}


def test_only_pairs_with_a_fresh_content_are_given(tmp_path) -> None:
    runs = BandRuns(tmp_path, [], 1 << 20)
    hashes = np.array([7, 7, 7, 9, 9], dtype=np.uint64)
    run = runs.add(hashes, np.array([1, 2, 3, 1, 4]))
    found = distinct_pairs(runs.pairs_within(run, np.array([3])))
    assert found.rows() == [(1, 3), (2, 3)]
