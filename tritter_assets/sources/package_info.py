"""What a package's PKG-INFO says of its home repository, its people and its licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from email.utils import getaddresses
from urllib.parse import urlsplit

_FORGES = frozenset({"github.com", "gitlab.com", "codeberg.org", "bitbucket.org"})
_NOT_OWNERS = frozenset({"sponsors", "orgs", "topics", "about", "features", "apps", "users"})
_RANKS = ("source", "sourcecode", "repository", "code", "github", "gitlab", "homepage", "home")
"""Well-known labels of `Project-URL`, the most telling first; other labels come after them."""


@dataclass(frozen=True, slots=True)
class PackageInfo:
    """The fields of PKG-INFO that documents and licence evidence need."""

    home: tuple[str, str] | None
    """Owner and name of the repository on a forge."""
    emails: tuple[str, ...]
    """Of authors and maintainers, lower case, sorted."""
    metadata: tuple[tuple[str, str], ...]
    """(kind, value) with kind `license_expression`, `license` or `classifier`."""


NO_INFO = PackageInfo(None, (), ())


def parse_package_info(text: str) -> PackageInfo:
    """Parses the text of a PKG-INFO file (core metadata, any version)."""
    message = Parser().parsestr(text, headersonly=True)
    return PackageInfo(_home(message), _emails(message), _license(message))


def repository_of(url: str) -> tuple[str, str] | None:
    """Returns (owner, name) when an address lies in a repository of a known forge."""
    parts = urlsplit(url.strip().removeprefix("git+"))
    host = (parts.hostname or "").removeprefix("www.")
    steps = [step for step in parts.path.split("/") if step]
    if host not in _FORGES or len(steps) < 2 or steps[0].lower() in _NOT_OWNERS:
        return None
    return steps[0], steps[1].removesuffix(".git")


def _home(message: Message) -> tuple[str, str] | None:
    candidates: list[tuple[int, int, tuple[str, str]]] = []
    for position, entry in enumerate(message.get_all("Project-URL") or ()):
        label, _, url = entry.partition(",")
        found = repository_of(url)
        if found:
            name = re.sub(r"[^a-z]", "", label.lower())
            rank = _RANKS.index(name) if name in _RANKS else len(_RANKS)
            candidates.append((rank, position, found))
    found = repository_of(message.get("Home-page") or "")
    if found:
        candidates.append((_RANKS.index("homepage"), -1, found))
    return min(candidates)[2] if candidates else None


def _emails(message: Message) -> tuple[str, ...]:
    headers = [
        value
        for name in ("Author-email", "Maintainer-email")
        for value in message.get_all(name) or ()
    ]
    found = {address.lower() for _, address in getaddresses(headers) if "@" in address}
    return tuple(sorted(found))


def _license(message: Message) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for header, kind in (("License-Expression", "license_expression"), ("License", "license")):
        value = (message.get(header) or "").strip()
        if value and value.upper() != "UNKNOWN":
            found.append((kind, value))
    found.extend(
        ("classifier", value.strip())
        for value in message.get_all("Classifier") or ()
        if value.strip().startswith("License ::")
    )
    return tuple(found)
