"""The funnel of one source as a table and a picture, for the metadata of its assets."""

from __future__ import annotations

from typing import Any

from tritter_assets.compliance.plots import as_markdown_image, bar_plot
from tritter_assets.compliance.report import markdown_table
from tritter_assets.defs.stage import Platform
from tritter_assets.filters.funnel import pass_funnel


def funnel_table(platform: Platform, source: str) -> str | None:
    """Documents in and out of each stage that took any, over all shards judged so far."""
    rows = _rows(platform, source)
    return _as_table(rows) if rows else None


def funnel_plot(platform: Platform, source: str) -> str | None:
    """The same under a picture: a bar for what each of these stages left."""
    rows = _rows(platform, source)
    if not rows:
        return None
    left = {f"{row['stage_number']} {row['stage']}": float(row["num_out"]) for row in _took(rows)}
    png = bar_plot(
        {"raw": float(rows[0]["num_in"]), **left},
        title=f"{source}: documents left after each stage",
        unit="documents",
    )
    return f"{as_markdown_image(png, f'funnel of {source}')}\n\n{_as_table(rows)}"


def _rows(platform: Platform, source: str) -> list[dict[str, Any]]:
    if not platform.lake.exists(f"verdicts/{source}"):
        return []
    return pass_funnel(platform.lake, source).to_dicts()


def _took(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["num_removed"]]


def _as_table(rows: list[dict[str, Any]]) -> str:
    total, kept = int(rows[0]["num_in"]), int(rows[-1]["num_out"])
    table = markdown_table(
        [
            {
                "stage": f"{row['stage_number']} {row['stage']}",
                "in": row["num_in"],
                "removed": row["num_removed"],
                "left": row["num_out"],
                "kept": f"{row['retention']:.1%}",
            }
            for row in _took(rows)
        ]
    )
    share = f" ({kept / total:.1%})" if total else ""
    return f"{total} documents, {kept} pass{share}.\n\n{table}"
