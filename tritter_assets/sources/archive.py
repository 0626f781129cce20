"""Archives read in one pass, never unpacked to disk and never trusted.

A tar or zip is refused whole (`UnsafeArchive`) when it holds an absolute path, a path that leaves
its folder, a link, a device, a sparse file, or when it passes a limit on member size, member
count, total size or compression ratio. Sizes are counted on the bytes that really come out, so a
header that lies does not help an attacker. Of a Debian package the tar of its files is read; its
links, which are usual there, are passed over and never followed.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tritter_assets.errors import UnsafeArchive
from tritter_assets.sources.archive_streams import OPENERS, Section
from tritter_assets.sources.loader import Limits

ARCHIVE_FORMATS = ("tar.gz", "tgz", "tar.bz2", "tar.xz", "tar", "zip", "deb")

_HEADER_BYTES = 1 << 20
"""A long name or a pax header above this size is an attack: tarfile reads it into memory whole."""

_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of an archive."""

    path: str
    """As stored, its top folder included."""
    ordinal: int
    """Position among the regular files: tells members of one path apart."""
    content: bytes


def archive_format(name: str) -> str | None:
    """Returns the archive format of a file name, or None when it is no archive we read."""
    lowered = name.lower()
    return next((form for form in ARCHIVE_FORMATS if lowered.endswith(f".{form}")), None)


def read_archive(
    path: Path, file_format: str, limits: Limits, *, pass_links: bool = False
) -> Iterator[Member]:
    """Streams the regular files of an archive, in stored order.

    Args:
        path: The archive.
        file_format: One of `ARCHIVE_FORMATS`.
        limits: What it may produce.
        pass_links: Links are passed over, as in a Debian package, instead of refusing the archive;
            for archives that a person names. A link is never followed.

    Raises:
        UnsafeArchive: the archive breaks a rule or a limit, or is damaged.
    """
    match file_format:
        case "zip":
            members = _read_zip(path, limits, pass_links=pass_links)
        case "deb":
            members = _read_deb(path, limits)
        case _:
            members = _read_tar(path, limits, pass_links=pass_links)
    with _explained(path, file_format):
        yield from members


@contextmanager
def _explained(path: Path, file_format: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UnsafeArchive(
            f"{path.name} is damaged or is no {file_format}: {error}; delete the cached file, and "
            "if a new download does the same, pin another version"
        ) from None
    except OSError as error:
        # gzip and bz2 report bad streams as OSError
        raise UnsafeArchive(f"{path.name} cannot be read as {file_format}: {error}") from None


class _Budget:
    """Bytes and members that one archive may still produce."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._name = path.name
        self._limits = limits
        self._compressed = max(path.stat().st_size, 1)
        self._bytes = 0
        self._members = 0

    def take(self, num_bytes: int) -> None:
        self._bytes += num_bytes
        if self._bytes > self._limits.total_bytes:
            self.refuse(f"more than {self._limits.total_bytes} bytes come out of it")
        ratio = self._bytes / self._compressed
        if self._bytes > self._limits.ratio_floor_bytes and ratio > self._limits.compression_ratio:
            self.refuse(
                f"{self._bytes} bytes have come out of {self._compressed}: "
                f"a ratio above {self._limits.compression_ratio:g}"
            )

    def member(self, name: str, size_bytes: int) -> None:
        self._members += 1
        if self._members > self._limits.members:
            self.refuse(f"it holds more than {self._limits.members} members")
        if size_bytes > self._limits.member_bytes:
            self.refuse(f"{name!r} is {size_bytes} bytes, the limit is {self._limits.member_bytes}")

    def refuse(self, why: str) -> None:
        raise UnsafeArchive(
            f"{self._name} is refused: {why}; leave the package out, or raise the limit if you "
            "have looked at the archive and trust it"
        )

    def check_path(self, name: str) -> None:
        path = PurePosixPath(name)
        drive = len(name) > 1 and name[1] == ":" and name[0].isalpha()
        if path.is_absolute() or drive or name.startswith("\\") or "\0" in name:
            self.refuse(f"{name!r} is an absolute path")
        if ".." in path.parts or ".." in name.replace("\\", "/").split("/"):
            self.refuse(f"{name!r} leaves the archive's folder")


class _Counted(io.RawIOBase):
    """Hands on a decompressor's bytes and charges them to the budget."""

    def __init__(self, inner: IO[bytes], budget: _Budget) -> None:
        self._inner = inner
        self._budget = budget

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._inner.read(size)
        self._budget.take(len(chunk))
        return chunk

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)


class _ZipMember(_Counted):
    """Tells a damaged member as the archive's fault, before a reader of rows can misread it."""

    def __init__(self, inner: IO[bytes], budget: _Budget, path: Path) -> None:
        super().__init__(inner, budget)
        self._path = path

    def read(self, size: int = -1) -> bytes:
        with _explained(self._path, "zip"):
            return super().read(size)


class _GuardedTarInfo(tarfile.TarInfo):
    """Refuses huge headers and sparse files before tarfile acts on them."""

    def _proc_member(self, tarfile: Any) -> Any:  # the hook of TarInfo.fromtarfile
        if self.type in _HEADER_TYPES and self.size > _HEADER_BYTES:
            raise UnsafeArchive(f"a header of {self.size} bytes stands before a member")
        if self.type == b"S":
            raise UnsafeArchive(f"{self.name!r} is a sparse file")
        return super()._proc_member(tarfile)  # pyright: ignore[reportAttributeAccessIssue]


