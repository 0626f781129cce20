"""A bucket of blobs that fails on demand, key by key."""

from __future__ import annotations

import gzip
import hashlib
import random
import threading
import time
from collections import Counter
from typing import Any

from tritter_assets_tests.sources.servers import Server


def git_id(raw: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


def error_body(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


class BlobServer(Server):
    """GetObject of one bucket; counts requests per blob and the most at once."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        super().__init__()
        self.blobs = blobs
        """Blob id -> object as stored."""
        self.asked: Counter[str] = Counter()
        self.errors: dict[str, list[tuple[int, str, dict[str, str]]]] = {}
        """Blob id (or `*`) -> (status, code, headers), each given once, in order."""
        self.resets: Counter[str] = Counter()
        """Blob id -> connections that end without an answer."""
        self.jitter_seconds = 0.0
        self.hang_up_after: int | None = None
        """Answers after which a connection is closed without saying so beforehand."""
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()

    @classmethod
    def of(cls, *contents: bytes) -> BlobServer:
        return cls({git_id(raw): gzip.compress(raw) for raw in contents})

    def handle(self, request: Any, body: bytes) -> None:
        blob_id = request.path.rsplit("/", 1)[-1]
        with self._lock:
            self.requests.append(request.path)
            self.authorizations.append(request.headers.get("Authorization"))
            self.asked[blob_id] += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            reset = self.resets[blob_id] > 0
            self.resets[blob_id] -= reset
            planned = self.errors.get(blob_id) or self.errors.get("*") or []
            error = planned.pop(0) if planned else None
            fault = self.faults.next(request.path)
        if self.jitter_seconds:
            time.sleep(random.uniform(0, self.jitter_seconds))
        with self._lock:
            self._now -= 1
        if reset:
            request.connection.close()
            request.close_connection = True
        elif error is not None:
            status, code, headers = error
            self.send(request, status, error_body(code), headers)
        elif blob_id not in self.blobs:
            self.send(request, 404, error_body("NoSuchKey"), {})
        else:
            content = self.blobs[blob_id]
            self.send(request, 200, content, {}, cut=len(content) // 2 if fault else None)
        port = request.client_address[1]
        self._answers[port] += 1
        if self._answers[port] == self.hang_up_after:
            request.close_connection = True
