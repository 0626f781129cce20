"""Streams that an archive is read through: decompressors with bounded memory, parts of a file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import IO, Any


class Xz(io.RawIOBase):
    """An xz stream whose dictionary may not pass `_XZ_MEMORY_BYTES`: its header asks for it."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self._decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` decompressed bytes."""
        while not self._decompressor.eof:
            chunk = self._inner.read(_CHUNK_BYTES) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not chunk:
                raise EOFError("the xz stream ends early")
            out = self._decompressor.decompress(chunk, size)
            if out:
                return out
        return b""


_XZ_MEMORY_BYTES = 256 << 20
"""xz -9, the greediest preset, needs 65 MiB to decompress."""
_CHUNK_BYTES = 1 << 16


def _open_zstd(inner: IO[bytes], _: str) -> IO[bytes]:
    import pyarrow as pa

    return pa.CompressedInputStream(inner, "zstd")  # pyright: ignore[reportReturnType]


OPENERS: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lambda inner, _: Xz(inner),
    b"\x28\xb5\x2f\xfd": _open_zstd,
}
"""By the first bytes of a stream."""


class Section(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, inner: IO[bytes], start: int, size: int) -> None:
        self._inner = inner
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Returns the place in the part."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves inside the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Returns up to `size` bytes of the part."""
        left = max(0, self._size - self._position)
        self._inner.seek(self._start + self._position)
        chunk = self._inner.read(left if size is None or size < 0 else min(size, left))
        self._position += len(chunk)
        return chunk
