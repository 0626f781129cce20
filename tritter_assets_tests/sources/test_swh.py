from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tritter_assets.contracts.source import HubOrigin, LicenceFacts
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.loader import Limits, Skipped, SkipReason
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.sources.swh import BlobStore, swh_documents
from tritter_assets_tests.sources.blob_servers import BlobServer, git_id
from tritter_assets_tests.sources.builders import context_of, contract_of

FACTS = RowFacts(repo="hub/org/data", file="f.parquet", revision="a" * 40, url=None, split="train")
MAPPING = ColumnMapping.of(
    contract_of(
        HubOrigin(repo="org/data", revision="a" * 40, content_from="swh"),
        columns={"repo": "repo_name", "path": "path", "revision": "blob_id"},
        licence=LicenceFacts(row_column="detected_licenses"),
        languages=("python",),
    )
).for_blobs()


def _row(blob_id: str, number: int, encoding: str = "UTF-8") -> tuple[int, dict[str, Any]]:
    return number, {
        "blob_id": blob_id,
        "src_encoding": encoding,
        "repo_name": "owner/name",
        "path": f"/src/f{number}.py",
        "detected_licenses": ["MIT", "Apache-2.0"],
    }


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_REGION", raising=False)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket="softwareheritage")
    blobs = {git_id(raw): gzip.compress(raw) for raw in GOOD}
    blobs |= {
        hashlib.sha1(PLAIN_ID).hexdigest(): gzip.compress(PLAIN_ID),
        git_id(JAPANESE): gzip.compress(JAPANESE),
        git_id(LARGE): gzip.compress(LARGE),
        "1" * 40: gzip.compress(b"not what the id says"),
        "2" * 40: b"not gzip at all",
        "3" * 40: gzip.compress(b"cut" * 1000)[:-20],
        git_id(b"\0\1"): gzip.compress(b"\0\1"),
        git_id(b""): gzip.compress(b""),
        BOMB_ID: gzip.compress(b"0" * (64 << 20)),
    }
    blobs |= {git_id(raw): gzip.compress(raw) for raw, _, _ in ENCODED}
    for blob_id, raw in blobs.items():
        client.put_object(Bucket="softwareheritage", Key=f"content/{blob_id}", Body=raw)
    yield endpoint
    server.stop()


GOOD = [f"def f{n}():\n    return {n}\n".encode() for n in range(40)]
PLAIN_ID = b"print('named by its plain sha1')\n"
JAPANESE = "# \u65e5\u672c\n".encode("shift_jis")
LARGE = b"# large\n" * 1000
BOMB_ID = "b" * 40
TEXT = "# caf\u00e9, \u00fcber\n"
CHINESE = "# \u4e2d\u6587\u3000\u8bf4\u660e\n"
ENCODED = [
    (TEXT.encode("latin-1"), "ISO-8859-1", TEXT),
    (CHINESE.encode("utf-16"), "UTF-16", CHINESE),
    (CHINESE.encode("utf-16-le"), "UTF-16LE", CHINESE),
    (CHINESE.encode("gb18030"), "GB18030", CHINESE),
    (TEXT.encode(), "no-such-encoding", TEXT),  # a name that nobody knows: UTF-8 is tried
    ((TEXT + "x").encode(), "ascii", TEXT + "x"),  # upstream is wrong
    (("x = 1\n" * 40 + TEXT).encode("cp1252"), "UTF-8", "x = 1\n" * 40 + TEXT),
]
"""Bytes, the encoding that upstream states, the text."""


