from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.contracts.policy import Policy, load_policy
from tritter_assets.licensing.expression import (
    Leaf,
    join_and,
    join_or,
    leaves,
    license_ids,
    normalize,
    parse,
)
from tritter_assets_tests.licensing.conftest import POLICY_FOLDER

POLICY = load_policy(POLICY_FOLDER)
IDS = ["MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0-only", "CC-BY-4.0", "0BSD"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "NOASSERTION"),
        ("", "NOASSERTION"),
        ("mit", "MIT"),
        ("The MIT License", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("BSD", "NOASSERTION"),
        ("new BSD License", "BSD-3-Clause"),
        ("GPL-2.0", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("GPLv3+ or MIT", "GPL-3.0-or-later OR MIT"),
        ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
        ("apache-2.0 with llvm-exception", "Apache-2.0 WITH LLVM-exception"),
        ("Apache-2.0 WITH nothing-known", "NOASSERTION"),
        ("License :: OSI Approved :: MIT License", "MIT"),
        ("License :: OSI Approved :: BSD License", "NOASSERTION"),
        ("odc-by", "ODC-By-1.0"),
        ("c-uda", "C-UDA-1.0"),
        ("bigcode-openrail-m", "LicenseRef-scancode-bigcode-open-rail-m-v1"),
        ("other", "NOASSERTION"),
        ("no_license", "NONE"),
        ('["MIT", "Apache-2.0"]', "Apache-2.0 AND MIT"),
        ("['MIT', 'something odd']", "NOASSERTION"),
        ("MIT, BSD-3-Clause", "BSD-3-Clause AND MIT"),
        ("Expat", "MIT"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LicenseRef-nobody-knows", "NOASSERTION"),
        ("MIT AND", "NOASSERTION"),
        ("Apache-2.0 and (MIT or BSD)", "NOASSERTION"),
        (
            "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
            "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0",
        ),
    ],
)
def test_names_become_spdx(text: str | None, expected: str, policy: Policy) -> None:
    assert normalize(text, policy) == expected


def test_every_alias_maps_to_a_valid_expression(policy: Policy) -> None:
    for names in (policy.aliases, policy.dep5_names):
        for name, target in names.items():
            read = normalize(name, policy)
            # An SPDX id is always itself, whatever an alias says.
            assert read in (target, normalize(target, policy)), name


def test_no_name_of_a_copyleft_licence_is_read_as_open(policy: Policy) -> None:
    for name in [*policy.aliases, *policy.dep5_names]:
        if re.search(r"gpl|mozilla|\bmpl|eclipse|-nc|rail", name):
            for spdx in license_ids(normalize(name, policy)):
                assert policy.category_of(spdx).lane == "closed", name


@given(st.text(max_size=80))
def test_any_text_gives_a_canonical_expression(text: str) -> None:
    read = normalize(text, POLICY)
    assert normalize(read, POLICY) == read


@given(st.lists(st.sampled_from(IDS), min_size=1, max_size=5))
def test_joining_forgets_order_and_repetition(ids: list[str]) -> None:
    assert join_and(ids) == join_and(reversed(ids)) == join_and([*ids, *ids])
    assert set(license_ids(join_and(ids))) == set(ids)
    assert set(license_ids(join_or(ids))) == set(ids)


def test_unknown_absorbs() -> None:
    assert join_and(["MIT", "NOASSERTION"]) == "NOASSERTION"
    assert parse("no such thing") == Leaf("NOASSERTION")
    assert [str(leaf) for leaf in leaves(parse("MIT OR (Apache-2.0 AND MIT)"))] == [
        "MIT",
        "Apache-2.0",
    ]