def _read_tar(path: Path, limits: Limits, *, pass_links: bool) -> Iterator[Member]:
    with path.open("rb") as raw:
        yield from _tar_members(raw, _Budget(path, limits), pass_links=pass_links)


def _tar_members(raw: IO[bytes], budget: _Budget, *, pass_links: bool) -> Iterator[Member]:
    magic = raw.read(8)
    raw.seek(0)
    opener = next((o for mark, o in OPENERS.items() if magic.startswith(mark)), None)
    stream: IO[bytes] = raw if opener is None else opener(raw, "rb")
    # One forward pass: member order and links cannot make us seek or reread.
    with tarfile.open(
        fileobj=_Counted(stream, budget), mode="r|", tarinfo=_GuardedTarInfo
    ) as archive:
        ordinal = 0
        while (info := archive.next()) is not None:
            _forget_headers(archive)
            budget.check_path(info.name)
            budget.member(info.name, info.size)
            if info.isdir():
                continue
            if info.issym() or info.islnk():
                if pass_links:
                    continue
                budget.refuse(f"{info.name!r} is a link to {info.linkname!r}")
            if not info.isreg() or info.issparse():
                budget.refuse(f"{info.name!r} is neither a file nor a folder")
            content = archive.extractfile(info)
            assert content is not None
            data = content.read()
            if len(data) != info.size:
                budget.refuse(f"{info.name!r} ends early")
            yield Member(info.name, ordinal, data)
            ordinal += 1


_AR_MAGIC = b"!<arch>\n"
_AR_HEADER_BYTES = 60
_AR_MAX_MEMBERS = 16
"""A Debian package has three: its version, its control files and its files."""


def _read_deb(path: Path, limits: Limits) -> Iterator[Member]:
    budget = _Budget(path, limits)
    total = path.stat().st_size
    with path.open("rb") as raw:
        if raw.read(len(_AR_MAGIC)) != _AR_MAGIC:
            budget.refuse("it is no Debian package")
        position = len(_AR_MAGIC)
        for _ in range(_AR_MAX_MEMBERS):
            raw.seek(position)
            header = raw.read(_AR_HEADER_BYTES)
            digits = header[48:58].strip()
            if len(header) < _AR_HEADER_BYTES or header[58:] != b"`\n" or not digits.isdigit():
                break
            size, start = int(digits), position + _AR_HEADER_BYTES
            if start + size > total:
                budget.refuse("a member of the package ends behind the file")
            if header[:16].rstrip(b" /").startswith(b"data.tar"):
                section: Any = Section(raw, start, size)
                yield from _tar_members(section, budget, pass_links=True)
                return
            position = start + size + size % 2
        budget.refuse("it holds no data.tar, as a Debian package must")


def _forget_headers(archive: tarfile.TarFile) -> None:
    """Empties the list in which tarfile would keep every header until the end."""
    headers: list[Any] = archive.__dict__["members"]
    headers.clear()


_UNIX_LINK, _UNIX_FILE = 0o120000, 0o100000


def _read_zip(path: Path, limits: Limits, *, pass_links: bool) -> Iterator[Member]:
    budget = _Budget(path, limits)
    with zipfile.ZipFile(path) as archive:
        for ordinal, info in enumerate(archive.infolist()):
            budget.member(info.filename, info.file_size)
            if pass_links and _kind(info) == _UNIX_LINK:
                continue
            if not _is_plain_file(info, budget):
                continue
            parts: list[bytes] = []
            size = 0
            with archive.open(info) as content:
                while chunk := content.read(1 << 20):
                    size += len(chunk)
                    budget.take(len(chunk))
                    if size > min(info.file_size, limits.member_bytes):
                        budget.refuse(f"{info.filename!r} is larger than its header says")
                    parts.append(chunk)
            yield Member(info.filename, ordinal, b"".join(parts))


def _kind(info: zipfile.ZipInfo) -> int:
    return (info.external_attr >> 16) & 0o170000


def _is_plain_file(info: zipfile.ZipInfo, budget: _Budget) -> bool:
    """True for a file, false for a folder; anything else refuses the archive."""
    budget.check_path(info.filename)
    if info.is_dir():
        return False
    kind = _kind(info)
    if kind == _UNIX_LINK:
        budget.refuse(f"{info.filename!r} is a link")
    if kind not in (0, _UNIX_FILE):
        budget.refuse(f"{info.filename!r} is neither a file nor a folder")
    if info.flag_bits & 1:
        budget.refuse(f"{info.filename!r} is encrypted")
    return True


def zip_members(path: Path, limits: Limits) -> tuple[zipfile.ZipInfo, ...]:
    """Returns a zip's files from its directory, sorted by path; no content is read.

    Raises:
        UnsafeArchive: it breaks a rule, or is no zip.
    """
    budget = _Budget(path, limits)
    with _explained(path, "zip"), zipfile.ZipFile(path) as archive:
        found: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            budget.member(info.filename, 0)  # streamed, so one member's size is no danger
            if _is_plain_file(info, budget):
                found[info.filename] = info
    return tuple(found[name] for name in sorted(found))


@contextmanager
def open_zip_member(path: Path, name: str, limits: Limits) -> Iterator[IO[bytes]]:
    """Opens one file of a zip as a stream; the archive's limits hold on what really comes out.

    Raises:
        UnsafeArchive: more bytes come out than the limits allow, or the member is damaged.
    """
    budget = _Budget(path, limits)
    with (
        _explained(path, "zip"),
        zipfile.ZipFile(path) as archive,
        archive.open(name) as inner,
    ):
        yield io.BufferedReader(_ZipMember(inner, budget, path), buffer_size=1 << 20)
