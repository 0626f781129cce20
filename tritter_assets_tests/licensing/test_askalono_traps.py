"""Where askalono, the matcher whose copies of the texts we use, answers wrongly, and we must not.

Measured with its Python binding: Apache's terms without their appendix are "Pixar" at 0.98; joined
files score below 0.7 for every licence; a GPL text is always "GPL-x-only".
"""

from __future__ import annotations

import pytest

from tritter_assets.contracts.policy import Policy
from tritter_assets.licensing.detect import identify_text
from tritter_assets_tests.licensing.test_conclude import conclude, one
from tritter_assets_tests.licensing.test_repository import APACHE, GPL3, LGPL3_ALONE
from tritter_assets_tests.licensing.texts import BSD3, FOLDER, GPL_HEADER, MIT

PIXAR = "Modified Apache 2.0 License"


def test_a_look_alike_is_told_by_its_own_words() -> None:
    terms = APACHE[: APACHE.index("END OF TERMS AND CONDITIONS")]
    assert identify_text(terms).spdx == "Apache-2.0"
    assert identify_text(f"{terms}\n\n{PIXAR}").spdx != "Apache-2.0"


@pytest.mark.parametrize(
    "between", ["\n\n", f"\n{'=' * 70}\n", "\n\nThe following is for vendor/:\n"]
)
def test_joined_files_are_all_named(between: str) -> None:
    zlib = (FOLDER / "Zlib.txt").read_text("utf-8")
    found = identify_text(between.join([APACHE, BSD3, zlib]))
    assert found.spdx == "Apache-2.0 AND BSD-3-Clause AND Zlib"
    assert found.confidence >= 0.9
    assert identify_text(between.join([MIT, GPL3])).spdx == "GPL-3.0-only AND MIT"


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        (GPL3, "GPL-3.0-or-later", "GPL-3.0-or-later"),
        (GPL3, "GPLv3+", "GPL-3.0-or-later"),
        (GPL3, "GPL-3.0-only", "GPL-3.0-only"),
        (LGPL3_ALONE, "LGPL-3.0-or-later", "LGPL-3.0-or-later"),
    ],
)
def test_or_later_is_taken_from_who_says_it(
    text: str, declared: str, expected: str, policy: Policy
) -> None:
    frame = conclude(
        policy,
        {"a.py": ""},
        license_files=(("COPYING", text),),
        metadata=(("license_expression", declared),),
    )
    assert one(frame)[0] == expected


def test_a_header_says_or_later_where_the_text_cannot(policy: Policy) -> None:
    frame = conclude(policy, {"a.py": GPL_HEADER}, license_files=(("COPYING", GPL3),))
    assert one(frame)[0] == "GPL-2.0-or-later"
