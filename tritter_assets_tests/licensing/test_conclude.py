from __future__ import annotations

import json
from typing import Any

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.source import HubOrigin, LicenceFacts
from tritter_assets.licensing.conclude import (
    STAGE_VERSION,
    Concluder,
    RepoEvidence,
    code_version,
)
from tritter_assets_tests.licensing.conftest import contract_of
from tritter_assets_tests.licensing.texts import (
    APACHE_HEADER,
    BSD3,
    FOLDER,
    GPL_HEADER,
    MIT,
)

APACHE = (FOLDER / "Apache-2.0.txt").read_text("utf-8")
HUB = HubOrigin(repo="x/y", revision="0" * 40)


def conclude(
    policy: Policy,
    files: dict[str, str],
    *,
    licence: LicenceFacts | None = None,
    declared: list[str | None] | None = None,
    origin: Any = None,
    **evidence: Any,
) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "repo": ["r"] * len(files),
            "path": list(files),
            "content": list(files.values()),
            "license_declared": declared or [None] * len(files),
        },
        schema_overrides={"license_declared": pl.String},
    )
    repo = RepoEvidence(repo="r", **evidence)
    return Concluder(policy, contract_of(origin, licence), {"r": repo}).conclude(frame)


def one(frame: pl.DataFrame) -> tuple[str, str, float]:
    row = frame.row(0, named=True)
    return row["license_concluded"], row["license_method"], round(row["license_confidence"], 2)


def test_nothing_known_is_unknown(policy: Policy) -> None:
    assert one(conclude(policy, {"a.py": "x = 1\n"})) == ("NOASSERTION", "none", 0.0)


def test_order_of_evidence(policy: Policy) -> None:
    licences = (("LICENSE", MIT),)
    frame = conclude(
        policy,
        {
            "a.py": "x = 1\n",
            "b.py": "# SPDX-License-Identifier: Apache-2.0\n",
            "c.py": GPL_HEADER,
            "d.py": APACHE_HEADER,
        },
        license_files=licences,
    )
    assert frame["license_concluded"].to_list() == [
        "MIT",
        "Apache-2.0",
        "GPL-2.0-or-later",
        "Apache-2.0",
    ]
    assert frame["license_method"].to_list() == [
        "license_file",
        "spdx_header",
        "header_notice",
        "header_notice",
    ]
    assert frame["attribution"].to_list()[0] == "Copyright (c) 2019 Jane Doe"
    assert frame["attribution"].to_list()[3] == "Copyright 2020 The Authors."
    evidence = json.loads(frame["license_evidence"][2])
    assert [entry["method"] for entry in evidence] == ["header_notice", "license_file"]
    assert evidence[1]["where"] == "LICENSE"


def test_permissive_header_in_a_copyleft_package_is_less_sure(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"a.py": "# SPDX-License-Identifier: MIT\n", "b.py": "x\n"},
        metadata=(("license_expression", "GPL-3.0-or-later"),),
    )
    assert frame["license_concluded"].to_list() == ["MIT", "GPL-3.0-or-later"]
    assert round(frame["license_confidence"][0], 2) == 0.75


def test_the_nearest_licence_file_counts(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"a.py": "", "vendor/b/c/d.py": "", "vendor/e.py": ""},
        license_files=(("LICENSE", MIT), ("vendor/b/LICENSE", BSD3)),
    )
    assert frame["license_concluded"].to_list() == ["MIT", "BSD-3-Clause", "MIT"]


def test_several_licence_files(policy: Policy) -> None:
    rust = (("LICENSE-APACHE", APACHE), ("LICENSE-MIT", MIT))
    assert one(conclude(policy, {"a.rs": ""}, license_files=rust))[0] == "MIT OR Apache-2.0"
    both = (("LICENSE", MIT), ("LICENSE.BSD", BSD3))
    assert one(conclude(policy, {"a.rs": ""}, license_files=both))[0] == "BSD-3-Clause AND MIT"
    pointer = (
        ("LICENSE", "This is made available under the terms of *either* of the licenses found in "
                    "LICENSE.APACHE or LICENSE.BSD."),
        ("LICENSE.APACHE", APACHE),
        ("LICENSE.BSD", BSD3),
    )  # fmt: skip
    assert one(conclude(policy, {"a.py": ""}, license_files=pointer))[0] == (
        "Apache-2.0 OR BSD-3-Clause"
    )
    page = (("LICENSE", MIT), ("doc/license.rst", "Bundled: GNU General Public License v3."))
    assert one(conclude(policy, {"doc/a.rst": ""}, license_files=page))[0] == "MIT"
    part = (("LICENSE", MIT), ("LICENSE_STIX", "Some font terms."), ("NOTICE", "All GPL."))
    assert one(conclude(policy, {"a.py": ""}, license_files=part))[0] == "MIT"


