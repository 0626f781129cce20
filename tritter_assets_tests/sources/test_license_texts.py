from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.sources.license_texts import LicenseTexts

FINGERPRINT = fingerprint_of("test")
EVIDENCE = {
    "a": RepoEvidence(
        repo="a",
        license_files=(
            ("LICENSE", "MIT License\r\n\r\nCopyright A  \r\n\n"),
            ("core/Cargo.toml", "SPDX-License-Identifier: MIT\n"),
            ("NOTICE", " \n"),
        ),
        dep5="Files: *\nLicense: MIT",
    ),
    "b": RepoEvidence(repo="b", license_files=(("LICENSE", "MIT License\n\nCopyright A"),)),
    "never read": RepoEvidence(repo="never read", license_files=(("LICENSE", "x"),)),
}


def written(lake: Lake, tmp_path: Path, frames: list[list[str]], evidence: Any) -> pl.DataFrame:
    texts = LicenseTexts("s", "000", evidence, tmp_path / "spill")
    for repos in frames:
        texts.add(pl.DataFrame({"repo": repos}))
    texts.write(lake, FINGERPRINT)
    texts.close()
    if not lake.exists("license_texts/s"):
        return pl.DataFrame()
    return lake.scan("license_texts/s").sort("repo", "path").collect()


def test_texts_of_the_repositories_that_were_read(tmp_path: Path) -> None:
    rows = written(Lake.at(tmp_path / "one"), tmp_path, [["b", "a"], ["a", "c"]], EVIDENCE)
    assert rows.select("repo", "path", "text").rows() == [
        ("a", "LICENSE", "MIT License\n\nCopyright A"),
        ("a", "debian/copyright", "Files: *\nLicense: MIT"),
        ("b", "LICENSE", "MIT License\n\nCopyright A"),
    ]
    assert rows["sha256"][0] == rows["sha256"][2] == sha256(rows["text"][0].encode()).hexdigest()
    again = written(Lake.at(tmp_path / "two"), tmp_path, [["a"], ["c", "b"], ["a"]], EVIDENCE)
    assert again.equals(rows)


def test_a_shard_without_texts_has_no_partition_until_it_had_one(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    assert written(lake, tmp_path, [["a"]], {}).is_empty()
    assert not lake.exists("license_texts/s")
    assert written(lake, tmp_path, [["a"]], EVIDENCE).height == 2
    assert written(lake, tmp_path, [["a"]], {}).is_empty()
