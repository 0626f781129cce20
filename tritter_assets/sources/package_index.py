"""The Python package index that pip is configured with, read through its simple API.

pip's precedence is kept: `PIP_INDEX_URL`, then the files named by `PIP_CONFIG_FILE`, site, user and
global configuration, section `[install]` over `[global]`. JSON (PEP 691) is asked for first; an
index that only speaks HTML (PEP 503) is read too.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.download import (
    DEFAULT_RETRIES,
    RetryPolicy,
    get_response,
    masked,
)

DEFAULT_INDEX = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
WAY_OUT = (
    "check the network and `pip config get global.index-url`, set PIP_INDEX_URL to an index that "
    "has it, or pin another version in the contract"
)


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """Where to ask, and which certificate bundle to trust (None: the system's)."""

    url: str
    certificate: str | None = None

    @property
    def verify(self) -> str | bool:
        """In the form that `requests` takes."""
        return self.certificate or True


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project page."""

    filename: str
    url: str
    sha256: str | None
    yanked: str | None = None
    """Why the release was withdrawn, perhaps empty; None when it was not."""


def configured_index(environ: Mapping[str, str] | None = None) -> PackageIndex:
    """Returns the index pip would use, `https://pypi.org/simple` when nothing is configured."""
    env = os.environ if environ is None else environ
    url = env.get("PIP_INDEX_URL") or _from_files("index-url", env) or DEFAULT_INDEX
    certificate = env.get("PIP_CERT") or _from_files("cert", env)
    return PackageIndex(url.split()[0].rstrip("/"), certificate)


def project_files(
    index: PackageIndex, package: str, *, retries: RetryPolicy = DEFAULT_RETRIES
) -> tuple[IndexFile, ...]:
    """Lists the files of a project.

    Raises:
        UpstreamUnavailable: the index does not answer or does not know the project.
    """
    from packaging.utils import canonicalize_name

    name = canonicalize_name(package)
    page = f"{index.url}/{name}/"
    what = f"package {package!r} on the index {masked(index.url)}"
    response = get_response(
        page,
        headers={"Accept": _ACCEPT},
        verify=index.verify,
        retries=retries,
        what=what,
        way_out=WAY_OUT,
    )
    if not response.ok:
        raise UpstreamUnavailable(f"{what}: HTTP {response.status_code}; {WAY_OUT}")
    if response.headers.get("Content-Type", "").startswith(_JSON):
        return tuple(_from_json(response.json(), response.url))
    parser = _Anchors()
    parser.feed(response.text)
    return tuple(_from_anchor(href, yanked, response.url) for href, yanked in parser.links)


def _from_json(page: dict[str, Any], base: str) -> list[IndexFile]:
    return [
        IndexFile(
            filename=entry["filename"],
            url=urljoin(base, entry["url"]),
            sha256=(entry.get("hashes") or {}).get("sha256"),
            yanked=_reason(entry.get("yanked")),
        )
        for entry in page.get("files", [])
    ]


def _reason(yanked: bool | str | None) -> str | None:
    """The JSON page says `false`, `true` or why."""
    return yanked if isinstance(yanked, str) else ("" if yanked else None)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        href = given.get("href") if tag == "a" else None
        if href:
            yanked = (given["data-yanked"] or "") if "data-yanked" in given else None
            self.links.append((href, yanked))


def _from_anchor(href: str, yanked: str | None, base: str) -> IndexFile:
    url, fragment = urldefrag(urljoin(base, href))
    algorithm, _, digest = fragment.partition("=")
    return IndexFile(
        filename=unquote(url.split("?", 1)[0].rsplit("/", 1)[-1]),
        url=url,
        sha256=digest if algorithm == "sha256" else None,
        yanked=yanked,
    )


def _from_files(option: str, env: Mapping[str, str]) -> str | None:
    for path in _config_files(env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # pip itself reports a broken configuration file
        for section in ("install", "global"):
            value = parser.get(section, option, fallback=None)
            if value:
                return value.strip()
    return None


def _config_files(env: Mapping[str, str]) -> list[Path]:
    """Configuration files, the strongest first."""
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(env.get("HOME") or Path.home())
    files = [Path(named)] if named else []
    files.append(Path(sys.prefix) / "pip.conf")
    if sys.platform == "darwin":
        files.append(home / "Library" / "Application Support" / "pip" / "pip.conf")
    files.append(Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf")
    files.append(home / ".pip" / "pip.conf")
    files.append(Path("/etc/pip.conf"))
    shared = (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    files += [Path(folder) / "pip" / "pip.conf" for folder in shared]
    return files