def test_metadata_knows_the_operator(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"a.py": ""},
        license_files=(("LICENSE", MIT), ("LICENSE.BSD", BSD3)),
        metadata=(("license_expression", "MIT OR BSD-3-Clause"),),
    )
    assert one(frame)[0] == "MIT OR BSD-3-Clause"


def test_compound_metadata_is_taken_whole(policy: Policy) -> None:
    compound = "BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0"
    frame = conclude(
        policy,
        {"a.py": ""},
        license_files=(("LICENSE.txt", BSD3),),
        metadata=(("license_expression", compound),),
    )
    assert one(frame)[:2] == (compound, "package_metadata")


def test_metadata_encodings(policy: Policy) -> None:
    def of(*metadata: tuple[str, str]) -> tuple[str, str, float]:
        return one(conclude(policy, {"a.py": ""}, metadata=metadata))

    mit = ("classifier", "License :: OSI Approved :: MIT License")
    gpl = ("classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)")
    bsd = ("classifier", "License :: OSI Approved :: BSD License")
    assert of(("license_expression", "MIT"), gpl)[0] == "MIT"
    assert of(("license", "Apache 2.0"))[::2] == ("Apache-2.0", 0.9)
    assert of(("license", MIT))[0] == "MIT"
    assert of(mit)[::2] == ("MIT", 0.85)
    assert of(mit, gpl)[0] == "GPL-3.0-only AND MIT"
    assert of(("license", "MIT"), gpl)[0] == "GPL-3.0-only AND MIT"
    assert of(bsd)[0] == "NOASSERTION"
    assert of(("license", "BSD"), bsd)[0] == "NOASSERTION"


def test_copyleft_in_either_place_is_kept(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"a.py": ""},
        license_files=(("LICENSE", MIT),),
        metadata=(("license", "GPLv3"),),
    )
    assert one(frame) == ("GPL-3.0-only AND MIT", "license_file", 0.6)


def test_an_unreadable_licence_file_leaves_the_metadata(policy: Policy) -> None:
    odd = MIT + "\nThe Software shall be used for Good, not Evil.\n"
    files = (("LICENSE", odd),)
    assert one(conclude(policy, {"a.py": ""}, license_files=files))[0] in ("NOASSERTION", "JSON")


def test_crate_manifests(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"crates/a/src/lib.rs": "", "crates/b/src/lib.rs": ""},
        license_files=(
            ("LICENSE", MIT),
            ("Cargo.toml", "SPDX-License-Identifier: MIT\n"),
            ("crates/a/Cargo.toml", "SPDX-License-Identifier: MIT OR Apache-2.0\n"),
        ),
    )
    assert "Apache-2.0" in frame["license_concluded"][0]
    assert frame["license_concluded"][1] == "MIT"


def test_dep5(policy: Policy) -> None:
    dep5 = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: 2020 Jane\nLicense: Expat\n\n"
        "Files: src/gpl/* tools/?.py\nCopyright: 2021 Joe\n 2022 Jim\nLicense: GPL-2+ or MIT\n\n"
        "Files: src/gpl/odd.py\nCopyright: 2021 Joe\nLicense: beer\n"
    )
    frame = conclude(
        policy,
        {"a.py": "", "src/gpl/x/y.py": "", "tools/a.py": "", "src/gpl/odd.py": ""},
        dep5=dep5,
    )
    assert frame["license_concluded"].to_list() == [
        "MIT",
        "GPL-2.0-or-later OR MIT",
        "GPL-2.0-or-later OR MIT",
        "NOASSERTION",
    ]
    assert frame["attribution"][1] == "2021 Joe\n2022 Jim"


