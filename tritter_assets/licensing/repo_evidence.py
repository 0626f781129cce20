"""What a loader hands to the licence conclusion: the statements of one repository or package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoEvidence:
    """What a repository or package says of its licence, read once per repository by the loader."""

    repo: str
    license_files: tuple[tuple[str, str], ...] = ()
    """(path inside the repository, text) of LICENSE, COPYING, NOTICE and their like. The text of a
    manifest such as Cargo.toml is `SPDX-License-Identifier: <its licence>`."""
    metadata: tuple[tuple[str, str], ...] = ()
    """(kind, value); kind is `license_expression`, `license` or `classifier`."""
    dep5: str | None = None
    """Text of `debian/copyright` in its machine-readable form."""
    emails: tuple[str, ...] = ()
    """Author and maintainer addresses: opt-out keys."""
