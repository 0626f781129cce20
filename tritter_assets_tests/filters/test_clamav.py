from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import malware
from tritter_assets.filters.clamav import clam_state, scan_documents
from tritter_assets.filters.context import clamav_of
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets_tests.filters.documents import GOOD, RAW, document, judged
from tritter_assets_tests.filters.test_malware import EICAR

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HARMLESS = "a harmless marker that the test's own signature names\n" + GOOD

needs_clamscan = pytest.mark.skipif(shutil.which("clamscan") is None, reason="needs ClamAV")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two signatures: the hash of one document, and a sequence of bytes."""
    folder = tmp_path / "signatures"
    folder.mkdir()
    raw = EICAR.encode()
    (folder / "own.hdb").write_text(f"{hashlib.md5(raw).hexdigest()}:{len(raw)}:Own.Eicar\n")
    (folder / "own.ndb").write_text(f"Own.Marker:0:*:{HARMLESS[:40].encode().hex()}\n")
    return folder


class Daemon:
    """Speaks clamd's protocol on a socket of its own; names documents that hold a marker."""

    def __init__(self, path: Path, answer: str = "") -> None:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                command = bytearray()
                while not command.endswith(b"\0"):
                    command += file.read(1)
                if command == b"zVERSION\0":
                    connection.sendall(b"ClamAV 1.4.6/27800/Fri Nov 20 09:00:00 2026\0")
                    continue
                document = b""
                while size := struct.unpack("!I", file.read(4))[0]:
                    document += file.read(size)
                found = "Own.Marker FOUND" if b"harmless marker" in document else "OK"
                connection.sendall(f"stream: {self._answer or found}\0".encode())

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def daemon(tmp_path: Path):
    server = Daemon(tmp_path / "clamd")
    yield tmp_path / "clamd"
    server.close()


def test_signatures_are_counted_and_dated(tmp_path: Path, database: Path, daemon: Path):
    os.utime(database / "own.hdb", (NOW.timestamp() - 86400 * 9,) * 2)
    os.utime(database / "own.ndb", (NOW.timestamp() - 86400 * 3,) * 2)
    (database / "notes.txt").write_text("not a signature")
    state = clam_state(database, daemon)
    assert (state.engine, state.num_signatures, state.age_days(NOW)) == ("ClamAV 1.4.6", 2, 3)
    assert state.describe(NOW) == "ClamAV 1.4.6: 2 signatures, newest 3 days old"
    header = b"ClamAV-VDB:19 Nov 2026 08-00 +0000:27800:2077000:90:x:y:raynman:1"
    (database / "daily.cvd").write_bytes(header.ljust(512) + b"packed")
    packed = clam_state(database, daemon)
    assert (packed.num_signatures, packed.age_days(NOW)) == (2_077_002, 0)
    assert packed.digest != state.digest
    (database / "daily.cvd").write_bytes(b"not a database")
    with pytest.raises(ContractViolation, match=r"daily\.cvd"):
        clam_state(database, daemon)


def test_nothing_is_called_clean_without_fresh_signatures(
    tmp_path: Path, database: Path, daemon: Path
):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ContractViolation, match="has no signatures"):
        clam_state(empty, daemon).require(7, NOW)
    assert "nothing is scanned" in clam_state(empty, daemon).describe(NOW)
    with pytest.raises(ContractViolation, match="neither clamscan nor a clamd socket"):
        clam_state(database, tmp_path / "nobody").require(7, NOW)
    fresh = clam_state(database, daemon)
    later = datetime.now(UTC) + timedelta(days=9)
    with pytest.raises(ContractViolation, match=r"9 days old, the policy admits 7"):
        fresh.require(7, later)
    fresh.require(9, later)
    with pytest.raises(ContractViolation, match="has no signatures"):
        judged(
            malware.DEFINITION,
            document(GOOD),
            clamav=True,
            clamav_database=str(empty),
            clamav_socket=str(daemon),
        )


def test_what_the_daemon_names_is_quarantined(database: Path, daemon: Path):
    options = {"clamav_database": str(database), "clamav_socket": str(daemon)}
    rows = [document(HARMLESS), document(GOOD), document("")]
    (found,) = judged(malware.DEFINITION, *rows, clamav=True, **options)
    assert (found.action.value, found.evidence) == ("quarantine", "ClamAV: Own.Marker")
    assert found.id == document(HARMLESS)["id"]
    assert judged(malware.DEFINITION, *rows, **options) == []
    # A document that a rule caught is not scanned again.
    (rule,) = judged(malware.DEFINITION, document(EICAR + HARMLESS), clamav=True, **options)
    assert "eicar_test_file" in rule.evidence


def test_an_answer_that_is_no_verdict_is_an_error(tmp_path: Path, database: Path):
    path = tmp_path / "broken"
    server = Daemon(path, "INSTREAM size limit exceeded. ERROR")
    with pytest.raises(ContractViolation, match="was not scanned"):
        scan_documents([b"x"], database=database, daemon=path, timeout_s=5)
    server.close()
    with pytest.raises(ContractViolation, match="does not answer"):
        scan_documents([b"x"], database=database, daemon=tmp_path / "nobody", timeout_s=5)


def test_the_pass_knows_whether_any_source_is_scanned(database: Path, daemon: Path):
    assert clamav_of(FilterSettings(RAW)) is None
    options = {"clamav_database": str(database), "clamav_socket": str(daemon)}
    flagged = {"overrides": {"tag": {"commits": {"clamav": True}}}, **options}
    first = clamav_of(FilterSettings(RAW, {"malware": flagged}))
    assert first is not None
    assert first.num_signatures == 2
    (database / "own.ndb").write_text("Other:0:*:00ff00ff00ff\n")
    second = clamav_of(FilterSettings(RAW, {"malware": {"clamav": True, **options}}))
    assert second is not None
    assert second.digest != first.digest


@needs_clamscan
def test_clamscan_names_documents_and_only_those(database: Path):
    names = scan_documents(
        [EICAR.encode(), GOOD.encode(), HARMLESS.encode(), b""],
        database=database,
        daemon=None,
        timeout_s=10,
    )
    assert names == ["Own.Eicar.UNOFFICIAL", "", "Own.Marker.UNOFFICIAL", ""]


@needs_clamscan
def test_clamscan_that_fails_is_an_error(tmp_path: Path):
    with pytest.raises(ContractViolation, match="clamscan failed with 2"):
        scan_documents([b"x"], database=tmp_path / "none", daemon=None, timeout_s=10)
