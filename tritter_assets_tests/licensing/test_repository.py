from __future__ import annotations

import pytest

from tritter_assets.contracts.policy import Policy
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.licensing.repository import FolderFinding, RepositoryLicences
from tritter_assets_tests.licensing.test_detect import TEMPLATES
from tritter_assets_tests.licensing.texts import BSD3, FOLDER, MIT

GPL3 = TEMPLATES["GPL-3.0-only"]
LGPL3 = TEMPLATES["LGPL-3.0-only"]
LGPL3_ALONE = LGPL3[: LGPL3.index("gnu general public license version 3 29 june 2007")]
APACHE = (FOLDER / "Apache-2.0.txt").read_text("utf-8")


def root(policy: Policy, **files: str) -> FolderFinding:
    texts = tuple((name.replace("_", "."), text) for name, text in sorted(files.items()))
    evidence = RepoEvidence(repo="r", license_files=texts)
    return RepositoryLicences(evidence, policy).folder("a.py")


@pytest.mark.parametrize(
    "text",
    [
        "See COPYING\n",
        "Acme Foundation and Contributors\n",
        "Copyright 2010 X. All Rights Reserved\n",
    ],
)
def test_a_file_that_grants_nothing_does_not_hide_the_licence(policy: Policy, text: str) -> None:
    assert root(policy, COPYRIGHT_txt=text, LICENSE=MIT).files == "MIT"


def test_a_file_that_speaks_of_terms_still_counts(policy: Policy) -> None:
    assert root(policy, COPYING=MIT, LICENSE="Use is subject to my terms.\n").files == "NOASSERTION"


def test_the_lgpl_beside_the_gpl_it_refers_to(policy: Policy) -> None:
    assert root(policy, COPYING=GPL3, COPYING_LESSER=LGPL3_ALONE).files == "LGPL-3.0-only"
    assert root(policy, LICENSE=LGPL3_ALONE).files == "LGPL-3.0-only"
    assert root(policy, LICENSE=LGPL3).files == "LGPL-3.0-only"


def test_copyleft_of_untold_parts_is_kept(policy: Policy) -> None:
    evidence = RepoEvidence(
        repo="r", license_files=(("LICENSE", MIT), ("LICENSE-BUILDTOOLS", GPL3))
    )
    found = RepositoryLicences(evidence, policy).folder("testsuite/a.c")
    assert (found.files, found.files_confidence) == ("GPL-3.0-only AND MIT", 0.6)


def test_a_copying_in_debians_form_names_the_files(policy: Policy) -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: 2020 Jane\nLicense: BSD-3-clause\n\n"
        "Files: man/*\nCopyright: 2020 Joe\nLicense: ISC\n"
    )
    licences = RepositoryLicences(
        RepoEvidence(repo="r", license_files=(("COPYING", text),)), policy
    )
    found = [licences.dep5(path) for path in ("src/a.c", "man/a.3")]
    assert [p.expression for p in found if p] == ["BSD-3-Clause", "ISC"]
    assert licences.folder("src/a.c").files is None


def test_what_the_folder_says_does_not_depend_on_the_order(policy: Policy) -> None:
    files = [("LICENSE-APACHE", APACHE), ("LICENSE-MIT", MIT), ("sub/LICENSE", BSD3)]
    found = {
        RepositoryLicences(RepoEvidence(repo="r", license_files=order), policy).folder(path).files
        for order in (tuple(files), tuple(reversed(files)))
        for path in ("x.rs",)
    }
    assert found == {"MIT OR Apache-2.0"}
