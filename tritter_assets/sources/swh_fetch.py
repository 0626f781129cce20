"""Fetches blobs many at a time and hands them back in the order they were asked for.

One thread runs an event loop with up to `BlobStore.workers` connections; the caller's thread takes
results. What waits is bounded twice: by the caller, who asks only so far ahead, and by bytes: past
`buffer_bytes` a connection is not read until the rows before it are taken. The row that the caller
waits for is always read, so nothing can stand still.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.loader import SkipReason
from tritter_assets.sources.s3_request import Bucket
from tritter_assets.sources.swh_engine import Engine, Result
from tritter_assets.sources.swh_store import BlobStore


class BlobFetcher:
    """Packed blobs by id, in order; a context manager that owns its thread and connections."""

    def __init__(self, store: BlobStore, max_body: int) -> None:
        self.window = 4 * store.workers
        """Results that may be asked for and not yet taken."""
        self.lowest_limit = store.workers
        """The least number of concurrent requests that the server's answers led to."""
        self._store = store
        self._max_body = max_body
        self._found: dict[int, Result] = {}
        self._asked = 0
        self._taken = 0
        self._freed = 0
        self._arrived = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swh-fetch", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> BlobFetcher:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._engine is not None:
            self._call(self._engine.stop.set)
        self._thread.join()

    @property
    def num_waiting(self) -> int:
        """Blobs asked for and not taken yet."""
        return self._asked - self._taken

    def ask(self, blob_ids: Sequence[str]) -> None:
        """Starts fetching blobs."""
        assert self._engine is not None
        items = [(self._asked + n, blob_id) for n, blob_id in enumerate(blob_ids)]
        self._asked += len(items)
        self._call(self._engine.add, items, self._taken, self._free())

    def take(self) -> bytes | SkipReason:
        """Returns the packed bytes of the next blob, or why there are none.

        Raises:
            UpstreamUnavailable: the store fails altogether.
        """
        assert self._engine is not None
        number = self._taken
        if number not in self._found:
            self._call(self._engine.advance, number, self._free())
            while number not in self._found:
                self._arrived.clear()
                if number in self._found:
                    break
                if not self._thread.is_alive():
                    raise self._failure or UpstreamUnavailable("the fetching thread has ended")
                self._arrived.wait(1.0)
        result = self._found.pop(number)
        self._taken += 1
        if isinstance(result, Exception):
            raise result
        if isinstance(result, bytes):
            self._freed += len(result)
        return result

    def _free(self) -> int:
        freed, self._freed = self._freed, 0
        return freed

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *arguments)

    def _publish(self, number: int, result: Result) -> None:
        self._found[number] = result
        if number == self._taken:
            self._arrived.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()
            self._arrived.set()

    async def _main(self) -> None:
        bucket = Bucket.find(self._store.bucket, self._store.endpoint, self._store.region)
        engine = Engine(self._store, bucket, self._max_body, self._publish)
        self._loop, self._engine = asyncio.get_running_loop(), engine
        self._started.set()
        await engine.run()
        self.lowest_limit = engine.throttle.lowest
