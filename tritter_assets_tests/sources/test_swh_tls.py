"""The way to the real bucket: TLS, and a proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.swh import BlobStore, swh_documents
from tritter_assets_tests.sources.blob_servers import BlobServer, git_id
from tritter_assets_tests.sources.builders import context_of
from tritter_assets_tests.sources.test_swh import FACTS, MAPPING

CONTENTS = [f"N = {n}\n".encode() for n in range(20)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "blobs")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[BlobServer]:
    made = BlobServer.of(*CONTENTS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made._server.socket = context.wrap_socket(
        made._server.socket, server_side=True, do_handshake_on_connect=False
    )
    made.url = made.url.replace("http://", "https://")
    with made.running():
        yield made


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def _texts(server: BlobServer, folder: Path) -> list[bytes]:
    rows = [
        (n, {"blob_id": git_id(raw), "repo_name": "o/r", "path": "f.py"})
        for n, raw in enumerate(CONTENTS)
    ]
    store = BlobStore(endpoint=server.url, workers=4, attempts=2, base_pause_seconds=0.01)
    found = swh_documents(rows, MAPPING, FACTS, store, context_of(folder))
    return [row["content"].encode() for row in found]


def test_a_trusted_server_is_read_and_another_is_refused(
    server: BlobServer, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UpstreamUnavailable, match="certificate that is not trusted"):
        _texts(server, tmp_path)
    assert not server.asked
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert _texts(server, tmp_path) == CONTENTS


class _Proxy:
    """Knows CONNECT, and one login."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.status = b"200 Connection established"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator[_Proxy]:
        threading.Thread(target=self._accept, daemon=True).start()
        yield self
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = client.recv(4096)
        self.heads.append(head)
        client.sendall(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if not self.status.startswith(b"200"):
            client.close()
            return
        host, _, port = head.split(b" ")[1].decode().partition(":")
        with client, socket.create_connection((host, int(port))) as upstream:
            back = threading.Thread(target=_pump, args=(upstream, client), daemon=True)
            back.start()
            _pump(client, upstream)
            back.join(1)


def _pump(source: Any, target: Any) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass


def test_a_proxy_carries_the_connection(
    server: BlobServer, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with _Proxy().running() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:p%40ss@{proxy.address}")
        assert _texts(server, tmp_path) == CONTENTS
        assert 1 <= len(proxy.heads) <= 4
        assert b"Proxy-Authorization: Basic YW5uOnBAc3M=" in proxy.heads[0]
        used = len(proxy.heads)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert _texts(server, tmp_path) == CONTENTS
        assert len(proxy.heads) == used
        monkeypatch.delenv("NO_PROXY")
        proxy.status = b"407 Proxy Authentication Required"
        with pytest.raises(UpstreamUnavailable, match=r"407 Proxy.*correct HTTPS_PROXY"):
            _texts(server, tmp_path)
