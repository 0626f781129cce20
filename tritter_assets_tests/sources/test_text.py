from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.sources.loader import SkipReason
from tritter_assets.sources.text import Decoded, decode_text, is_storable


@pytest.mark.parametrize(
    ("raw", "stated", "wanted"),
    [
        (b"", None, SkipReason.EMPTY),
        (b"\xef\xbb\xbf", None, SkipReason.EMPTY),
        (b"x = 1\n", None, ("x = 1\n", "utf-8")),
        (b"a\r\nb\r\n", None, ("a\r\nb\r\n", "utf-8")),
        ("\xe9".encode(), None, ("\xe9", "utf-8")),
        (b"\xef\xbb\xbfx", None, ("x", "utf-8-sig")),
        ("h\xe9".encode("utf-16"), None, ("h\xe9", "utf-16")),
        (b"\x7fELF\0\0\0", None, SkipReason.BINARY),
        (
            b"# coding: latin-1\ns = '\xe9'\n",
            None,
            ("# coding: latin-1\ns = '\xe9'\n", "iso8859-1"),
        ),
        (b"abc " * 50 + b"caf\xe9", None, ("abc " * 50 + "caf\xe9", "cp1252")),
        (b"\xe9\xe8\xe7\xe6", None, SkipReason.UNDECODABLE),
        ("\u65e5\u672c".encode("shift_jis"), "SHIFT_JIS", ("\u65e5\u672c", "shift_jis")),
        ("\u65e5\u672c".encode("shift_jis"), "UTF-8", SkipReason.UNDECODABLE),
        (b"# coding: unicode_escape\n\\x41 \xff\xff\xff\xff", None, SkipReason.UNDECODABLE),
        (b"plain", "no-such-codec", ("plain", "utf-8")),
    ],
)
def test_decoding_table(raw: bytes, stated: str | None, wanted: object) -> None:
    found = decode_text(raw, stated)
    if isinstance(found, Decoded):
        assert (found.text, found.encoding) == wanted
    else:
        assert found == wanted


@given(st.text(min_size=1).filter(lambda t: "\0" not in t and not t.startswith("\ufeff")))
def test_every_storable_text_survives_utf8(text: str) -> None:
    if is_storable(text):
        assert decode_text(text.encode()) == Decoded(text, "utf-8")


@given(st.binary(max_size=200))
def test_any_bytes_give_text_or_a_reason(raw: bytes) -> None:
    found = decode_text(raw)
    assert isinstance(found, SkipReason) or is_storable(found.text)


def test_lone_surrogates_are_not_storable() -> None:
    assert not is_storable("a\ud800")
