from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tritter_assets.sources.http_connection import Place
from tritter_assets.sources.s3_request import Bucket, RequestMaker

NOW = datetime(2026, 11, 24, 6, 7, 8, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "session/token+="])
@pytest.mark.parametrize("key", ["content/" + "0f" * 20, "content/with space+and/more"])
def test_the_signature_is_botocores(
    monkeypatch: pytest.MonkeyPatch, token: str | None, key: str
) -> None:
    credentials = Credentials("AKID", "secret/key", token)
    bucket = Bucket(
        place=Place("blobs.example.org", 80, is_tls=False),
        host="blobs.example.org",
        root="/",
        region="us-east-1",
        credentials=credentials,
        ca_bundle="",
    )
    maker = RequestMaker(bucket)
    maker.get("another", NOW.timestamp() - 86_400)  # yesterday's signing key is not used again
    raw = maker.get(key, NOW.timestamp()).decode()
    path = raw.split(" ", 2)[1]
    ours = dict(line.split(": ", 1) for line in raw.split("\r\n")[1:] if line)

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW)
    request = AWSRequest("GET", f"http://blobs.example.org{path}")
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    assert ours.pop("host") == "blobs.example.org"
    assert ours.pop("accept-encoding") == "identity"
    assert ours == theirs


@pytest.mark.parametrize(
    ("endpoint", "place", "root"),
    [
        (None, Place("softwareheritage.s3.amazonaws.com", 443, is_tls=True), "/"),
        ("http://127.0.0.1:5000", Place("127.0.0.1", 5000, is_tls=False), "/softwareheritage/"),
    ],
)
def test_the_bucket_is_where_botocore_says(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, place: Place, root: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    found = Bucket.find("softwareheritage", endpoint, "us-east-1")
    assert (found.place, found.root, found.region) == (place, root, "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://localhost:9000")
    named = Bucket.find("softwareheritage", None, "us-east-1")
    assert (named.place.host, named.place.port) == ("localhost", 9000)
