"""Whole lists of the names that sources use: each is read, or is known not to say which licence.

`names/trove.txt` holds every `License ::` line of trove-classifiers 2026.9.21.13, `names/hub.txt`
the tags of the Hub's documentation, `names/github.txt` the keys of GitHub's licence API.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from license_expression import get_license_index

from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.expression import canonical, license_ids, normalize
from tritter_assets.record import NOASSERTION

_NAMES = Path(__file__).with_name("names")
_OPEN = ("Permissive", "Public Domain", "CC0")

_SPDX_IDS_OF_ANOTHER_LICENCE = {"bsl-1.0", "intel"}
"""ScanCode's keys for the Business Source License and for a licence of Intel's are SPDX's ids of
others. An SPDX id is always itself; what ScanCode writes as SPDX names the right ones."""

SAYS_NO_LICENCE = {
    "trove": {
        "License :: DFSG approved",
        "License :: Eiffel Forum License (EFL)",
        "License :: Freely Distributable",
        "License :: Netscape Public License (NPL)",
        "License :: OSI Approved",
        "License :: OSI Approved :: Apple Public Source License",
        "License :: OSI Approved :: Artistic License",
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: Eiffel Forum License",
        "License :: OSI Approved :: Jabber Open Source License",
    },
    "hub": {"bsd", "cc", "other", "unknown"},
    "github": {"other"},
}


@pytest.mark.parametrize("source", sorted(SAYS_NO_LICENCE))
def test_every_name_of_a_source_is_read_or_known_to_say_nothing(
    source: str, policy: Policy
) -> None:
    names = (_NAMES / f"{source}.txt").read_text("utf-8").splitlines()
    read = {name: normalize(name, policy) for name in names}
    assert {name for name, found in read.items() if found == NOASSERTION} == SAYS_NO_LICENCE[source]
    for name, found in read.items():
        assert canonical(found) is not None, name


def test_trove_classifiers_are_all_decided_in_the_policy(policy: Policy) -> None:
    names = (_NAMES / "trove.txt").read_text("utf-8").splitlines()
    last = {name.rsplit(" :: ", 1)[1].lower() for name in names}
    assert last <= set(policy.classifiers), sorted(last - set(policy.classifiers))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("License :: OSI Approved :: MIT No Attribution License (MIT-0)", "MIT-0"),
        ("License :: Free For Educational Use", "LicenseRef-Academic-Use-Only"),
        ("License :: OSI Approved :: Sleepycat License", "Sleepycat"),
        ("lgpl-lr", "LGPLLR"),
        ("llama3.3", "LicenseRef-Proprietary"),
        ("gfdl-1.3", "GFDL-1.3-only"),
        ("bsd-new", "BSD-3-Clause"),
        ("gpl-2.0-plus", "GPL-2.0-or-later"),
        ("deprecated_GPL-3.0+", "GPL-3.0-or-later"),
        ("mit OR gpl-1.0-plus", "MIT OR GPL-1.0-or-later"),
        ("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"),
        ("GPL-2 with Linux-syscall-note exception", "GPL-2.0-only WITH Linux-syscall-note"),
        ("GPL-2+ with OpenSSL exception", NOASSERTION),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("BSD-3-clause and/or GPL-3+", NOASSERTION),
    ],
)
def test_names_of_other_worlds(name: str, expected: str, policy: Policy) -> None:
    assert normalize(name, policy) == expected


def test_no_key_of_scancode_becomes_more_open_than_its_licence(policy: Policy) -> None:
    entries = [entry for entry in get_license_index() if entry["spdx_license_key"]]
    read = 0
    for entry in entries:
        if entry["is_exception"] or entry["license_key"] in _SPDX_IDS_OF_ANOTHER_LICENCE:
            continue
        found = normalize(entry["license_key"], policy)
        read += found != NOASSERTION
        if entry["category"] not in _OPEN:
            opened = all(scancode_category(spdx) in _OPEN for spdx in license_ids(found))
            assert found == NOASSERTION or not opened, (entry["license_key"], found)
    assert read > 2_000
