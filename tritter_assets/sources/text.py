"""From bytes to text, with the evidence for the encoding.

Order of evidence: a byte order mark, the encoding upstream states, UTF-8, a Python coding line
(PEP 263), and last windows-1252 when the text is nearly all ASCII. Nothing is decoded with
replacement characters: text that no evidence covers is skipped as `undecodable`.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from tritter_assets.sources.loader import SkipReason

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODING_LINE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_NOT_ENCODINGS = frozenset(
    {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem"}
)
_LEGACY_ASCII_SHARE = 0.95
"""Below this share of ASCII bytes a text that is not UTF-8 is not taken for windows-1252."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text and how its encoding is known."""

    text: str
    encoding: str
    """Codec name; `utf-8-sig` when a mark was removed."""


def decode_text(raw: bytes, stated: str | None = None) -> Decoded | SkipReason:
    """Decodes a file.

    Args:
        raw: The file's bytes.
        stated: Encoding that upstream states, e.g. Software Heritage's `src_encoding`.

    Returns:
        The text, or `empty`, `binary` (it holds NUL characters) or `undecodable`.
    """
    if not raw:
        return SkipReason.EMPTY
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _checked(raw, encoding) or SkipReason.UNDECODABLE
    if stated:
        found = _checked(raw, stated)
        if found is not None:
            return found
    if b"\0" in raw:
        return SkipReason.BINARY
    found = _checked(raw, "utf-8")
    if found is not None:
        return found
    cookie = _coding_line(raw)
    if cookie is not None:
        found = _checked(raw, cookie)
        if found is not None:
            return found
    if len(raw.translate(None, _HIGH_BYTES)) >= _LEGACY_ASCII_SHARE * len(raw):
        return _checked(raw, "windows-1252") or SkipReason.UNDECODABLE
    return SkipReason.UNDECODABLE


_HIGH_BYTES = bytes(range(0x80, 0x100))


def _checked(raw: bytes, encoding: str) -> Decoded | SkipReason | None:
    try:
        name = codecs.lookup(encoding).name
        if name.replace("-", "_") in _NOT_ENCODINGS:
            return None
        text = raw.decode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    if not isinstance(text, str):
        return None
    if not text:
        return SkipReason.EMPTY
    if "\0" in text:
        return SkipReason.BINARY
    if not is_storable(text):
        return None
    return Decoded(text, name)


def _coding_line(raw: bytes) -> str | None:
    for line in raw.split(b"\n", 2)[:2]:
        match = _CODING_LINE.match(line)
        if match:
            return match.group(1).decode("ascii", "replace")
    return None


def is_storable(text: str) -> bool:
    """False when a text holds lone surrogates, which no UTF-8 column can store."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
