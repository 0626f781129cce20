from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tritter_assets.contracts.source import HubOrigin, LicenceFacts
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.loader import Limits, SkipReason
from tritter_assets.sources.mapping import ColumnMapping, RowFacts
from tritter_assets.sources.swh import BlobStore, swh_documents
from tritter_assets_tests.sources.builders import context_of, contract_of
from tritter_assets_tests.sources.servers import Server

FACTS = RowFacts(repo="hub/org/data", file="f.parquet", revision="a" * 40, url=None, split="train")
MAPPING = ColumnMapping.of(
    contract_of(
        HubOrigin(repo="org/data", revision="a" * 40, content_from="swh"),
        columns={"repo": "repo_name", "path": "path", "revision": "blob_id"},
        licence=LicenceFacts(row_column="detected_licenses"),
        languages=("python",),
    )
).for_blobs()


def _git_id(raw: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


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
    blobs = {_git_id(raw): gzip.compress(raw) for raw in GOOD}
    blobs |= {
        hashlib.sha1(PLAIN_ID).hexdigest(): gzip.compress(PLAIN_ID),
        _git_id(JAPANESE): gzip.compress(JAPANESE),
        _git_id(LARGE): gzip.compress(LARGE),
        "1" * 40: gzip.compress(b"not what the id says"),
        "2" * 40: b"not gzip at all",
        "3" * 40: gzip.compress(b"cut" * 1000)[:-20],
        _git_id(b"\0\1"): gzip.compress(b"\0\1"),
    }
    for blob_id, raw in blobs.items():
        client.put_object(Bucket="softwareheritage", Key=f"content/{blob_id}", Body=raw)
    yield endpoint
    server.stop()


GOOD = [f"def f{n}():\n    return {n}\n".encode() for n in range(40)]
PLAIN_ID = b"print('named by its plain sha1')\n"
JAPANESE = "# \u65e5\u672c\n".encode("shift_jis")
LARGE = b"# large\n" * 1000


def test_rows_become_text_in_order_and_failures_are_counted(bucket: str, tmp_path: Path) -> None:
    ids = [_git_id(raw) for raw in GOOD]
    rows = [_row(blob_id, n) for n, blob_id in enumerate(ids)]
    rows += [
        _row(hashlib.sha1(PLAIN_ID).hexdigest(), 100),
        _row(_git_id(JAPANESE), 101, "Shift_JIS"),
        _row("swh:1:cnt:" + ids[0], 102),
        _row("0" * 40, 200),
        _row("1" * 40, 201),
        _row("2" * 40, 202),
        _row("3" * 40, 203),
        _row(_git_id(b"\0\1"), 204),
        _row(_git_id(LARGE), 205),
        _row("../escape", 206),
    ]
    context = context_of(tmp_path, limits=Limits(document_bytes=5000))
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
        SkipReason.TOO_LARGE: 1,
        SkipReason.MALFORMED_ROW: 1,
    }
    assert (SkipReason.BLOB_MISSING, f"f.parquet#200 blob {'0' * 40}") in context.skips.examples
    assert context.encodings == {"utf-8": 42, "shift_jis": 1}


class _Store(Server):
    """An S3 endpoint with one blob for every key, that fails as planned."""

    status = 200

    def answer(self, request: Any, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.status != 200:
            code = {403: "AccessDenied", 503: "SlowDown"}[self.status]
            xml = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
            return self.status, xml.encode(), {"Content-Type": "application/xml"}
        return 200, gzip.compress(GOOD[0]), {}


@pytest.fixture
def store() -> Iterator[_Store]:
    with _Store().running() as server:
        yield server


def _documents(server: _Store, tmp_path: Path, count: int, attempts: int = 4) -> list[Any]:
    rows = [_row(_git_id(GOOD[0]), n) for n in range(count)]
    blobs = BlobStore(endpoint=server.url, workers=2, attempts=attempts)
    context = context_of(tmp_path)
    found = list(swh_documents(rows, MAPPING, FACTS, blobs, context))
    assert len(found) + sum(context.skips.counts.values()) == count
    return found


def test_throttling_and_broken_bodies_lose_nothing(store: _Store, tmp_path: Path) -> None:
    store.faults.plan["/softwareheritage/"] = ["503", "truncate", "500"]
    assert len(_documents(store, tmp_path, 6)) == 6


def test_a_store_that_stays_down_fails_the_shard(
    store: _Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store.status = 503
    with pytest.raises(UpstreamUnavailable, match=r"could not be read.*run the shard again"):
        _documents(store, tmp_path, 2, attempts=2)


def test_refused_access_fails_but_single_refusals_are_counted(
    store: _Store, tmp_path: Path
) -> None:
    store.status = 403
    with pytest.raises(UpstreamUnavailable, match="refuses every blob"):
        _documents(store, tmp_path, 100)
    assert _documents(store, tmp_path, 3) == []


def test_without_credentials_requests_are_anonymous(
    store: _Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert len(_documents(store, tmp_path, 2)) == 2
    assert store.authorizations == [None, None]
