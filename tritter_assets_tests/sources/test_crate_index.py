from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tritter_assets.contracts.crate_origin import CratePin
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources import crate_index
from tritter_assets.sources.crate_index import as_yaml, index_path, newest_pin, pin_crates
from tritter_assets.sources.download import RetryPolicy
from tritter_assets_tests.sources.builders import sha256
from tritter_assets_tests.sources.crate_registry import CrateRegistry

CRATES = {
    ("abc", "0.9.0"): b"old",
    ("abc", "0.10.0"): b"new",
    ("abc", "0.11.0-beta.2"): b"beta",
    ("Inflector", "1.0.0"): b"case",
}
RETRIES = RetryPolicy(sleep=lambda _: None, attempts=2)


@pytest.fixture
def registry() -> Iterator[CrateRegistry]:
    with CrateRegistry(CRATES).running() as server:
        yield server


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "1/a"),
        ("ab", "2/ab"),
        ("abc", "3/a/abc"),
        ("serde", "se/rd/serde"),
        ("Inflector", "in/fl/inflector"),
    ],
)
def test_paths_of_the_sparse_index(name: str, path: str) -> None:
    assert index_path(name) == path


def _lines(*versions: tuple[str, bool]) -> str:
    return "\n".join(
        json.dumps({"name": "x", "vers": version, "cksum": version, "yanked": yanked})
        for version, yanked in versions
    )


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        ([("0.9.0", False), ("0.10.0", False)], "0.10.0"),
        ([("0.10.0", True), ("0.9.0", False)], "0.9.0"),
        ([("1.0.0", False), ("2.0.0-rc.1", False)], "1.0.0"),
        ([("1.0.0-alpha.9", False), ("1.0.0-alpha.10", False)], "1.0.0-alpha.10"),
        ([("1.0.0-alpha", False), ("1.0.0-1", False)], "1.0.0-alpha"),
        ([("1.2.0+deprecated", False), ("1.1.9", False)], "1.2.0+deprecated"),
    ],
)
def test_the_newest_version_that_is_not_yanked(
    versions: list[tuple[str, bool]], newest: str
) -> None:
    assert newest_pin(_lines(*versions), "x").version == newest
    assert newest_pin(_lines(*versions[::-1]), "x").version == newest


def test_yanked_crates_and_other_texts_are_said(registry: CrateRegistry) -> None:
    with pytest.raises(UpstreamUnavailable, match="no version that is not yanked"):
        newest_pin(_lines(("1.0.0", True)), "x")
    with pytest.raises(UpstreamUnavailable, match="no line of a sparse index"):
        newest_pin("<html>", "x")
    with pytest.raises(UpstreamUnavailable, match=r"nothing.*HTTP 404"):
        pin_crates(["nothing"], index=f"{registry.url}/index", retries=RETRIES)


def test_pins_are_looked_up_one_by_one(registry: CrateRegistry) -> None:
    pins = pin_crates(["Inflector", "abc"], index=f"{registry.url}/index/", retries=RETRIES)
    assert pins == (
        CratePin(name="Inflector", version="1.0.0", sha256=sha256(b"case")),
        CratePin(name="abc", version="0.10.0", sha256=sha256(b"new")),
    )
    assert registry.requests == ["/index/in/fl/inflector", "/index/3/a/abc"]


def test_the_command_prints_contract_entries(
    registry: CrateRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crate_index.main(["abc", "--index", f"{registry.url}/index"]) == 0
    shown = capsys.readouterr().out
    assert shown == as_yaml([CratePin(name="abc", version="0.10.0", sha256=sha256(b"new"))])
    assert crate_index.main(["unknown", "--index", f"{registry.url}/index"]) == 1
    assert "unknown" in capsys.readouterr().err
