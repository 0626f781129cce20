from __future__ import annotations

import pytest

from tritter_assets.filters import pii
from tritter_assets_tests.filters.documents import document, judged


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail jane.doe@example.com now", ["jane.doe@example.com"]),
        ("mail root@db.internal now", ["root@db.internal"]),
        ("git@github.com:o/r.git", []),
        ("y = a@b.T", []),
        ("@property\ndef f(): pass", []),
        ("host 93.184.216.34 up", ["93.184.216.34"]),
        ("host 192.168.1.7 10.0.0.1 127.0.0.1 203.0.113.9", []),
        ("version = 94.12.3.40", []),
        ("oid 1.3.6.1.4.1.311", []),
        ("resolver 8.8.8.8", []),
        ("addr 2a00:1450:4001:82a::200e", ["2a00:1450:4001:82a::200e"]),
        ("x[::2] std::fmt 2001:db8::1", []),
        ("card 4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("card 4111 1111 1111 1112", []),
        ("x = 0.4111111111111111", []),
        ("iban DE89 3704 0044 0532 0130 00", ["DE89 3704 0044 0532 0130 00"]),
        ("ssn 536-22-8726", ["536-22-8726"]),
        ("ssn 078-05-1120", []),
        ("btc 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", ["16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"]),
        ("btc 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyX", []),
    ],
)
def test_golden(text, found):
    content = "# ünïcode first\n" + text + "\nlast = 1\n"
    verdicts = judged(pii.DEFINITION, document(content))
    spans = sorted((s.start, s.end) for v in verdicts for s in v.spans)
    assert [content[start:end] for start, end in spans] == found
    assert all(v.action.value == "redact" for v in verdicts)


def test_a_long_line_is_searched_to_its_end_in_bounded_time():
    content = "x = '" + "a" * 50_000 + " jane@example.com " + "1." * 20_000 + "'"
    verdicts = judged(pii.DEFINITION, document(content))
    spans = {content[s.start : s.end] for v in verdicts for s in v.spans}
    assert spans == {"jane@example.com"}


def test_evidence_never_holds_the_value():
    (verdict,) = judged(pii.DEFINITION, document("mail jane.doe@example.com\n"))
    assert "jane" not in verdict.evidence