def test_rows_become_text_in_order_and_failures_are_counted(bucket: str, tmp_path: Path) -> None:
    ids = [git_id(raw) for raw in GOOD]
    rows = [_row(blob_id, n) for n, blob_id in enumerate(ids)]
    rows += [
        _row(hashlib.sha1(PLAIN_ID).hexdigest(), 100),
        _row(git_id(JAPANESE), 101, "Shift_JIS"),
        _row("swh:1:cnt:" + ids[0], 102),
        _row("0" * 40, 200),
        _row("1" * 40, 201),
        _row("2" * 40, 202),
        _row("3" * 40, 203),
        _row(git_id(b"\0\1"), 204),
        _row(git_id(LARGE), 205),
        _row("../escape", 206),
        _row(git_id(b""), 207),
        _row(BOMB_ID, 208),
    ]
    skipped: list[Skipped] = []
    context = context_of(tmp_path, limits=Limits(document_bytes=5000))
    context.skips.sink = skipped.append
    store = BlobStore(endpoint=bucket, workers=4)
    found = list(swh_documents(rows, MAPPING, FACTS, store, context))
    assert [row["content"].encode() for row in found[:40]] == GOOD
    assert [row["content"] for row in found[40:]] == [
        PLAIN_ID.decode(),
        "# \u65e5\u672c\n",
        GOOD[0].decode(),
    ]
    assert found[0] == {
        "repo": "owner/name",
        "path": "/src/f0.py",
        "revision": ids[0],
        "license_declared": "MIT AND Apache-2.0",
        "content": GOOD[0].decode(),
        "owner": "owner",
        "split": "train",
        "language": "python",
        "modality": "code",
    }
    assert context.skips.counts == {
        SkipReason.BLOB_MISSING: 1,
        SkipReason.BLOB_HASH_MISMATCH: 1,
        SkipReason.BLOB_DAMAGED: 2,
        SkipReason.BINARY: 1,
        SkipReason.TOO_LARGE: 2,
        SkipReason.MALFORMED_ROW: 1,
        SkipReason.EMPTY: 1,
    }
    assert (SkipReason.BLOB_MISSING, f"f.parquet#200 blob {'0' * 40}") in context.skips.examples
    assert context.encodings == {"utf-8": 42, "shift_jis": 1}
    first = skipped[0]
    assert (first.repo, first.path, first.revision) == ("owner/name", "/src/f200.py", "a" * 40)
    assert [s.where.split()[0] for s in skipped] == [f"f.parquet#{n}" for n in range(200, 209)]


def test_the_stated_encoding_is_tried_first_and_no_byte_is_guessed(
    bucket: str, tmp_path: Path
) -> None:
    rows = [_row(git_id(raw), n, stated) for n, (raw, stated, _) in enumerate(ENCODED)]
    context = context_of(tmp_path)
    found = list(swh_documents(rows, MAPPING, FACTS, BlobStore(endpoint=bucket), context))
    assert [row["content"] for row in found] == [text for _, _, text in ENCODED]
    assert not context.skips.counts


def _documents(
    server: BlobServer, tmp_path: Path, rows: list[Any], **settings: Any
) -> tuple[list[str], dict[SkipReason, int]]:
    context = context_of(tmp_path)
    options: dict[str, Any] = {"workers": 4, "attempts": 4, "base_pause_seconds": 0.01}
    store = BlobStore(endpoint=server.url, **(options | settings))
    found = list(swh_documents(rows, MAPPING, FACTS, store, context))
    assert len(found) + sum(context.skips.counts.values()) == len(rows)
    assert "swh-fetch" not in {thread.name for thread in threading.enumerate()}
    return [row["content"] for row in found], dict(context.skips.counts)


MANY = [_row(git_id(raw), n) for n, raw in enumerate(GOOD)]
TEXTS = [raw.decode() for raw in GOOD]
SLOW = (503, "SlowDown", {})


@pytest.fixture
def server() -> Iterator[BlobServer]:
    with BlobServer.of(*GOOD).running() as running:
        yield running


def test_the_order_is_that_of_the_rows_whatever_answers_first(
    server: BlobServer, tmp_path: Path
) -> None:
    server.jitter_seconds = 0.01
    for workers in (1, 3, 16):
        assert _documents(server, tmp_path, MANY, workers=workers) == (TEXTS, {})
    assert 3 < server.most_at_once <= 16


def test_throttling_resets_and_broken_bodies_lose_nothing(
    server: BlobServer, tmp_path: Path
) -> None:
    first, second, third, fourth = (git_id(raw) for raw in GOOD[:4])
    server.errors[first] = [SLOW, (500, "InternalError", {}), (429, "TooManyRequests", {})]
    server.resets[second] = 2
    server.faults.plan[third] = ["truncate", "truncate"]
    server.errors[fourth] = [(503, "ServiceUnavailable", {})]
    assert _documents(server, tmp_path, MANY) == (TEXTS, {})
    assert [server.asked[i] for i in (first, second, third, fourth)] == [4, 3, 3, 2]


def test_a_connection_that_was_kept_too_long_costs_no_attempt(
    server: BlobServer, tmp_path: Path
) -> None:
    server.hang_up_after = 2
    assert _documents(server, tmp_path, MANY, attempts=1, workers=2)[0] == TEXTS


def test_retry_after_holds_every_request_back(server: BlobServer, tmp_path: Path) -> None:
    server.errors[git_id(GOOD[0])] = [(503, "SlowDown", {"Retry-After": "1"})]
    begin = time.monotonic()
    assert _documents(server, tmp_path, MANY[:2], workers=1) == (TEXTS[:2], {})
    assert 1.0 <= time.monotonic() - begin < 4


