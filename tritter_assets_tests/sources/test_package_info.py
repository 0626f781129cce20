from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritter_assets.sources.package_index import DEFAULT_INDEX, configured_index
from tritter_assets.sources.package_info import parse_package_info, repository_of
from tritter_assets_tests.sources.builders import PKG_INFO


def test_fields_of_pkg_info() -> None:
    info = parse_package_info(PKG_INFO)
    assert info.home == ("Owner", "small-package")
    assert info.emails == ("ann@example.org", "m@example.org")
    assert info.metadata == (
        ("license_expression", "MIT"),
        ("classifier", "License :: OSI Approved :: MIT License"),
    )


@pytest.mark.parametrize(
    ("headers", "home"),
    [
        ("Home-page: https://github.com/a/b\n", ("a", "b")),
        ("Home-page: https://example.org\n", None),
        ("Project-URL: Issues, https://gitlab.com/g/p/issues\n", ("g", "p")),
        (
            "Project-URL: Homepage, https://github.com/site/site\n"
            "Project-URL: Source Code, https://github.com/real/code\n",
            ("real", "code"),
        ),
        ("Project-URL: Funding, https://github.com/sponsors/x\n", None),
    ],
)
def test_home_repository(headers: str, home: tuple[str, str] | None) -> None:
    assert parse_package_info(f"Name: x\n{headers}\n").home == home


def test_repository_of_odd_addresses() -> None:
    assert repository_of("git+https://www.github.com/a/b.git") == ("a", "b")
    assert repository_of("https://github.com.evil.org/a/b") is None
    assert repository_of("") is None


def test_index_settings_follow_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    config = tmp_path / "home" / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[global]\nindex-url = https://user:pw@mirror/simple/\n", encoding="utf-8")
    env = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert configured_index(env).url == "https://user:pw@mirror/simple"
    assert configured_index(env | {"PIP_INDEX_URL": "https://other/simple"}).url == (
        "https://other/simple"
    )
    assert configured_index({"PIP_CONFIG_FILE": os.devnull}).url == DEFAULT_INDEX
    assert configured_index(env | {"PIP_CERT": "/ca.pem"}).verify == "/ca.pem"
