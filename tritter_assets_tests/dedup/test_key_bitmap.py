from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tritter_assets.dedup.key_bitmap import KeyBitmap


def random_keys(seed: int, count: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64))


@pytest.mark.parametrize("count", [1, 3, 70_000])
@pytest.mark.parametrize("parts", [1, 7])
def test_no_key_that_is_there_is_ruled_out_and_most_others_are(
    tmp_path: Path, count: int, parts: int
) -> None:
    there = random_keys(3, count)
    there[0], there[-1] = 0, (1 << 64) - 1  # both ends
    bitmap = KeyBitmap.create(tmp_path / "bits", count)
    for some in np.array_split(there, parts):  # a byte may be shared by two of them
        bitmap.mark(some)
    bitmap.flush()
    loaded = KeyBitmap.load(tmp_path / "bits")
    assert loaded is not None
    assert len(loaded.possible(there)) == count
    elsewhere = random_keys(4, 10_000)
    assert len(loaded.possible(elsewhere)) < 10_000 / (4 if count > 3 else 1)


def test_there_may_be_no_bitmap(tmp_path: Path) -> None:
    assert KeyBitmap.load(tmp_path / "bits") is None
