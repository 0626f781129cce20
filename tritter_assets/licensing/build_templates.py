"""Writes `spdx_templates.tsv.xz`: the word form of the SPDX licence list that askalono carries.

Run once per release of the list, by hand: `python -m tritter_assets.licensing.build_templates`.
The store inside the pyaskalono wheel is a zstd-compressed MessagePack of 650 SPDX texts; its own
matcher takes 0.36 s a text, while the index built from this file takes about 2 ms.
"""

from __future__ import annotations

import lzma
import struct
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tritter_assets.errors import UpstreamChanged
from tritter_assets.licensing.words import license_words

TEMPLATES = Path(__file__).with_name("spdx_templates.tsv.xz")
_MAGIC = b"askalono-04"
_NUMBERS = {
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q", 0xCA: ">f", 0xCB: ">d",
}  # fmt: skip


def build(target: Path = TEMPLATES) -> int:
    """Writes the templates and returns how many there are.

    Raises:
        UpstreamChanged: the installed pyaskalono holds no store of the known format.
    """
    spec = find_spec("askalono")
    library = next(Path(spec.origin).parent.glob("*.so"), None) if spec and spec.origin else None
    data = library.read_bytes() if library else b""
    start = data.find(_MAGIC)
    if start < 0:
        raise UpstreamChanged(f"{library} holds no {_MAGIC.decode()} store; adapt to its format")
    # A list per licence: [[view, lines, processed text...], aliases, headers, alternates].
    store: dict[str, Any] = _Reader(_decompress(data[start + len(_MAGIC) :])).value()[0]
    lines = [
        f"{spdx}\t{' '.join(license_words(chr(10).join(entry[0][2])))}"
        for spdx, entry in sorted(store.items())
    ]
    target.write_bytes(
        lzma.compress("\n".join(lines).encode("ascii"), preset=9 | lzma.PRESET_EXTREME)
    )
    return len(lines)


def _decompress(data: bytes) -> bytes:
    """Reads one zstd frame that is followed by other bytes."""
    import pyarrow as pa

    whole = bytearray()
    for step in (4096, 1):
        stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
        stream.read(len(whole))
        try:
            while chunk := stream.read(step):
                whole += chunk
        except OSError:  # past the frame's end
            continue
    return bytes(whole)


class _Reader:
    """As much of MessagePack as the store uses."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def value(self) -> Any:
        tag = self._data[self._at]
        self._at += 1
        if tag < 0x80:
            return tag
        if tag < 0x90:
            return self._map(tag & 15)
        if tag < 0xA0:
            return self._list(tag & 15)
        if tag < 0xC0:
            return self._text(tag & 31)
        if tag in _NUMBERS:
            (number,) = struct.unpack_from(_NUMBERS[tag], self._data, self._at)
            self._at += struct.calcsize(_NUMBERS[tag])
            return number
        if tag in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[tag]
        sizes = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
        length = int.from_bytes(self._data[self._at : self._at + sizes[tag]], "big")
        self._at += sizes[tag]
        if tag <= 0xDB:
            return self._text(length)
        return self._list(length) if tag <= 0xDD else self._map(length)

    def _text(self, length: int) -> str:
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "replace")

    def _list(self, length: int) -> list[Any]:
        return [self.value() for _ in range(length)]

    def _map(self, length: int) -> dict[Any, Any]:
        return {self.value(): self.value() for _ in range(length)}


if __name__ == "__main__":
    sys.stdout.write(f"{build()} templates\n")
