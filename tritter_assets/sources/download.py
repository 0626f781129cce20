"""Downloads that end in the cache complete and verified, or not at all."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable

if TYPE_CHECKING:
    import requests

_CHUNK_BYTES = 1 << 20
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_NEVER = float("inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how patiently to ask again."""

    attempts: int = 6
    base_seconds: float = 0.5
    """First pause; it doubles each time, with full jitter."""
    max_pause_seconds: float = 30.0
    timeout_seconds: float = 60.0
    """For connecting, and for each read."""
    sleep: Callable[[float], None] = time.sleep

    def pause(self, attempt: int, retry_after: str | None = None) -> None:
        """Waits before attempt `attempt + 1`; a server's Retry-After (seconds) is a floor."""
        ceiling = min(self.base_seconds * 2**attempt, self.max_pause_seconds)
        wait = random.uniform(0, ceiling)  # timing only: no output depends on it
        if retry_after and retry_after.strip().isdigit():
            wait += min(float(retry_after), self.max_pause_seconds)
        self.sleep(wait)


DEFAULT_RETRIES = RetryPolicy()


class _Retry(Exception):
    def __init__(self, why: str, retry_after: str | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


def get_response(
    url: str,
    *,
    headers: dict[str, str] | None = None,
    stream: bool = False,
    verify: str | bool = True,
    retries: RetryPolicy = DEFAULT_RETRIES,
    what: str,
    way_out: str,
) -> requests.Response:
    """Returns the answer to a GET, of any status that asking again would not change.

    Raises:
        UpstreamUnavailable: still no answer after the last attempt.
    """
    import requests

    why = ""
    for attempt in range(retries.attempts):
        if attempt:
            retries.pause(attempt - 1, None)
        try:
            response = requests.get(
                url, headers=headers, stream=stream, timeout=retries.timeout_seconds, verify=verify
            )
        except requests.exceptions.RequestException as error:
            why = _plain(error)
            continue
        if response.status_code not in _RETRIED_STATUS:
            return response
        why = f"HTTP {response.status_code}"
        retry_after = response.headers.get("Retry-After")
        response.close()
        if retry_after and attempt + 1 < retries.attempts:
            retries.pause(attempt, retry_after)
    raise UpstreamUnavailable(f"{what}: {masked(url)} gave no answer ({why}); {way_out}")


def fetch_verified(
    url: str,
    target: Path,
    *,
    sha256: str,
    verify: str | bool = True,
    retries: RetryPolicy = DEFAULT_RETRIES,
    what: str,
    way_out: str,
) -> Path:
    """Downloads `url` to `target` and returns it; a verified `target` is used as it is.

    The bytes are hashed while they arrive, written under a temporary name, and renamed only once
    the hash agrees, so a reader never sees part of a file and a wrong file never enters the cache.
    A broken connection goes on where it broke, if the server can say that the file is the same.

    Raises:
        UpstreamChanged: the bytes are complete and their hash is another one.
        UpstreamUnavailable: the download failed on every attempt.
    """
    if is_cached(target, sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    with closing(_arrivals(url, partial, verify, retries, what, way_out)) as arrivals:
        for arriving in arrivals:
            digest = arriving.digest.hexdigest()
            if digest == sha256.lower():
                os.replace(partial, target)
                break
            if not arriving.resumed:  # otherwise its parts may come from two versions of the file
                raise UpstreamChanged(
                    f"{what}: the bytes at {masked(url)} have SHA-256 {digest}, the contract pins "
                    f"{sha256}; look at what changed upstream before you pin the new hash"
                )
    return target


def fetch_unpinned(
    url: str,
    folder: Path,
    name: str,
    *,
    retries: RetryPolicy = DEFAULT_RETRIES,
    what: str,
    way_out: str,
) -> str:
    """Downloads what `url` serves now to `folder/<hash>/name` and returns its SHA-256.

    Only for pinning: nothing vouches for the bytes but the person who pins them.

    Raises:
        UpstreamUnavailable: the download failed on every attempt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{uuid4().hex}.partial"
    with closing(_arrivals(url, partial, True, retries, what, way_out)) as arrivals:
        sha256 = next(arrivals).digest.hexdigest()
        target = folder / sha256[:16] / name
        target.parent.mkdir(exist_ok=True)
        os.replace(partial, target)
    return sha256


def _arrivals(  # noqa: PLR0917 - what both downloads above are given
    url: str, partial: Path, verify: str | bool, retries: RetryPolicy, what: str, way_out: str
) -> Generator[_Arriving, None, None]:
    """Yields the file at `partial` each time it is complete; asked again, it is fetched afresh."""
    arriving = _Arriving(partial)
    why = ""
    try:
        for attempt in range(retries.attempts):
            try:
                _stream(url, arriving, verify, retries, what)
            except _Retry as error:
                why = str(error)
                if attempt + 1 < retries.attempts:
                    retries.pause(attempt, error.retry_after)
                continue
            yield arriving
            why = f"its parts do not fit together (SHA-256 {arriving.digest.hexdigest()})"
            arriving.restart()
    finally:
        partial.unlink(missing_ok=True)
    raise UpstreamUnavailable(f"{what}: {masked(url)} could not be downloaded ({why}); {way_out}")


def is_cached(target: Path, sha256: str) -> bool:
    """True when the file is there and is what the hash says; a damaged file is removed."""
    if not target.is_file():
        return False
    if file_sha256(target) == sha256.lower():
        return True
    target.unlink()
    return False


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def masked(url: str) -> str:
    """Returns an address without the user and password it may carry."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else url


class _Arriving:
    """A file on its way: what has come so far, hashed as it came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restart()

    def restart(self) -> None:
        """Forgets what has come."""
        self.path.unlink(missing_ok=True)
        self.digest = hashlib.sha256()
        self.received = 0
        self.version: str | None = None
        self.resumed = False

    def add(self, chunk: bytes, sink: IO[bytes]) -> None:
        """Takes the next bytes."""
        self.digest.update(chunk)
        sink.write(chunk)
        self.received += len(chunk)


def _stream(
    url: str, arriving: _Arriving, verify: str | bool, retries: RetryPolicy, what: str
) -> None:
    """Takes what is missing of the file; what came before a break is not asked for again.

    Asking for the rest names the version that the first part came from, and where the server
    names none, the whole file is asked for.
    """
    import requests

    # identity: Content-Length must count the bytes that we hash
    headers = {"Accept-Encoding": "identity"}
    if arriving.received and arriving.version:
        headers |= {"Range": f"bytes={arriving.received}-", "If-Range": arriving.version}
    else:
        arriving.restart()
    try:
        with requests.get(
            url, stream=True, timeout=retries.timeout_seconds, verify=verify, headers=headers
        ) as response:
            if response.status_code in _RETRIED_STATUS:
                raise _Retry(f"HTTP {response.status_code}", response.headers.get("Retry-After"))
            if response.status_code == requests.codes.partial_content:
                start = response.headers.get("Content-Range", "").removeprefix("bytes ")
                if start.partition("-")[0] != str(arriving.received):
                    arriving.restart()
                    raise _Retry(f"the rest does not start at the asked byte ({start!r})")
                arriving.resumed = True
            elif response.status_code == requests.codes.ok:
                arriving.restart()
            elif response.status_code == requests.codes.requested_range_not_satisfiable:
                arriving.restart()
                raise _Retry("the file is shorter than the part that came")
            else:
                raise UpstreamUnavailable(
                    f"{what}: {masked(url)} answers HTTP {response.status_code} "
                    f"{response.reason}; check the address and your access to it"
                )
            arriving.version = _strong_version(response)
            before = arriving.received
            announced = float(response.headers.get("Content-Length") or _NEVER)
            with arriving.path.open("ab") as sink:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    arriving.add(chunk, sink)
    except (requests.exceptions.RequestException, OSError) as error:
        raise _Retry(_plain(error)) from None
    came = arriving.received - before
    if announced != _NEVER and came < announced:
        raise _Retry(f"truncated: {came} of {announced:.0f} bytes")


def _strong_version(response: requests.Response) -> str | None:
    """What names these exact bytes to the server: a strong ETag, else the date of change."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _plain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]
