"""The bucket of blobs, and what its answers mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.http_connection import Answer
from tritter_assets.sources.loader import SkipReason

_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_THROTTLED = frozenset({"SlowDown", "RequestLimitExceeded", "TooManyRequests", "Throttling"})
_OUR_ACCESS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "AccountProblem",
        "AllAccessDisabled",
        "NotSignedUp",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobStore:
    """An S3 bucket of gzip blobs, and how hard to ask it."""

    bucket: str = "softwareheritage"
    prefix: str = "content/"
    endpoint: str | None = None
    """None: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or Amazon's."""
    region: str = "us-east-1"
    """Where the bucket is, whatever region the environment names for other work."""
    workers: int = 128
    """Most requests on their way at once; across an ocean (150 ms) that is 850 blobs a second."""
    buffer_bytes: int = 64 << 20
    """Compressed bytes that may wait for the rows before them; then connections are not read."""
    attempts: int = 8
    """Of one request, answers that ask for less speed included."""
    base_pause_seconds: float = 0.5
    """First pause before asking again; it doubles each time, with full jitter."""
    max_pause_seconds: float = 30.0
    timeout_seconds: float = 60.0
    """Without a byte from the server, and for connecting."""

    def address(self, blob_id: str) -> str:
        """Names a blob in messages."""
        return f"s3://{self.bucket}/{self.prefix}{blob_id}"


@dataclass(frozen=True, slots=True)
class AskAgain:
    """An answer that may be another one later."""

    why: str
    is_throttle: bool


def read_answer(store: BlobStore, answer: Answer, blob_id: str) -> bytes | SkipReason | AskAgain:
    """Returns a blob's packed bytes, why there are none, or that one should ask again.

    Raises:
        UpstreamUnavailable: asking for other blobs, or again, would give no better answer.
    """
    if answer.status == 200:
        return SkipReason.TOO_LARGE if answer.too_large else answer.body
    found = _CODE.search(answer.body)
    code = found.group(1).decode() if found else f"HTTP {answer.status}"
    if answer.status == 429 or code in _THROTTLED:
        return AskAgain(code, is_throttle=True)
    if answer.status in (408, 425) or answer.status >= 500:
        return AskAgain(code, is_throttle=answer.status == 503)
    if code in _OUR_ACCESS or answer.status == 401:
        raise UpstreamUnavailable(refused_access(store, code))
    if code == "NoSuchBucket":
        raise UpstreamUnavailable(
            f"there is no bucket {store.bucket!r} at this endpoint; correct AWS_ENDPOINT_URL"
        )
    if answer.status == 404:
        return SkipReason.BLOB_MISSING
    if answer.status == 403:
        return SkipReason.BLOB_REFUSED
    region = answer.headers.get(b"x-amz-bucket-region", b"").decode("ascii", "replace")
    raise UpstreamUnavailable(
        f"{store.address(blob_id)} answers {code}"
        + (f": the bucket is in region {region}, not in {store.region}" if region else "")
        + "; check the endpoint and the region, then run the shard again"
    )


def refused_access(store: BlobStore, why: str) -> str:
    """Says what to do when the bucket refuses us, not single blobs."""
    return (
        f"s3://{store.bucket}/{store.prefix} refuses every blob ({why}): set AWS credentials that "
        "may read it (`aws configure`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or unset "
        "wrong or expired ones, for anonymous requests are tried without any. Bulk use needs the "
        "agreement of Software Heritage (access terms `swh_bulk`). Then run the shard again"
    )
