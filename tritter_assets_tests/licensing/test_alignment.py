from __future__ import annotations

import pytest

from tritter_assets.licensing.alignment import agreement
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.words import license_words
from tritter_assets_tests.licensing.texts import BSD3, FOLDER, MIT


def named(text: str) -> str:
    """Names the holder wherever a BSD text can, as universities do."""
    holder = "The Regents of the University of Nowhere and its Institute of Advanced Things"
    return (
        text.replace("Enthought", holder)
        .replace("COPYRIGHT HOLDERS", holder)
        .replace("COPYRIGHT HOLDER", holder)
        .replace("COPYRIGHT OWNER", holder)
        .replace("REGENTS", holder)
    )


def test_the_same_words_agree_wholly() -> None:
    words = license_words(MIT)
    found = agreement(words, ["some", "words", *words, "more"])
    assert found is not None
    assert (found.score, found.start, found.end) == (1.0, 2, 2 + len(words))


def test_a_long_name_in_every_clause_is_still_the_licence() -> None:
    found = identify_text(named(BSD3))
    assert found.spdx == "BSD-3-Clause"
    assert 0.9 <= found.confidence < 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("the rights to use", "the rights to use for research"),
        ("the rights to use", "the rights to not use"),
        ("free of charge to", "for a fee to"),
        ("subject to the following", "only subject to the following"),
        ("is furnished to do so", "is furnished to do so except to sell it"),
    ],
)
def test_a_word_that_turns_the_permission_does_not_agree(old: str, new: str) -> None:
    own = license_words(MIT)
    edited = " ".join(own).replace(old, new).split()
    assert edited != own
    assert agreement(own, edited) is None


def test_a_lost_clause_does_not_agree() -> None:
    words = license_words(BSD3)
    assert agreement(words, words[:60] + words[90:]) is None


def test_what_limits_nothing_may_be_lost() -> None:
    text = MIT.replace("INCLUDING BUT NOT LIMITED TO THE WARRANTIES", "INCLUDING THE WARRANTIES")
    assert agreement(license_words(MIT), license_words(text)) is not None


@pytest.mark.parametrize("use", ["military", "commercial", "nuclear", "academic", "evaluation"])
def test_a_use_that_a_text_speaks_of_beyond_its_licence_makes_it_unknown(use: str) -> None:
    for text in (MIT, BSD3, (FOLDER / "ISC.txt").read_text("utf-8")):
        at = text.index(". ", len(text) // 3) if ". " in text[len(text) // 3 :] else len(text)
        edited = text[:at] + f" excluding any {use} use" + text[at:]
        assert identify_text(edited).spdx == "NOASSERTION"
