"""How many requests may be on their way: fewer when the server asks for less, then more again.

Additive increase, multiplicative decrease: an answer that says "slow down" takes a quarter off the
limit, once for all requests that were on their way together; as many good answers as the limit
raise it by four. By arithmetic one such answer in a thousand leaves about 120 on their way, one in
ten about 12. A server's Retry-After holds back every new request until it has passed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from email.utils import parsedate_to_datetime
from time import time

_LOWER = 0.75
_RAISE = 4.0


class Throttle:
    """The limit on concurrent requests; it belongs to the event loop's thread."""

    def __init__(self, most: int, max_pause_seconds: float) -> None:
        self.most = most
        self.lowest = most
        """The least the limit has been, for reports."""
        self._limit = float(most)
        self._max_pause = max_pause_seconds
        self._active = 0
        self._generation = 0
        self._not_before = 0.0
        self._queue: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> int:
        """Waits for a turn; returns the generation to give to `slow_down`."""
        while self._active >= int(self._limit):
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            await turn
        self._active += 1
        if self._not_before:
            wait = self._not_before - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
        return self._generation

    def leave(self) -> None:
        """Ends a turn."""
        self._active -= 1
        self._wake()

    def succeeded(self) -> None:
        """Raises the limit a little."""
        if self._limit < self.most:
            self._limit = min(float(self.most), self._limit + _RAISE / self._limit)
            self._wake()

    def slow_down(self, generation: int, retry_after: float) -> None:
        """Lowers the limit, unless another request of the same generation did."""
        if retry_after:
            until = asyncio.get_running_loop().time() + min(retry_after, self._max_pause)
            self._not_before = max(self._not_before, until)
        if generation == self._generation:
            self._generation += 1
            self._limit = max(1.0, self._limit * _LOWER)
            self.lowest = min(self.lowest, int(self._limit))

    def _wake(self) -> None:
        free = int(self._limit) - self._active
        while free > 0 and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


def retry_after_seconds(value: str | None) -> float:
    """Reads a Retry-After header: seconds, or a date; 0 when there is none that can be read."""
    text = (value or "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return 0.0
