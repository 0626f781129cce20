from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tritter_assets.sources.throttle import Throttle, retry_after_seconds


async def _turns(throttle: Throttle, count: int, *, slow: frozenset[int] = frozenset()) -> int:
    """Takes turns as fast as they come; returns the most that were under way together."""
    under_way, most = 0, 0

    async def one(number: int) -> None:
        nonlocal under_way, most
        generation = await throttle.enter()
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        throttle.leave()
        if number in slow:
            throttle.slow_down(generation, 0.0)
        else:
            throttle.succeeded()

    await asyncio.gather(*(one(number) for number in range(count)))
    return most


def test_many_refusals_of_one_moment_count_once_and_success_raises_the_limit_again() -> None:
    async def main() -> None:
        throttle = Throttle(16, 1.0)
        assert await _turns(throttle, 16, slow=frozenset(range(16))) == 16
        assert throttle.lowest == 12
        assert await _turns(throttle, 12) == 12
        assert await _turns(throttle, 200) == 16

    asyncio.run(main())


def test_the_limit_never_falls_below_one_and_waiting_turns_all_come() -> None:
    async def main() -> None:
        throttle = Throttle(4, 1.0)
        for _ in range(40):
            throttle.slow_down(await throttle.enter(), 0.0)
            throttle.leave()
        assert throttle.lowest == 1
        assert await _turns(throttle, 1) == 1
        assert await _turns(throttle, 50) <= 4

    asyncio.run(main())


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3.0), (None, 0.0), ("soon", 0.0), ("", 0.0), ("-1", 0.0)]
)
def test_retry_after_in_seconds(value: str | None, seconds: float) -> None:
    assert retry_after_seconds(value) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after_seconds(later) <= 31
    assert retry_after_seconds("Mon, 01 Jan 2001 00:00:00 GMT") == 0.0
