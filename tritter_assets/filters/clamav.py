"""Optional scan with ClamAV: `clamscan`, or a running clamd by its socket. Off by default.

ClamAV without signatures, or with old ones, calls everything clean. So its database is looked at
first: engine version, number and age of the signatures are reported, and where they do not meet the
policy the stage fails and no document is called clean. Nothing here fetches signatures.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tritter_assets.errors import ContractViolation

DEFAULT_DATABASE = Path("/var/lib/clamav")
_PACKED = (".cvd", ".cld", ".cud")
_PLAIN = (".hdb", ".hsb", ".mdb", ".msb", ".ndb", ".ldb", ".idb", ".cdb", ".yar", ".yara")
_HEADER_BYTES = 512
_CHUNK_BYTES = 1 << 20
_WAY_OUT = "or set stages.malware.clamav to false in policy/filters.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClamState:
    """The engine and its signatures."""

    engine: str
    """What the program or the daemon says of its version; empty when there is none."""
    database: Path
    num_signatures: int
    newest: datetime | None
    """When the newest signatures were built: by their header, else by the file's time."""
    digest: str
    """Of the names, sizes and contents (packed files: headers) of the database."""

    def age_days(self, now: datetime) -> int | None:
        """Returns the age of the newest signatures."""
        return None if self.newest is None else (now - self.newest).days

    def describe(self, now: datetime) -> str:
        """Returns one line for a report."""
        age = self.age_days(now)
        known = (
            f"{self.num_signatures} signatures, newest {age} days old"
            if age is not None
            else ("no signatures: nothing is scanned")
        )
        return f"{self.engine or 'ClamAV not found'}: {known}"

    def require(self, max_age_days: int, now: datetime) -> None:
        """Refuses to scan with an engine or a database that could only say `clean`.

        Raises:
            ContractViolation: no engine, no signatures, or only old ones.
        """
        age = self.age_days(now)
        if not self.engine:
            raise ContractViolation(
                f"ClamAV is turned on and neither clamscan nor a clamd socket answers: install "
                f"it, {_WAY_OUT}"
            )
        if age is None or not self.num_signatures:
            raise ContractViolation(
                f"{self.engine} has no signatures in {self.database}, and without them it calls "
                f"everything clean: run freshclam, name another folder in clamav_database, "
                f"{_WAY_OUT}"
            )
        if age > max_age_days:
            raise ContractViolation(
                f"{self.engine}: the newest signatures in {self.database} are {age} days old, the "
                f"policy admits {max_age_days}: run freshclam, raise clamav_max_age_days, "
                f"{_WAY_OUT}"
            )


def clam_state(database: Path | None = None, daemon: Path | None = None) -> ClamState:
    """Looks at the engine and its database; scans nothing."""
    folder = database or DEFAULT_DATABASE
    number, newest, total = 0, None, hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in (*_PACKED, *_PLAIN) or not path.is_file():
            continue
        if path.suffix in _PACKED:
            with path.open("rb") as file:
                raw = file.read(_HEADER_BYTES)
            count, built = _header(raw, path)
        else:
            raw = path.read_bytes()
            lines = [line for line in raw.splitlines() if line.strip() and line[:1] != b"#"]
            yara = path.suffix in {".yar", ".yara"}
            count = sum(line.startswith(b"rule ") for line in lines) if yara else len(lines)
            built = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        number += count
        if count:
            newest = built if newest is None else max(newest, built)
        total.update(f"{path.name}\0{path.stat().st_size}\0".encode() + raw)
    return ClamState(
        engine=_engine(daemon),
        database=folder,
        num_signatures=number,
        newest=newest,
        digest=total.hexdigest()[:16],
    )


