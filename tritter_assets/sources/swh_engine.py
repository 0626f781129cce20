"""The event loop's side of fetching blobs: connections, retries and room for what waits."""

from __future__ import annotations

import asyncio
import heapq
import random
import ssl
from collections.abc import Callable
from itertools import count

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.http_connection import (
    Answer,
    BrokenConnection,
    HttpConnection,
    connect,
)
from tritter_assets.sources.loader import SkipReason
from tritter_assets.sources.s3_request import Bucket, RequestMaker
from tritter_assets.sources.swh_store import AskAgain, BlobStore, read_answer
from tritter_assets.sources.throttle import Throttle, retry_after_seconds

Result = bytes | SkipReason | Exception
_WATCH_SECONDS = 1.0


class Engine:
    """Fetches numbered blobs; every method belongs to the event loop's thread."""

    def __init__(
        self,
        store: BlobStore,
        bucket: Bucket,
        max_body: int,
        publish: Callable[[int, Result], None],
    ) -> None:
        self.stop = asyncio.Event()
        self.throttle = Throttle(store.workers, store.max_pause_seconds)
        self._store = store
        self._bucket = bucket
        self._max_body = max_body
        self._publish = publish
        self._requests = RequestMaker(bucket)
        self._tls = ssl.create_default_context() if bucket.place.is_tls else None
        if self._tls is not None and bucket.ca_bundle:
            self._tls.load_verify_locations(bucket.ca_bundle)
        self._items: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self._head = 0
        """Number that the caller waits for or takes next."""
        self._buffered = 0
        self._reserved: dict[HttpConnection, int] = {}
        self._numbers: dict[HttpConnection, int] = {}
        self._held: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    async def run(self) -> None:
        """Works until `stop` is set."""
        tasks = [asyncio.create_task(self._work()) for _ in range(self._store.workers)]
        tasks.append(asyncio.create_task(self._watch()))
        await self.stop.wait()
        pending = set(tasks)
        while pending:
            # One cancellation may be lost to a task that had just ended its wait.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=_WATCH_SECONDS)
        for connection in list(self._numbers):
            connection.close()

    def add(self, items: list[tuple[int, str]], head: int, freed: int) -> None:
        """Takes numbered blob ids to fetch, in order."""
        for item in items:
            self._items.put_nowait(item)
        self.advance(head, freed)

    def advance(self, head: int, freed: int) -> None:
        """Learns how far the caller is, and that it holds `freed` bytes no longer here."""
        self._head = head
        self._buffered -= freed
        self._make_room()

    async def _work(self) -> None:
        connection: HttpConnection | None = None
        while True:
            number, blob_id = await self._items.get()
            try:
                if not self._has_room(number):
                    await self._room(number)
                result, connection = await self._fetch(number, blob_id, connection)
            except Exception as error:  # the caller's thread raises it
                result = error
            if isinstance(result, bytes):
                self._buffered += len(result)
            self._publish(number, result)

    async def _fetch(
        self, number: int, blob_id: str, connection: HttpConnection | None
    ) -> tuple[Result, HttpConnection | None]:
        store, key = self._store, self._store.prefix + blob_id
        why, pause = "", 0.0
        attempt = 0
        while attempt < store.attempts:
            if attempt:
                await asyncio.sleep(pause)
            generation = await self.throttle.enter()
            try:
                if connection is None or not connection.is_open:
                    connection = await self._connect(connection)
                self._numbers[connection] = number
                answer = await connection.ask(self._requests.get(key))
            except BrokenConnection as error:
                why = str(error)
                if error.was_idle:
                    continue  # a connection kept too long; the next one is new
                answer = None
            except (OSError, TimeoutError) as error:
                why, answer = f"{type(error).__name__}: {error}", None
            finally:
                self.throttle.leave()
                if connection is not None:
                    self._release(connection)
            again: bytes | SkipReason | AskAgain = AskAgain(why, is_throttle=False)
            if answer is not None:
                again = read_answer(store, answer, blob_id)
            if not isinstance(again, AskAgain):
                self.throttle.succeeded()
                return again, connection
            why = again.why
            asked = _retry_after(answer)
            if again.is_throttle:
                self.throttle.slow_down(generation, asked)
            pause = self._pause(attempt, asked)
            attempt += 1
        raise UpstreamUnavailable(
            f"{store.address(blob_id)} could not be read ({why}, {store.attempts} times); check "
            "the network, then run the shard again: it goes on where it stopped"
        )

    def _pause(self, attempt: int, asked: float) -> float:
        """Full jitter, after whatever the server asked for; no output depends on it."""
        ceiling = min(self._store.base_pause_seconds * 2**attempt, self._store.max_pause_seconds)
        return min(asked, self._store.max_pause_seconds) + random.uniform(0, ceiling)

    async def _connect(self, old: HttpConnection | None) -> HttpConnection:
        if old is not None:
            self._numbers.pop(old, None)
        # Not `wait_for`: before Python 3.12 it loses a cancellation that meets the end of its wait.
        async with asyncio.timeout(self._store.timeout_seconds):
            return await connect(
                self._bucket.place, lambda: HttpConnection(self._max_body, self._admit), self._tls
            )

    async def _watch(self) -> None:
        """Ends answers that have stopped arriving."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_WATCH_SECONDS, self._store.timeout_seconds))
            late = loop.time() - self._store.timeout_seconds
            for connection in list(self._numbers):
                if connection.is_busy and not connection.paused and connection.heard < late:
                    connection.close(f"no byte for {self._store.timeout_seconds:g} seconds")

    # -- room for what waits ---------------------------------------------------------------------

    def _has_room(self, number: int) -> bool:
        return number <= self._head or self._buffered < self._store.buffer_bytes

    async def _room(self, number: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._hold(number, lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _admit(self, connection: HttpConnection, announced: int) -> bool:
        number = self._numbers[connection]
        if self._has_room(number):
            self._reserve(connection, announced)
            return True

        def go() -> None:
            if connection.paused and self._numbers.get(connection) == number:
                self._reserve(connection, announced)
                connection.resume()

        self._hold(number, go)
        return False

    def _hold(self, number: int, go: Callable[[], None]) -> None:
        heapq.heappush(self._held, (number, next(self._order), go))

    def _reserve(self, connection: HttpConnection, size: int) -> None:
        self._reserved[connection] = size
        self._buffered += size

    def _release(self, connection: HttpConnection) -> None:
        self._buffered -= self._reserved.pop(connection, 0)

    def _make_room(self) -> None:
        while self._held and self._has_room(self._held[0][0]):
            heapq.heappop(self._held)[2]()


def _retry_after(answer: Answer | None) -> float:
    if answer is None:
        return 0.0
    return retry_after_seconds(answer.headers.get(b"retry-after", b"").decode("ascii", "replace"))
