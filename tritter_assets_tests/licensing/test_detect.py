from __future__ import annotations

import lzma
import random
from pathlib import Path

import pytest

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing import detect
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import license_ids
from tritter_assets_tests.licensing.texts import (
    BSD3,
    FOLDER,
    MIT,
    commented,
    rewrapped,
    without_clause_three,
)

TEMPLATES = dict(
    line.split("\t")
    for line in lzma.decompress(
        Path(detect.__file__).with_name("spdx_templates.tsv.xz").read_bytes()
    )
    .decode()
    .split("\n")
)
COPYLEFT = sorted(s for s in TEMPLATES if scancode_category(s).startswith("Copyleft"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_texts_as_shipped(path: Path) -> None:
    found = identify_text(path.read_text("utf-8"))
    assert found.spdx == path.stem
    assert found.confidence >= 0.9


@pytest.mark.parametrize("width", [40, 72, 200, 10_000])
def test_wrapping_comment_signs_and_holders_change_nothing(width: int) -> None:
    for text, spdx in ((MIT, "MIT"), (BSD3, "BSD-3-Clause")):
        edited = rewrapped(text, width).replace("Jane Doe", "ACME Corp. and others")
        assert identify_text(edited).spdx == spdx
        assert identify_text(commented(edited, "//")).spdx == spdx
        assert identify_text(edited.upper()).spdx == spdx


def test_a_clause_less_is_another_licence() -> None:
    assert identify_text(BSD3).spdx == "BSD-3-Clause"
    assert identify_text(without_clause_three(BSD3)).spdx == "BSD-2-Clause"


def test_joined_files_give_every_part() -> None:
    apache = (FOLDER / "Apache-2.0.txt").read_text("utf-8")
    found = identify_text("\n\n".join([apache, BSD3, MIT, MIT.replace("Jane", "Joe")]))
    assert found.spdx == "Apache-2.0 AND BSD-3-Clause AND MIT"
    assert [part.spdx for part in found.parts] == ["Apache-2.0", "BSD-3-Clause", "MIT", "MIT"]


def test_a_choice_between_two_texts() -> None:
    both = f"This library is dual-licensed under either of the following.\n\n{MIT}\n\n{BSD3}"
    assert identify_text(both).spdx == "BSD-3-Clause OR MIT"


def test_apache_without_its_appendix_is_not_pixars() -> None:
    apache = (FOLDER / "Apache-2.0.txt").read_text("utf-8")
    terms = apache[: apache.index("END OF TERMS AND CONDITIONS")]
    assert identify_text(terms).spdx == "Apache-2.0"


def test_apache_with_llvm_exception() -> None:
    apache = (FOLDER / "Apache-2.0.txt").read_text("utf-8")
    exception = (
        "---- LLVM Exceptions to the Apache 2.0 License ----\n\nAs an exception, if you combine "
        "compiled forms of this Software with software that is licensed under the GPLv2, you may "
        "choose to waive such Section(s), but only with respect to the Combined Software.\n"
    )
    assert identify_text(apache + exception).spdx == "Apache-2.0 WITH LLVM-exception"


@pytest.mark.parametrize(
    "rider",
    [
        "The Software shall be used for Good, not Evil.",
        '"Commons Clause" License Condition v1.0: the right to Sell the Software is withheld.',
        "This software may be used for non-commercial purposes only.",
        "Unauthorized copying of this file, via any medium, is strictly prohibited.",
        "Some files are under the GNU General Public License.",
    ],
)
def test_words_that_limit_the_use_are_never_overlooked(rider: str) -> None:
    for text in (f"{MIT}\n\n{rider}\n", f"{rider}\n\n{MIT}"):
        found = identify_text(text)
        closed = any(scancode_category(s).startswith("Copyleft") for s in license_ids(found.spdx))
        assert found.spdx in ("NOASSERTION", "JSON") or closed


def test_a_note_on_being_compatible_with_the_gpl_is_no_grant_of_it() -> None:
    note = (
        "(1) A GPL-compatible license makes it possible to combine Frob with other software that "
        "is released under the GPL, it does not mean that we're distributing Frob under the GPL "
        "license. The BSD license, unlike the GPL, lets you keep your changes to yourself."
    )
    assert identify_text(f"{BSD3}\n\n{note}").spdx == "BSD-3-Clause"
    mixed = identify_text(f"{BSD3}\n\n{note}\n\nSome files are released under the GPL.").spdx
    assert mixed != "BSD-3-Clause"


def test_markup_and_other_scripts() -> None:
    page = "<p>" + MIT.replace('"', "&quot;").replace("\n\n", "</p>\n<p>") + "</p>"
    assert identify_text(page).spdx == "MIT"
    assert identify_text(f"{MIT}\n\n" + "\u8a31\u8af6\u66f8\u306e\u5168\u6587 " * 120).spdx == (
        "NOASSERTION"
    )


def test_an_offer_of_the_gpl_instead_is_a_choice() -> None:
    offer = (
        "ALTERNATIVELY, this product may be distributed under the terms of the GNU General Public "
        "License, in which case the provisions of the GPL are required INSTEAD OF the above "
        "restrictions. (This clause is necessary due to a potential bad interaction between the "
        "GPL and the restrictions contained in a BSD-style copyright.)\n\n"
    )
    at = BSD3.index("THIS SOFTWARE IS PROVIDED")
    found = identify_text(BSD3[:at] + offer + BSD3[at:])
    assert found.spdx == "BSD-3-Clause OR GPL-1.0-or-later"


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_truncated_text_is_unknown(share: float) -> None:
    assert identify_text(MIT[: int(len(MIT) * share)]).spdx == "NOASSERTION"


def test_nothing_in_nothing() -> None:
    assert identify_text("").method == "none"
    assert identify_text("def f():\n    return 1\n" * 500).spdx == "NOASSERTION"


def test_copyleft_texts_never_become_permissive() -> None:
    """Every copyleft text of the SPDX list: whole, cut, with words lost, and before MIT."""
    chance = random.Random(7)
    for spdx in COPYLEFT:
        words = TEMPLATES[spdx].split()[:6000]
        if len(words) < 60:
            continue
        few = [word for word in words if chance.random() > 0.02]
        for text in (words, words[: len(words) * 9 // 10], few):
            _assert_not_permissive(" ".join(text), spdx)
        _assert_not_permissive(" ".join(words) + "\n\n" + MIT, spdx)


def _assert_not_permissive(text: str, spdx: str) -> None:
    found = identify_text(text).spdx
    categories = [scancode_category(one) for one in license_ids(found)]
    allowed = found == "NOASSERTION" or any(
        category not in ("Permissive", "Public Domain") for category in categories
    )
    assert allowed, (spdx, found)
