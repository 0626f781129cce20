from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tritter_assets.dedup import sorted_runs
from tritter_assets.dedup.sorted_runs import (
    Run,
    SortedRuns,
    are_whole,
    without,
    without_keys,
)

FEW_KEYS = np.uint64(0x0444444444444444)


def entries(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Few keys, so that many stand in several entries; they lie at both ends of the range."""
    return generator.integers(0, 60, count).astype(np.uint64) * FEW_KEYS, generator.integers(
        -40, 40, count
    )


def counted(keys: np.ndarray, values: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter(zip(keys.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("memory_limit_bytes", [1, 1 << 30])
@pytest.mark.parametrize("long_entries", [1, 100, 1 << 16])
def test_what_is_found_is_what_was_put_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_limit_bytes: int, long_entries: int
) -> None:
    monkeypatch.setattr(sorted_runs, "_LONG_ENTRIES", long_entries)
    generator = np.random.default_rng(11)
    runs = SortedRuns(tmp_path, [], memory_limit_bytes)
    everything: Counter[tuple[int, int]] = Counter()
    for size in (3000, 1, 50, 700, 60, 55, 70, 0, 2000):
        part = entries(generator, size)
        everything += counted(*part)
        runs.add(*part)
        runs.settle()
        wanted = np.unique(np.arange(0, 60, 7).astype(np.uint64) * FEW_KEYS)
        kept = {k: n for k, n in everything.items() if np.uint64(k[0]) in wanted}
        assert counted(*runs.find(wanted)) == kept
        numbers = runs.counts(wanted).tolist()
        assert numbers == [sum(n for k, n in kept.items() if k[0] == key) for key in wanted]
    # Of runs with a bitmap too, another process finds the same.
    again = SortedRuns(tmp_path, runs.runs, memory_limit_bytes)
    every = np.unique([np.uint64(key) for key, _ in everything])
    assert counted(*again.find(every)) == everything
    absent = every[:-1] + np.uint64(1)
    assert not again.counts(absent).any()
    shared = Counter()
    for part in runs.repeated():
        shared += counted(*part)
    per_key = Counter()
    for (key, _), number in everything.items():
        per_key[key] += number
    assert shared == {k: n for k, n in everything.items() if per_key[k[0]] > 1}


def test_a_run_without_entries_is_looked_up_like_any_other(tmp_path: Path) -> None:
    runs = SortedRuns(tmp_path, [], 1 << 20)
    run = runs.add(np.array([5, 6], dtype=np.uint64), np.array([1, 2]))
    assert runs.merge([run], without(np.array([1, 2]))).num_entries == 0
    keys, values = runs.find(np.array([5], dtype=np.uint64))
    assert len(keys) == len(values) == 0
    assert list(runs.repeated()) == []
    assert are_whole(tmp_path, runs.runs)


def test_merging_leaves_out_what_is_refused_by_value_or_by_key(tmp_path: Path) -> None:
    keys = np.array([1, 2, 3, 4], dtype=np.uint64)
    for number, living in enumerate((without(np.array([20, 30])), without_keys(keys[1:3]))):
        runs = SortedRuns(tmp_path / str(number), [], 1 << 20)
        for _ in range(4):
            runs.add(keys, np.array([10, 20, 30, 40]))
        assert runs.settle(living) == 8
        assert counted(*runs.find(keys)) == {(1, 10): 4, (4, 40): 4}


def test_files_of_runs_that_do_not_count_are_deleted(tmp_path: Path) -> None:
    runs = SortedRuns(tmp_path, [], 1 << 20)
    kept = runs.add(np.array([1], dtype=np.uint64), np.array([1]))
    runs.add(np.array([2], dtype=np.uint64), np.array([2]))
    again = SortedRuns(tmp_path, [kept], 1 << 20)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["00000001.keys", "00000001.values"]
    assert again.add(np.array([3], dtype=np.uint64), np.array([3])).name == "00000002"


def test_runs_are_whole_only_in_their_full_length(tmp_path: Path) -> None:
    runs = SortedRuns(tmp_path, [], 1 << 20)
    run = runs.add(np.arange(5, dtype=np.uint64), np.arange(5))
    assert are_whole(tmp_path, [run])
    assert not are_whole(tmp_path, [run, Run("00000009", 1)])
    assert not are_whole(tmp_path / "nowhere", [run])
    file = tmp_path / f"{run.name}.values"
    file.write_bytes(file.read_bytes()[:-1])
    assert not are_whole(tmp_path, [run])