def test_what_will_not_change_is_asked_for_once(server: BlobServer, tmp_path: Path) -> None:
    refused = git_id(GOOD[1])
    server.errors[refused] = [(403, "AccessDenied", {})]
    del server.blobs[git_id(GOOD[2])]
    texts, counts = _documents(server, tmp_path, MANY[:6])
    assert texts == [TEXTS[0], *TEXTS[3:6]]
    assert counts == {SkipReason.BLOB_REFUSED: 1, SkipReason.BLOB_MISSING: 1}
    assert max(server.asked.values()) == 1


def test_a_store_that_stays_down_fails_the_shard(server: BlobServer, tmp_path: Path) -> None:
    server.errors["*"] = [SLOW] * 1000
    with pytest.raises(UpstreamUnavailable, match=r"could not be read \(SlowDown, 2 times\)"):
        _documents(server, tmp_path, MANY, attempts=2)


def test_a_store_that_cannot_be_reached_fails_the_shard(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can take the port
        store = BlobStore(
            endpoint=f"http://127.0.0.1:{held.getsockname()[1]}",
            attempts=2,
            base_pause_seconds=0.01,
        )
        with pytest.raises(UpstreamUnavailable, match="check the network"):
            list(swh_documents(MANY, MAPPING, FACTS, store, context_of(tmp_path)))


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_wrong_credentials_are_one_error_at_once(
    server: BlobServer, tmp_path: Path, code: str
) -> None:
    server.errors["*"] = [(403, code, {})] * 1000
    with pytest.raises(UpstreamUnavailable, match=rf"refuses every blob \({code}\).*agreement"):
        _documents(server, tmp_path, MANY)
    assert max(server.asked.values()) == 1


def test_refused_access_fails_but_single_refusals_are_rows(
    server: BlobServer, tmp_path: Path
) -> None:
    server.errors["*"] = [(403, "AccessDenied", {})] * 1000
    with pytest.raises(UpstreamUnavailable, match=r"refuses every blob \(all 40 of f.parquet\)"):
        _documents(server, tmp_path, MANY)
    many = MANY * 3
    with pytest.raises(UpstreamUnavailable, match=r"refuses every blob \(the first 64\)"):
        _documents(server, tmp_path, many)
    assert _documents(server, tmp_path, MANY[:3]) == ([], {SkipReason.BLOB_REFUSED: 3})


def test_a_wrong_region_or_bucket_says_so(server: BlobServer, tmp_path: Path) -> None:
    server.errors["*"] = [(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"})] * 9
    with pytest.raises(UpstreamUnavailable, match="in region eu-west-1, not in us-east-1"):
        _documents(server, tmp_path, MANY[:1])
    server.errors["*"] = [(404, "NoSuchBucket", {})]
    with pytest.raises(UpstreamUnavailable, match="no bucket 'softwareheritage'"):
        _documents(server, tmp_path, MANY[:1])


def test_bodies_that_wait_are_bounded_and_nothing_stands_still(tmp_path: Path) -> None:
    noise = hashlib.shake_128(b"noise").digest(12 << 20)
    contents = [noise[n : n + (1 << 20)].hex().encode() for n in range(12)]
    server = BlobServer.of(*contents)
    server.jitter_seconds = 0.1
    with server.running():
        rows = [_row(git_id(raw), n) for n, raw in enumerate(contents)]
        texts, counts = _documents(server, tmp_path, rows, workers=12, buffer_bytes=1 << 20)
    assert texts == [raw.decode() for raw in contents]
    assert counts == {}


def test_an_object_past_the_limit_is_not_read(tmp_path: Path) -> None:
    noise = hashlib.shake_128(b"noise").digest(4 << 20)
    server = BlobServer.of(noise, *GOOD)
    with server.running():
        rows = [_row(git_id(noise), 100), *MANY]
        context = context_of(tmp_path, limits=Limits(document_bytes=1 << 20))
        store = BlobStore(endpoint=server.url, workers=1)
        found = list(swh_documents(rows, MAPPING, FACTS, store, context))
    assert [row["content"] for row in found] == TEXTS
    assert context.skips.counts == {SkipReason.TOO_LARGE: 1}


def test_a_reader_that_stops_early_leaves_no_thread(server: BlobServer, tmp_path: Path) -> None:
    store = BlobStore(endpoint=server.url, workers=2)
    documents = swh_documents(MANY * 100, MAPPING, FACTS, store, context_of(tmp_path))
    assert next(documents)["content"] == TEXTS[0]
    documents.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert "swh-fetch" not in {thread.name for thread in threading.enumerate()}
    assert sum(server.asked.values()) < 100


def test_without_credentials_requests_are_anonymous(
    server: BlobServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert _documents(server, tmp_path, MANY[:2]) == (TEXTS[:2], {})
    assert server.authorizations == [None, None]
