"""GET requests to an S3 bucket, signed when there are credentials (AWS Signature Version 4).

Endpoint, addressing style and credentials are what botocore finds in the environment and
its configuration files, so `AWS_PROFILE`, single sign-on and `AWS_ENDPOINT_URL` work as elsewhere.
Only the signature is made here: botocore takes 0.06 ms of CPU for one, this 0.01 ms.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from tritter_assets.sources.http_connection import Place

_NO_BODY = hashlib.sha256(b"").hexdigest()
_ANY_KEY = "any-key"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """A bucket as one can ask it."""

    place: Place
    host: str
    """The `Host` header."""
    root: str
    """What stands before a key in the request's path."""
    region: str
    credentials: Any
    """botocore's, which refresh themselves; None: requests are anonymous."""
    ca_bundle: str

    @classmethod
    def find(cls, name: str, endpoint: str | None, region: str) -> Bucket:
        """Asks botocore where a bucket is and who we are."""
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.httpsession import get_cert_path
        from botocore.session import get_session

        session = get_session()
        client = session.create_client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            config=Config(signature_version=UNSIGNED),
        )
        url = client.generate_presigned_url(
            "get_object", Params={"Bucket": name, "Key": _ANY_KEY}, HttpMethod="GET"
        )
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        assert parts.hostname is not None
        passes = is_tls and not proxy_bypass(parts.hostname)
        proxy = getproxies().get("https", "") if passes else ""
        return cls(
            place=Place(parts.hostname, parts.port or (443 if is_tls else 80), is_tls, proxy),
            host=parts.netloc.rpartition("@")[2],
            root=parts.path.removesuffix(_ANY_KEY),
            region=region,
            credentials=session.get_credentials(),
            ca_bundle=session.get_config_variable("ca_bundle") or get_cert_path(True) or "",
        )


class RequestMaker:
    """Makes the bytes of requests; keeps the day's signing key."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._day = ("", "")
        self._key = b""

    def get(self, key: str, now: float | None = None) -> bytes:
        """Returns a GET of an object, as sent at Unix time `now`."""
        bucket = self._bucket
        path = bucket.root + quote(key, safe="/-_.~")
        headers = [("host", bucket.host)]
        if bucket.credentials is not None:
            headers = self._signed(path, headers, time.gmtime(now))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"GET {path} HTTP/1.1\r\n{lines}accept-encoding: identity\r\n\r\n".encode("ascii")

    def _signed(
        self, path: str, headers: list[tuple[str, str]], now: time.struct_time
    ) -> list[tuple[str, str]]:
        found = self._bucket.credentials.get_frozen_credentials()
        moment, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
        headers = [*headers, ("x-amz-content-sha256", _NO_BODY), ("x-amz-date", moment)]
        if found.token:
            headers.append(("x-amz-security-token", found.token))
        names = ";".join(name for name, _ in headers)
        listed = "".join(f"{name}:{value}\n" for name, value in headers)
        canonical = f"GET\n{path}\n\n{listed}\n{names}\n{_NO_BODY}"
        scope = f"{day}/{self._bucket.region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = _hmac(self._signing_key(found.secret_key, day), text).hex()
        value = (
            f"AWS4-HMAC-SHA256 Credential={found.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return [*headers, ("authorization", value)]

    def _signing_key(self, secret: str, day: str) -> bytes:
        if self._day != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._bucket.region, "s3", "aws4_request"):
                key = _hmac(key, part)
            self._day, self._key = (secret, day), key
        return self._key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
