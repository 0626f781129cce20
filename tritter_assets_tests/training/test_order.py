from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation
from tritter_assets.training.order import SequenceOrder


def _order(num_rows: int, batch_rows: int = 4, seed: int = 0, data: str = "a") -> SequenceOrder:
    return SequenceOrder(data_version=data, seed=seed, num_rows=num_rows, batch_rows=batch_rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(0, 5))
def test_every_epoch_is_a_permutation(num_rows, seed):
    rows = _order(num_rows, seed=seed).rows(0, 3 * num_rows).reshape(3, num_rows)
    assert all(sorted(epoch) == list(range(num_rows)) for epoch in rows.tolist())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 80))
def test_times_read_counts_what_batches_gave(num_rows, batch_rows, steps):
    order = _order(num_rows, batch_rows)
    counted = np.zeros(num_rows, dtype=np.int64)
    for step in range(steps):
        np.add.at(counted, order.batch(step), 1)
    assert order.times_read(np.arange(num_rows), steps).tolist() == counted.tolist()


def test_order_depends_on_data_seed_and_epoch_only():
    first = _order(1000).rows(0, 1000).tolist()
    assert first == _order(1000, batch_rows=7).rows(0, 1000).tolist()
    assert first != _order(1000, seed=1).rows(0, 1000).tolist()
    assert first != _order(1000, data="b").rows(0, 1000).tolist()
    assert first != _order(1000).rows(1000, 2000).tolist()


def test_a_far_step_costs_no_more_than_a_near_one():
    order = _order(10**9, batch_rows=2)
    assert (order.batch(10**12) < 10**9).all()


def test_the_order_is_fixed_for_ever():
    assert _order(10, batch_rows=10).batch(0).tolist() == [7, 8, 0, 9, 5, 6, 4, 3, 2, 1]


def test_an_empty_table_is_refused():
    with pytest.raises(ContractViolation, match="no training rows"):
        _order(0)
