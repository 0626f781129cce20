"""Turns Software Heritage blob ids into text from the archive's public S3 bucket.

Blobs are gzip objects under `content/<id>`. Each is checked against its id, which is the SHA-1 of
its bytes or of its git blob form (both are in use), then decoded by the row's `src_encoding`. A
blob that is missing, refused, damaged or wrong is one skipped row, counted under its reason; a
store that fails altogether fails the shard, so that no run passes with silent losses.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.loader import LoaderContext, SkipReason
from tritter_assets.sources.mapping import BLOB_COLUMN, ENCODING_COLUMN, ColumnMapping, RowFacts
from tritter_assets.sources.text import Decoded, decode_text

_BLOB_ID = re.compile(r"[0-9a-f]{40}")
_GZIP_BITS = 31
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED = frozenset({"403", "AccessDenied", "Forbidden"})
_REFUSED_IN_A_ROW = 64
"""After so many refusals and no success it is our access that is refused, not these blobs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobStore:
    """An S3 bucket of gzip blobs."""

    bucket: str = "softwareheritage"
    prefix: str = "content/"
    endpoint: str | None = None
    """None: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or Amazon's."""
    region: str = "us-east-1"
    workers: int = 16
    """Concurrent requests, and the bound on blobs held in memory (twice this)."""
    attempts: int = 8
    """Of one request; the client backs off with jitter."""

    def client(self) -> Any:
        """Opens a client: signed when credentials are configured, anonymous otherwise."""
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config

        session = boto3.Session()
        options: dict[str, Any] = {
            "retries": {"mode": "standard", "max_attempts": self.attempts},
            "max_pool_connections": self.workers,
            "connect_timeout": 20,
            "read_timeout": 60,
        }
        if session.get_credentials() is None:
            options["signature_version"] = UNSIGNED
        return session.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=os.environ.get("AWS_REGION", self.region),
            config=Config(**options),
        )

    def fetch(self, client: Any, blob_id: str, max_bytes: int) -> bytes | SkipReason:
        """Returns a blob's verified bytes, or why there are none.

        Raises:
            UpstreamUnavailable: the store still fails after the last attempt.
        """
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            IncompleteReadError,
            ResponseStreamingError,
        )

        if not _BLOB_ID.fullmatch(blob_id):
            return SkipReason.MALFORMED_ROW
        key = f"{self.prefix}{blob_id}"
        why = ""
        for _ in range(self.attempts):
            try:
                packed = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in _MISSING:
                    return SkipReason.BLOB_MISSING
                if code in _REFUSED:
                    return SkipReason.BLOB_REFUSED
                why = f"{code}: {error}"
                break  # the client has retried what can be retried
            except (IncompleteReadError, ResponseStreamingError) as error:
                why = str(error)  # the client does not retry a body that breaks off
                continue
            except BotoCoreError as error:
                why = str(error)
                break
            return _unpack(packed, blob_id, max_bytes)
        raise UpstreamUnavailable(
            f"s3://{self.bucket}/{key} could not be read ({why}); check the network and AWS "
            "credentials (the bucket is public: none are needed), then run the shard again"
        )


def swh_documents(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    mapping: ColumnMapping,
    facts: RowFacts,
    store: BlobStore,
    context: LoaderContext,
) -> Iterator[dict[str, Any]]:
    """Streams documents in the order of `rows`, fetching ahead in parallel."""
    client = store.client()
    limit = context.limits.document_bytes
    column = mapping.blob_column or BLOB_COLUMN
    refused = 0
    with ThreadPoolExecutor(store.workers, thread_name_prefix="swh") as pool:
        waiting: deque[tuple[int, Mapping[str, Any], Future[bytes | SkipReason]]] = deque()

        def take() -> Iterator[dict[str, Any]]:
            nonlocal refused
            number, row, future = waiting.popleft()
            found = future.result()
            if found is SkipReason.BLOB_REFUSED and refused >= 0:
                refused += 1
                if refused >= _REFUSED_IN_A_ROW:
                    raise UpstreamUnavailable(
                        f"s3://{store.bucket} refuses every blob: correct the AWS credentials, or "
                        "remove them (the bucket is public), and run the shard again"
                    )
            elif isinstance(found, bytes):
                refused = -1
            document: dict[str, Any] | SkipReason
            if isinstance(found, bytes):
                decoded = decode_text(found, row.get(ENCODING_COLUMN))
                document = (
                    decoded
                    if isinstance(decoded, SkipReason)
                    else mapping.document(row, number, facts, content=decoded.text)
                )
                if isinstance(decoded, Decoded):
                    context.encodings[decoded.encoding] += 1
            else:
                document = found
            if isinstance(document, SkipReason):
                blob = row.get(column)
                context.skips.add(document, f"{facts.file}#{number} blob {blob}")
            else:
                yield document

        try:
            for number, row in rows:
                blob_id = str(row.get(column) or "").lower()
                blob_id = blob_id.removeprefix("swh:1:cnt:")
                waiting.append((number, row, pool.submit(store.fetch, client, blob_id, limit)))
                if len(waiting) >= 2 * store.workers:
                    yield from take()
            while waiting:
                yield from take()
        finally:
            for _, _, future in waiting:
                future.cancel()


def _unpack(packed: bytes, blob_id: str, max_bytes: int) -> bytes | SkipReason:
    inflater = zlib.decompressobj(_GZIP_BITS)
    try:
        content = inflater.decompress(packed, max_bytes + 1)
    except zlib.error:
        return SkipReason.BLOB_DAMAGED
    if len(content) > max_bytes:
        return SkipReason.TOO_LARGE
    if not inflater.eof:
        return SkipReason.BLOB_DAMAGED
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    plain = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if blob_id not in (git, plain):
        return SkipReason.BLOB_HASH_MISMATCH
    return content


__all__ = ["BLOB_COLUMN", "ENCODING_COLUMN", "BlobStore", "swh_documents"]
