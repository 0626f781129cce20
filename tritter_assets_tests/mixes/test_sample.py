from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.mixes.sample import Draw, calibrate, salt_of, sample_hash

_IDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=60, unique=True)


def _pool(ids: list[str]) -> tuple[pl.Series, pl.Series]:
    tokens = pl.Series([1 + (len(doc_id) * 7919) % 50 for doc_id in ids], dtype=pl.Int64)
    return sample_hash(pl.Series(ids, dtype=pl.String), salt_of("test")), tokens


def test_hashes_are_the_same_on_every_machine() -> None:
    found = sample_hash(pl.Series(["a", "b"]), salt_of("draw", "phase1_base", 1))
    assert found.to_list() == [1884877416406741287, 16037417436719443311]


@given(ids=_IDS, wanted=st.integers(0, 4000), more=st.integers(0, 4000))
@settings(max_examples=100, deadline=None)
def test_a_row_that_is_in_stays_in_when_more_is_wanted(
    ids: list[str], wanted: int, more: int
) -> None:
    hashes, tokens = _pool(ids)
    less = calibrate(hashes, tokens, wanted).epochs(hashes)
    greater = calibrate(hashes, tokens, wanted + more).epochs(hashes)
    assert (greater >= less).all()


@given(ids=_IDS, extra=_IDS, threshold=st.integers(0, (1 << 64) - 1))
@settings(max_examples=100, deadline=None)
def test_new_rows_change_nothing_for_the_others_at_one_rate(
    ids: list[str], extra: list[str], threshold: int
) -> None:
    draw = Draw(repeats=1, threshold=threshold)
    before = draw.epochs(_pool(ids)[0]).to_list()
    after = draw.epochs(_pool(ids + extra)[0]).to_list()
    assert after[: len(ids)] == before


@given(ids=_IDS, wanted=st.integers(1, 4000))
@settings(max_examples=100, deadline=None)
def test_order_does_not_matter_and_the_total_is_near(ids: list[str], wanted: int) -> None:
    hashes, tokens = _pool(ids)
    epochs = calibrate(hashes, tokens, wanted).epochs(hashes)
    backwards = calibrate(hashes.reverse(), tokens.reverse(), wanted).epochs(hashes.reverse())
    assert backwards.reverse().to_list() == epochs.to_list()
    assert abs(int((epochs * tokens).sum()) - wanted) <= int(str(tokens.max()))


def test_a_pool_that_is_too_small_is_repeated_evenly() -> None:
    hashes, tokens = _pool([f"d{number}" for number in range(200)])
    total = int(tokens.sum())
    epochs = calibrate(hashes, tokens, int(total * 2.5)).epochs(hashes)
    assert set(epochs) == {2, 3}
    assert abs((epochs == 3).mean() - 0.5) < 0.1


def test_an_empty_pool_gives_nothing() -> None:
    hashes, tokens = _pool(["a"])
    assert calibrate(hashes.clear(), tokens.clear(), 10).epochs(hashes.clear()).is_empty()
    assert calibrate(hashes, tokens, 0).epochs(hashes).to_list() == [0]
