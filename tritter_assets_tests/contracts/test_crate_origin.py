from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.contracts.crate_origin import CrateOrigin, CratePin
from tritter_assets.contracts.parse_source import parse_source
from tritter_assets_tests.contracts.test_parse_source import GOOD, problems_of, write

SHA = "ab" * 32
SDIST = GOOD[GOOD.index("      kind: sdist") : GOOD.index("  - property: licence")]
ORIGIN = f"""\
      kind: crate
      crates:
        - {{name: serde, version: 1.0.229, sha256: {SHA}}}
        - {{name: num-traits, version: 0.2.19, sha256: {SHA}}}
"""


def _write(folder: Path, origin: str) -> Path:
    return write(folder, GOOD.replace(SDIST, origin))


def test_pins_and_defaults(tmp_path: Path) -> None:
    contract = parse_source(_write(tmp_path, ORIGIN))
    assert contract.origin == CrateOrigin(
        crates=(
            CratePin(name="serde", version="1.0.229", sha256=SHA),
            CratePin(name="num-traits", version="0.2.19", sha256=SHA),
        ),
        content="docs",
        downloads="https://static.crates.io/crates",
    )
    other = parse_source(_write(tmp_path, f"{ORIGIN}      content: both\n"))
    assert other.digest != contract.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"sha256: {SHA}}}", "sha256: ABC}", "entry 1 (serde): sha256 is 'ABC'"),
        ("version: 1.0.229", "version: '1.0'", "entry 1 (serde): version is '1.0'"),
        ("name: serde,", "name: ../serde,", "entry 1 (../serde): name is '../serde'"),
        ("name: serde,", "name: serde, md5: 1,", "entry 1 has the unknown field 'md5'"),
        ("name: serde,", "name: num_traits,", "'num-traits' stands twice"),
        (f"{{name: serde, version: 1.0.229, sha256: {SHA}}}", "serde", "entry 1 is 'serde'"),
    ],
)
def test_wrong_pins_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    found = problems_of(_write(tmp_path, ORIGIN.replace(old, new, 1)))
    assert found["origin.crates"][1] == message


def test_wrong_fields_are_named(tmp_path: Path) -> None:
    extra = "      content: all\n      downloads: ftp://x\n      version: 1\n"
    found = problems_of(_write(tmp_path, ORIGIN + extra))
    assert found["origin.content"][1] == "is 'all'"
    assert found["origin.downloads"][1] == "is 'ftp://x'"
    assert found["origin.version"][1] == "is not a known field"
    empty = problems_of(_write(tmp_path, "      kind: crate\n      crates: []\n"))
    assert empty["origin.crates"][1] == "is empty"