def scan_documents(
    documents: Sequence[bytes],
    *,
    database: Path | None,
    daemon: Path | None,
    timeout_s: int,
) -> list[str]:
    """Returns the signature that each document matches, or an empty string.

    Raises:
        ContractViolation: the scanner failed: what it did not scan is not clean.
    """
    if daemon is not None:
        return [_ask_daemon(daemon, document, timeout_s) for document in documents]
    with tempfile.TemporaryDirectory(prefix="tritter-clamav-") as name:
        folder = Path(name)
        for number, document in enumerate(documents):
            (folder / str(number)).write_bytes(document)
        command = [
            _program(),
            f"--database={database or DEFAULT_DATABASE}",
            "--recursive",
            "--no-summary",
            "--stdout",
            # Documents are bounded by the pass; ClamAV's own limits would skip in silence.
            "--max-filesize=0",
            "--max-scansize=0",
            "--alert-exceeds-max=yes",
            str(folder),
        ]
        limit = timeout_s * max(len(documents), 1) + 120
        try:
            done = subprocess.run(command, capture_output=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise ContractViolation(
                f"clamscan took over {limit} s for {len(documents)} documents; use a clamd socket "
                f"(clamav_socket), {_WAY_OUT}"
            ) from None
    if done.returncode not in {0, 1}:
        message = done.stderr.decode("utf-8", "replace").strip()[:300]
        raise ContractViolation(f"clamscan failed with {done.returncode}: {message}")
    verdicts: dict[int, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        path, _, verdict = line.rpartition(": ")
        if path.startswith(f"{folder}/"):
            verdicts[int(Path(path).name)] = verdict
    missing = [number for number in range(len(documents)) if number not in verdicts]
    if missing:
        raise ContractViolation(
            f"clamscan said nothing of {len(missing)} of {len(documents)} documents; check its log"
        )
    return [_name_of(verdicts[number]) for number in range(len(documents))]


def _name_of(verdict: str) -> str:
    """Reads `NAME FOUND`, `OK` or `Empty file`.

    Raises:
        ContractViolation: anything else is an error of the scanner.
    """
    if verdict.endswith(" FOUND"):
        return verdict.removesuffix(" FOUND")
    if verdict in {"OK", "Empty file"}:
        return ""
    raise ContractViolation(f"ClamAV answered {verdict[:200]!r}: the document was not scanned")


def _header(raw: bytes, path: Path) -> tuple[int, datetime]:
    """Reads `ClamAV-VDB:time:version:signatures:...` of a packed database."""
    fields = raw.decode("ascii", "replace").split(":")
    try:
        return int(fields[3]), datetime.strptime(fields[1], "%d %b %Y %H-%M %z")
    except (IndexError, ValueError):
        raise ContractViolation(
            f"{path}: not a ClamAV database ({raw[:40]!r}); run freshclam again"
        ) from None


def _engine(daemon: Path | None) -> str:
    if daemon is not None:
        try:
            return _converse(daemon, [b"zVERSION\0"], 10).split("/")[0]
        except OSError:
            return ""
    program = shutil.which("clamscan")
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, timeout=60, check=False)
    return done.stdout.decode("utf-8", "replace").split("/")[0].strip()


def _program() -> str:
    program = shutil.which("clamscan")
    if program is None:
        raise ContractViolation(f"clamscan is not on the path: install ClamAV, {_WAY_OUT}")
    return program


def _ask_daemon(daemon: Path, document: bytes, timeout_s: int) -> str:
    parts = [b"zINSTREAM\0"]
    for start in range(0, len(document), _CHUNK_BYTES):
        chunk = document[start : start + _CHUNK_BYTES]
        parts += [struct.pack("!I", len(chunk)), chunk]
    parts.append(struct.pack("!I", 0))
    try:
        answer = _converse(daemon, parts, timeout_s)
    except OSError as error:
        raise ContractViolation(f"clamd at {daemon} does not answer ({error}); start it") from None
    return _name_of(answer.removeprefix("stream: "))


def _converse(daemon: Path, parts: Sequence[bytes], timeout_s: int) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(daemon))
        for part in parts:
            connection.sendall(part)
        answer = b""
        while not answer.endswith(b"\0"):
            received = connection.recv(4096)
            if not received:
                break
            answer += received
    return answer.rstrip(b"\0").decode("utf-8", "replace").strip()
