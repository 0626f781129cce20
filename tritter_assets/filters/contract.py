"""One contract for every filter stage.

A stage is a `StageDefinition`: a config (a frozen dataclass whose values all come from
`data_contracts/policy/filters.yaml`) and a function over a Polars frame of documents that returns
`Verdict`s. Silence means the stage passed the document. The driver (`judge.py`) hands a stage only
documents that share one config, so a stage never looks at overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.removal import REMOVAL_SCHEMA
from tritter_assets.verdict import Stage, Verdict

if TYPE_CHECKING:
    from tritter_assets.filters.benchmark_index import BenchmarkIndex
    from tritter_assets.filters.thresholds import FilterSettings

Admit = Callable[[pl.DataFrame], pl.DataFrame]
"""Documents in; columns id, action, reason, obligations, chosen out, one row per document."""


@dataclass(frozen=True, kw_only=True)
class JudgeContext:
    """What stages may need besides the documents and their thresholds."""

    settings: FilterSettings
    wanted_languages: frozenset[str] = frozenset()
    """Languages of the source's contract, in lower case; empty admits every language."""
    source: str = ""
    tags: tuple[str, ...] = ()
    admit: Admit | None = None
    """The licence gate; None only where licences are not asked for (`tritter inspect`)."""
    removals: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=pl.Schema(REMOVAL_SCHEMA))
    )
    opt_out: Mapping[str, Any] = field(default_factory=dict)
    """`policy/opt_out.yaml`: removal kind -> values."""
    benchmarks: BenchmarkIndex | None = None
    malware_rules: tuple[Path, ...] = ()
    """YARA files, sorted."""
    secret_formats: Path | None = None
    """`policy/secret_formats.yaml`; None looks for no vendor's form."""

    @cached_property
    def all_removals(self) -> pl.DataFrame:
        """Requests of the table and standing opt-outs of the policy, as one frame."""
        standing = [
            {
                "request": "policy",
                "kind": kind,
                "value": str(value),
                "requested_at": "",
                "reason": "",
            }
            for kind, values in sorted(self.opt_out.items())
            if isinstance(values, list)
            for value in values
        ]
        rows = pl.DataFrame(standing, schema=pl.Schema(REMOVAL_SCHEMA))
        return pl.concat([self.removals.select(rows.columns), rows], how="vertical_relaxed")


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """A stage of the pass over a shard."""

    stage: Stage
    version: str
    config: type[Any]
    judge: Callable[[pl.DataFrame, Any, JudgeContext], list[Verdict]]


DOCUMENT_COLUMNS = (
    "id", "source", "repo", "path", "revision", "language", "modality", "split", "content",
    "content_sha256", "license_concluded", "license_method", "license_confidence",
    "license_wrapper", "access_terms", "generator", "owner", "author_emails", "derived_from",
)  # fmt: skip
"""Columns a stage may read; `license_evidence` and the media columns never reach a filter."""