def test_dep5_names_of_a_packagers_own_are_read_by_their_texts(policy: Policy) -> None:
    body = "\n".join(f" {line or '.'}" for line in BSD3.split("\n"))
    dep5 = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: 2020 Jane\nLicense: BSD-of-our-own\n\n"
        f"Files: a.py\nCopyright: 2020 Jane\nLicense:\n{body}\n\n"
        "Files: c.py\nCopyright: 2020 Jane\nLicense: beer\n Buy me one.\n\n"
        f"License: BSD-of-our-own\n{body}\n"
    )
    frame = conclude(policy, {"a.py": "", "b.py": "", "c.py": ""}, dep5=dep5)
    assert frame["license_concluded"].to_list() == ["BSD-3-Clause", "BSD-3-Clause", "NOASSERTION"]


def test_the_rows_own_column(policy: Policy) -> None:
    frame = conclude(
        policy,
        {"a.py": "", "b.py": GPL_HEADER, "c.py": "", "d.py": ""},
        declared=["mit", "mit", "what is this", None],
        origin=HUB,
        licence=LicenceFacts(content="CC-BY-4.0", wrapper="odc-by", access_terms="common_crawl"),
    )
    assert frame["license_concluded"].to_list() == [
        "MIT",
        "GPL-2.0-or-later",
        "CC-BY-4.0",
        "CC-BY-4.0",
    ]
    assert frame["license_method"].to_list()[2:] == ["wrapper", "wrapper"]
    assert frame["license_declared"].to_list() == ["MIT", "MIT", "NOASSERTION", "NOASSERTION"]
    assert set(frame["license_wrapper"]) == {"ODC-By-1.0"}
    assert set(frame["access_terms"]) == {"common_crawl"}


def test_wrapper_of_a_package_is_none_and_of_an_untagged_dataset_unknown(policy: Policy) -> None:
    assert conclude(policy, {"a": ""})["license_wrapper"][0] == "NONE"
    assert conclude(policy, {"a": ""}, origin=HUB)["license_wrapper"][0] == "NOASSERTION"


def test_order_and_batches_change_nothing(policy: Policy) -> None:
    files = {f"d{n % 3}/f{n}.py": (GPL_HEADER if n % 4 == 0 else "x\n") for n in range(24)}
    licences = (("LICENSE", MIT), ("d1/LICENSE", BSD3))
    whole = conclude(policy, files, license_files=licences)
    turned = conclude(policy, dict(reversed(files.items())), license_files=licences)
    assert whole.equals(turned.reverse())
    parts = [conclude(policy, {k: v}, license_files=licences) for k, v in files.items()]
    assert whole.equals(pl.concat(parts))


def test_code_version_follows_the_aliases_only(policy: Policy) -> None:
    assert policy.conclusion_digest not in ("", policy.admission_digest)
    assert code_version(policy).startswith(f"{STAGE_VERSION}.")


def test_a_permissive_part_frees_no_copyleft_file(policy: Policy) -> None:
    header = "# Some code based on code from http://x.org by Jo, under MIT License.\n"
    gpl = (("LICENSE", GPL_HEADER.replace("#", "")),)
    assert one(conclude(policy, {"a.py": header}, license_files=gpl))[0] == (
        "GPL-2.0-or-later AND MIT"
    )
    assert one(conclude(policy, {"a.py": header}, license_files=(("LICENSE", APACHE),)))[0] == (
        "Apache-2.0 AND MIT"
    )
    assert one(conclude(policy, {"a.py": header}))[0] == "NOASSERTION"


def test_the_bsd_of_an_offer_is_that_of_the_package(policy: Policy) -> None:
    header = "# This file is dual licensed under the Apache License, 2.0, and the BSD License.\n"
    metadata = (("license_expression", "Apache-2.0 OR BSD-2-Clause"),)
    assert one(conclude(policy, {"a.py": header}, metadata=metadata))[0] == (
        "Apache-2.0 OR BSD-2-Clause"
    )
    assert one(conclude(policy, {"a.py": header}))[0] == "Apache-2.0 OR BSD-3-Clause"
