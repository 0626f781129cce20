"""Downloads over a connection that breaks: they go on where they stopped, or start again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.download import RetryPolicy, fetch_verified
from tritter_assets_tests.sources.servers import Server

CONTENT = bytes(range(256)) * 40_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class RangeServer(Server):
    """One file with an ETag, and ranges unless `ranged` is false."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content
        self.etag = '"v1"'
        self.ranged = True
        self.asked: list[str | None] = []
        self.sent: list[int] = []
        self.wrong_start = False

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        asked = request.headers.get("Range")
        self.asked.append(asked)
        headers = {"ETag": self.etag}
        if asked and self.ranged and request.headers.get("If-Range") == self.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            part = self.content[start:]
            self.sent.append(len(part))
            said = start + 1 if self.wrong_start else start
            headers["Content-Range"] = f"bytes {said}-{len(self.content) - 1}/{len(self.content)}"
            return 206, part, headers
        self.sent.append(len(self.content))
        return 200, self.content, headers


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer(CONTENT).running() as running:
        yield running


def _fetch(server: RangeServer, target: Path, attempts: int = 4) -> Path:
    return fetch_verified(
        f"{server.url}/file",
        target,
        sha256=SHA256,
        retries=RetryPolicy(attempts=attempts, sleep=lambda _: None),
        what="file",
        way_out="look again",
    )


def test_a_broken_download_goes_on_where_it_stopped(server: RangeServer, tmp_path: Path) -> None:
    server.faults.plan["file"] = ["truncate", "truncate"]
    target = _fetch(server, tmp_path / "file")
    assert target.read_bytes() == CONTENT
    # Whole MiB are kept of each part: 4 of the first 5,120,000 bytes, 2 of the next 3,022,848.
    assert server.asked == [None, "bytes=4194304-", "bytes=6291456-"]
    assert server.sent == [10_240_000, 6_045_696, 3_948_544]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_changed_meanwhile_is_taken_whole(server: RangeServer, tmp_path: Path) -> None:
    server.faults.plan["file"] = ["truncate"]
    answered = server.answer

    def change(request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        found = answered(request, body)
        server.etag = '"v2"'
        return found

    server.answer = change  # type: ignore[method-assign]
    assert _fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.sent == [len(CONTENT), len(CONTENT)]


def test_parts_of_two_versions_are_told_from_a_changed_file(
    server: RangeServer, tmp_path: Path
) -> None:
    """A server that keeps the ETag over a change: the mix is thrown away, not blamed on the pin."""
    server.faults.plan["file"] = ["truncate"]
    answered = server.answer
    server.content = b"X" * len(CONTENT)

    def repair(request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        found = answered(request, body)
        server.content = CONTENT
        return found

    server.answer = repair  # type: ignore[method-assign]
    assert _fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.asked[2] is None


def test_a_server_without_ranges_sends_the_whole_again(server: RangeServer, tmp_path: Path) -> None:
    server.ranged = False
    server.faults.plan["file"] = ["truncate"]
    assert _fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.sent == [len(CONTENT), len(CONTENT)]


def test_a_rest_from_another_byte_is_not_appended(server: RangeServer, tmp_path: Path) -> None:
    server.wrong_start = True
    server.faults.plan["file"] = ["truncate"]
    assert _fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.asked[-1] is None


def test_a_short_file_with_the_right_header_is_another_file(
    server: RangeServer, tmp_path: Path
) -> None:
    server.faults.plan["file"] = ["short"]
    with pytest.raises(UpstreamChanged, match="the contract pins"):
        _fetch(server, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_giving_up_leaves_nothing_behind(server: RangeServer, tmp_path: Path) -> None:
    server.faults.plan["file"] = ["503", "truncate"]
    with pytest.raises(UpstreamUnavailable, match=r"could not be downloaded \(.*look again"):
        _fetch(server, tmp_path / "file", attempts=2)
    assert list(tmp_path.iterdir()) == []
