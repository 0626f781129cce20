"""A mix prints itself: component -> source -> rows -> tokens -> licences -> obligations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from tritter_assets.lake import Lake
from tritter_assets.mixes.feasibility import Feasibility


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """One line of the tree: the mix, a component, or a source of a component."""

    name: str
    rows: int
    tokens: int
    """Estimated tokens, every epoch counted."""
    share: float
    """Of the mix's tokens."""
    mean_epochs: float
    """Tokens used over tokens of the rows, each counted once."""
    licences: Mapping[str, int]
    obligations: Mapping[str, int]
    branches: tuple[Branch, ...] = ()


def mix_tree(rows: pl.DataFrame, name: str = "mix") -> Branch:
    """Builds the tree of a mix from its rows."""
    used = rows.with_columns(used=pl.col("estimated_tokens") * pl.col("epochs"))
    total = max(int(used["used"].sum() or 0), 1)
    components = []
    for component in sorted(used["component"].unique().to_list()):
        part = used.filter(pl.col("component") == component)
        sources = tuple(
            _branch(source, part.filter(pl.col("source") == source), total)
            for source in sorted(part["source"].unique().to_list())
        )
        components.append(_branch(component, part, total, sources))
    components.sort(key=lambda branch: (-branch.tokens, branch.name))
    return _branch(name, used, total, tuple(components))


def describe_mix(lake: Lake, phase: str) -> Branch:
    """Reads `mix/<phase>` and returns its tree."""
    return mix_tree(lake.scan(f"mix/{phase}").collect(), phase)


def to_text(tree: Branch) -> str:
    """Prints a tree as plain text."""
    return "\n".join(_text_lines(tree, "", ""))


def to_markdown(tree: Branch) -> str:
    """Prints a tree as a Markdown table."""
    lines = [
        "| component | source | rows | tokens | share | epochs | licences | obligations |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for component in tree.branches:
        lines.append(_row(f"**{component.name}**", "", component))
        lines.extend(_row("", source.name, source) for source in component.branches)
    lines.append(_row("**all**", "", tree))
    return "\n".join(lines)


def feasibility_markdown(report: Feasibility) -> str:
    """Prints a feasibility report as a Markdown table with its warnings."""
    lines = [
        "| component | weight | wanted | available | epochs needed | allowed | target | status |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for line in report.components:
        needed = "no supply" if not line.available_tokens else f"{line.epochs_needed:.2f}"
        lines.append(
            f"| {line.component} | {line.weight:.0%} | {line.wanted_tokens:,} | "
            f"{line.available_tokens:,} | {needed} | {line.max_epochs:g} | "
            f"{line.target_tokens:,} | {line.status} |"
        )
    lines.extend(f"\n- {warning}" for warning in report.warnings)
    return "\n".join(lines)


def _branch(name: str, part: pl.DataFrame, total: int, branches: tuple[Branch, ...] = ()) -> Branch:
    tokens, once = int(part["used"].sum() or 0), int(part["estimated_tokens"].sum() or 0)
    licences = part.group_by("license_concluded").len().sort("license_concluded")
    obligations = (
        part.select("obligations").explode("obligations").drop_nulls().group_by("obligations").len()
    ).sort("obligations")
    return Branch(
        name=name,
        rows=part.height,
        tokens=tokens,
        share=tokens / total,
        mean_epochs=tokens / once if once else 0.0,
        licences=dict(licences.iter_rows()),
        obligations=dict(obligations.iter_rows()),
        branches=branches,
    )


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count})" for name, count in ordered) or "none"


def _text_lines(branch: Branch, first: str, rest: str) -> Iterator[str]:
    yield (
        f"{first}{branch.name}: {branch.rows:,} rows, {branch.tokens:,} tokens "
        f"({branch.share:.1%}), {branch.mean_epochs:.2f} epochs"
    )
    if not branch.branches:
        yield f"{rest}  licences: {_counts(branch.licences)}"
        yield f"{rest}  obligations: {_counts(branch.obligations)}"
    for index, child in enumerate(branch.branches):
        last = index == len(branch.branches) - 1
        yield from _text_lines(
            child, rest + ("`- " if last else "|- "), rest + ("   " if last else "|  ")
        )


def _row(component: str, source: str, branch: Branch) -> str:
    licences = _counts(branch.licences).replace("|", "\\|")
    return (
        f"| {component} | {source} | {branch.rows:,} | {branch.tokens:,} | {branch.share:.1%} | "
        f"{branch.mean_epochs:.2f} | {licences} | {_counts(branch.obligations)} |"
    )
