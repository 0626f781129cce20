from __future__ import annotations

import random
import time

import polars as pl
import pytest

from tritter_assets.filters import pii_detect
from tritter_assets.filters.pii_detect import KINDS, detect_pii, recognizer_of

WHOLE = """
user.name jane@example.com x@y.zz root@db.internal a@xn--d1acufc.xn--p1ai info@presidio. b/c@d.com
1.2.3.4 255.255.255.255 256.1.1.1 10.0.0.0/8 1.2.3.4/99 ::ffff:1.2.3.4 64:ff9b::192.0.2.0/96
dead:beef 2001:db8:: 1:2:3:4:5:6:7:8 00:11:22:33:44:55:66:77 fe80::1%eth0/64 :: ::1 [::-1] a::b
4111111111111111 378282246310005 6011-1111-1111-1117 1612345678901 1111-1111
DE89370400440532013000 GB82-WEST-1234-5698-7654-32 FR1420041010050500013M02606 AB12 WEST
536-22-8726 536.22.8726 123456789 219099998 53622-8726 536-228726 078-05-1120 666-00-0000
16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy qwertyuiopasdfghjkzxcvbnm
bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq BC1 bc1
""".split()  # fmt: skip
PARTS = [
    *"a f Z G 0 1 3 4 45 411 4111 666 @ . - -- _ + / ? # ' = : :: % com co org ffff:".split(),
    *"GB82 2004 0505 X9".split(),
    " ",
    "  ",
    "\n",
    "\t",
    "\r",
    "\0",
    # Digits, letters and marks that Unicode counts as \d or \w, or folds to i, s and k.
    *"\u0663 \u0664\u0661 \xe9 \u4e2d \u201c \u0301 \u017f \u212a \u0130 \u0131 \ufb00".split(),
]  # fmt: skip


def presidio(texts, entities=tuple(KINDS)):
    return {
        (row, entity, result.start, result.end, result.score)
        for row, text in enumerate(texts)
        for entity in entities
        for result in recognizer_of(entity).analyze(text, [entity])
    }


def ours(texts, **options):
    return {tuple(finding) for finding in detect_pii(pl.Series("content", texts), **options)}


def test_equals_presidio_on_texts_made_of_fragments():
    chance = random.Random(10)
    texts = [
        "".join(chance.choice((WHOLE, PARTS)[chance.random() < 0.6]) for _ in range(1 + n % 30))
        for n in range(1_500)
    ]
    expected = presidio(texts)
    assert {entity for _, entity, *_ in expected} == set(KINDS)
    assert ours(texts) == expected
    assert ours(texts, min_score=0.5) == {found for found in expected if found[4] >= 0.5}


def test_a_finding_may_lie_anywhere_in_a_long_line():
    lines = ["x" * n + " jane@example.com 4111 1111 1111 1111 " + "y" * 5000 for n in range(7, 9)]
    spread = ["536-22-\n8726 4111\n1111 1111 1111", "\xe9" * 4090 + " 9.9.9.10 \xe9"]
    assert ours([*lines, *spread]) == presidio([*lines, *spread])
    (last,) = [found for found in ours(spread) if found[0] == 1]
    assert last == (1, "ip", 4091, 4099, 0.6)


def test_documents_do_not_touch_one_another():
    texts = ["a@b.c", "om", "41111111", "11111111", "", "1.2.3.", "4", ":", ":", "jane@", "x.org"]
    assert ours(texts) == presidio(texts) == set()


def test_internal_mailboxes_are_reported_on_request_only():
    text = "x@y@db.internal; root@db.internal, (ops+1@a.b.corp) me@corp"
    assert ours([text]) == set()
    found = ours([text], internal_suffixes=("internal", "corp"))
    assert {text[start:end] for _, _, start, end, _ in found} == {
        "root@db.internal",
        "ops+1@a.b.corp",
    }


def test_a_presidio_with_other_expressions_reads_whole_documents(monkeypatch):
    asked = []
    known = {**pii_detect._KNOWN, "us_ssn": "of another version"}
    analyze = recognizer_of("us_ssn").analyze
    monkeypatch.setattr(pii_detect, "_KNOWN", known)
    monkeypatch.setattr(
        recognizer_of("us_ssn"),
        "analyze",
        lambda text, entities: asked.append(text) or analyze(text, entities),
    )
    text = "x" * 1000 + " 536-22-8726"
    assert ours([text]) == {(0, "us_ssn", 1001, 1012, 0.5)}
    assert asked == [text]


@pytest.mark.parametrize(
    "bait",
    [
        "a-" * 500_000 + ".@b.co",
        "a-" * 500_000 + "@x a@b.co",
        "a-" * 500_000 + "\u201ca@b.co",
        "@a.b" * 50_000,
        "x@a.co" * 20_000,
        "1." * 50_000,
        "f:" * 500_000,
        "4 " * 500_000,
        "4111-" * 200_000,
        "AB12" * 100_000,
        "bc1q" * 100_000,
        "1\u212a" * 100_000,
        "1" + "A" * 1_000_000,
        "\0" * 1_000_000,
        "3\u4e2d" * 200_000,
    ],
    ids=lambda bait: ascii(bait[:6] + "..." + bait[-6:]),
)
def test_baits_take_time_in_proportion_to_their_length(bait):
    detect_pii(pl.Series("content", ["a@b.co"]))
    begin = time.process_time()
    detect_pii(pl.Series("content", [bait]))
    assert time.process_time() - begin < 5.0
