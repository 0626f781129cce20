"""Reads frames one or two ahead of whoever uses them.

Fetching and decoding release the interpreter for most of their time, so they run beside the licence
conclusions and the sort of the frames before.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

DEPTH = 2
"""Frames that wait: at `Limits.frame_bytes` each, 16 MiB of content."""

_END = object()
_T = TypeVar("_T")


def read_ahead(frames: Iterable[_T], depth: int = DEPTH) -> Iterator[_T]:
    """Yields `frames` in order, drawn by a thread of their own.

    The thread has ended when this generator has: what the frames touch is then nobody else's. An
    error of theirs is raised here, after the frames that came before it.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_draw, args=(frames, waiting, stopped), name="read-ahead", daemon=True
    )
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Raised):
                raise item.error
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            _empty(waiting)
            thread.join(0.01)


class _Raised:
    """An error on its way to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _draw(frames: Iterable[Any], waiting: queue.Queue[Any], stopped: threading.Event) -> None:
    last: Any = _END
    try:
        for frame in frames:
            waiting.put(frame)
            if stopped.is_set():
                break
    except BaseException as error:  # raised again where the frames are used
        last = _Raised(error)
    finally:
        if isinstance(frames, Generator):
            frames.close()
        waiting.put(last)


def _empty(waiting: queue.Queue[Any]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return
