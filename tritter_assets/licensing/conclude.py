"""What each row's licence is: evidence gathered cheap to dear, all of it kept, unknown fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.source import SourceContract


@dataclass(frozen=True, kw_only=True, slots=True)
class RepoEvidence:
    """What a repository or package says of its licence, read once per repository by the loader."""

    repo: str
    license_files: tuple[tuple[str, str], ...] = ()
    """(path inside the repository, text) of LICENSE, COPYING, NOTICE and their like."""
    metadata: tuple[tuple[str, str], ...] = ()
    """(kind, value); kind is `license_expression`, `license` or `classifier`."""
    dep5: str | None = None
    """Text of `debian/copyright` in its machine-readable form."""
    emails: tuple[str, ...] = ()
    """Author and maintainer addresses: opt-out keys."""


class Concluder:
    """Fills the licence columns of frames of one source."""

    def __init__(
        self, policy: Policy, contract: SourceContract, evidence: Mapping[str, RepoEvidence]
    ) -> None:
        self._policy = policy
        self._contract = contract
        self._evidence = evidence

    def conclude(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Fills the licence columns."""
        raise NotImplementedError
