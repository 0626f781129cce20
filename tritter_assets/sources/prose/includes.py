"""Other files of the same repository that a page shows: by path, and by anchor or line range."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_INCLUDED_CHARS = 2 << 20
"""What one page may include in all."""
MAX_DEPTH = 6
_ANCHOR = re.compile(r"ANCHOR(_END)?:\s*([\w.-]+)")

ReadFile = Callable[[str], str | None]
"""Text of a file by its path in the repository, or None when it has none."""


def no_files(path: str) -> None:
    """The reader of a page that stands alone."""
    del path


@dataclass(slots=True)
class Includes:
    """What one page may still include."""

    read: ReadFile = no_files
    remaining: int = MAX_INCLUDED_CHARS
    missing: list[str] = field(default_factory=list)

    def lines(self, page: str, target: str) -> list[str] | None:
        """Returns the lines of a file named by a page; None outside the repository or limits."""
        path = resolve(page, target)
        text = self.read(path) if path is not None and self.remaining > 0 else None
        if text is None or len(text) > self.remaining:
            self.missing.append(target)
            return None
        self.remaining -= len(text)
        return text.splitlines()


def resolve(page: str, target: str) -> str | None:
    """Returns the repository path of a relative target, or None when it leaves the repository.

    A leading `/` is the documentation's root in Sphinx, which is not known here: refused.
    """
    target = target.strip().replace("\\", "/")
    if not target or target.startswith("/") or ":" in target or "\n" in target or "\0" in target:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    return None if path.startswith("..") or path == "." else path


def chosen_lines(lines: list[str], choice: str) -> list[str]:
    """Cuts `:anchor`, `:from:to`, `:from:` or `:line` as mdBook does; anchor marks always go."""
    first, colon, last = choice.partition(":")
    if choice and (first.isdigit() or (not first and last.isdigit())):
        start = int(first) - 1 if first else 0
        end = (int(last) if last.isdigit() else len(lines)) if colon else start + 1
        lines = lines[max(start, 0) : end]
    elif first:
        lines = _between(lines, first)
    return [line for line in lines if not ("ANCHOR" in line and _ANCHOR.search(line))]


def _between(lines: list[str], name: str) -> list[str]:
    kept: list[str] = []
    is_inside = False
    for line in lines:
        match = _ANCHOR.search(line) if "ANCHOR" in line else None
        if match is None:
            if is_inside:
                kept.append(line)
        elif match[2] == name:
            is_inside = match[1] is None
    return kept
