from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tritter_assets.sources.read_ahead import DEPTH, read_ahead


def test_frames_come_in_order():
    assert list(read_ahead(iter(range(1000)))) == list(range(1000))
    assert list(read_ahead(())) == []


def test_an_error_comes_after_the_frames_before_it():
    def frames() -> Iterator[int]:
        yield from range(5)
        raise ValueError("upstream broke")

    reader = read_ahead(frames())
    assert [next(reader) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="upstream broke"):
        next(reader)


def test_a_reader_that_stops_ends_the_thread_and_closes_the_frames():
    drawn, closed = [], []

    def frames() -> Iterator[int]:
        try:
            for number in range(1000):
                drawn.append(number)
                yield number
        finally:
            closed.append(True)

    reader = read_ahead(frames())
    assert [next(reader), next(reader)] == [0, 1]
    reader.close()
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
    # Two were taken, DEPTH may wait, one may be on its way, and closing makes room for some.
    assert len(drawn) <= 2 + 2 * DEPTH + 2
