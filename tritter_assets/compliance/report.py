"""Report sets: what every compliance verb writes, and the summary that becomes asset metadata."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritter_assets.lake import ArtifactStore, Lake

MAX_PROBLEMS = 20
"""Problems kept in a summary; the report's JSON has them all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSummary:
    """What a report says in short."""

    asset: str
    passed: bool
    """False fails the asset's check: something could not be shown from the stored tables."""
    headline: str
    counts: Mapping[str, int | float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """The first `MAX_PROBLEMS`, each with its value and the way out."""
    num_problems: int = 0
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, str] = field(default_factory=dict)
    """Name -> Markdown table, for the asset page."""
    plots: Mapping[str, bytes] = field(default_factory=dict)
    """Name -> PNG."""
    files: tuple[str, ...] = ()
    size_bytes: int = 0
    data_version: str = ""


def as_json(value: Any) -> bytes:
    """Returns JSON with two-space indents in UTF-8; keys keep the order given."""
    return (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode()


def markdown_table(rows: Sequence[Mapping[str, Any]], *, limit: int = 40) -> str:
    """Returns the first `limit` rows as a Markdown table; cells are escaped."""
    if not rows:
        return "(none)"
    headers = list(rows[0])
    lines = [
        "| " + " | ".join(header.replace("_", " ") for header in headers) + " |",
        "|" + "|".join("---" for _ in headers) + "|",
    ]
    lines.extend(
        "| " + " | ".join(_cell(row.get(header)) for header in headers) + " |"
        for row in rows[:limit]
    )
    if len(rows) > limit:
        lines.append(f"\n{len(rows) - limit} more rows are in the report.")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(part) for part in value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def store_report(
    lake: Lake,
    asset: str,
    files: Mapping[str, bytes | Path],
    *,
    fingerprint: str,
    passed: bool,
    headline: str,
    counts: Mapping[str, int | float] | None = None,
    problems: Sequence[str] = (),
    warnings: Sequence[str] = (),
    tables: Mapping[str, str] | None = None,
    plots: Mapping[str, bytes] | None = None,
) -> ReportSummary:
    """Puts a report's files into the lake as one artifact set.

    Args:
        lake: Where the set goes.
        asset: Asset key, e.g. `compliance/notice`.
        files: Name -> bytes, or a path of a file too large to hold in memory.
        fingerprint: What the report was made from.
        passed: The result of the report's check; kept in the set's facts.
        headline: One sentence for the asset page.
        counts: Numbers for the asset page; kept in the facts.
        problems: What failed; kept whole in the report, shortened in the summary.
        warnings: What a person should look at.
        tables: Name -> Markdown table.
        plots: Name -> PNG bytes; also stored as `<name>.png`.

    Returns:
        The summary, with the set's size in bytes and its data version.
    """
    everything: dict[str, bytes | Path] = dict(files)
    for name, png in (plots or {}).items():
        everything[f"{name}.png"] = png
    with tempfile.TemporaryDirectory(prefix="tritter-report-") as folder:
        paths: dict[str, Path] = {}
        for name, content in everything.items():
            if isinstance(content, Path):
                paths[name] = content
            else:
                paths[name] = Path(folder) / name.replace("/", "_")
                paths[name].write_bytes(content)
        size_bytes = sum(path.stat().st_size for path in paths.values())
        facts = {"passed": passed, "headline": headline, "counts": dict(counts or {})}
        state = ArtifactStore(lake).put(asset, paths, fingerprint=fingerprint, facts=facts)
    return ReportSummary(
        asset=asset,
        passed=passed,
        headline=headline,
        counts=dict(counts or {}),
        problems=tuple(problems[:MAX_PROBLEMS]),
        num_problems=len(problems),
        warnings=tuple(warnings),
        tables=dict(tables or {}),
        plots=dict(plots or {}),
        files=tuple(sorted(paths)),
        size_bytes=size_bytes,
        data_version=state.data_version,
    )
