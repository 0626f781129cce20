"""Pictures for asset metadata, drawn from stored tables when an asset is materialised."""

from __future__ import annotations

import json

import polars as pl

from tritter_assets.compliance.plots import as_markdown_image, bar_plot, line_plot
from tritter_assets.defs.stage import Platform


def mix_plot(platform: Platform, phase: str) -> str | None:
    """Estimated tokens by component of a mix."""
    tokens = (
        platform.lake.scan(f"mix/{phase}")
        .group_by("component")
        .agg(tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum())
        .sort("tokens", descending=True)
        .collect()
    )
    if tokens.is_empty():
        return None
    bars = {str(name): float(count) for name, count in tokens.iter_rows()}
    png = bar_plot(bars, title=f"mix/{phase}: estimated tokens by component", unit="tokens")
    return as_markdown_image(png, f"tokens by component of {phase}")


def training_plot(platform: Platform, phase: str) -> str | None:
    """Training and held-out loss by step."""
    log = json.loads(
        platform.artifacts.open_local(f"model/{phase}", "training_log.json").read_text()
    )
    series = {
        name: [(float(row["step"]), float(row[key])) for row in log[part] if row.get(key)]
        for name, part, key in (
            ("training loss", "steps", "loss"),
            ("held-out loss", "evaluations", "heldout_loss"),
        )
    }
    shown = {name: points for name, points in series.items() if points}
    if not shown:
        return None
    png = line_plot(shown, title=f"model/{phase}", x="step", y="loss (nats per token)")
    return as_markdown_image(png, f"loss of {phase}")


def stored_plot(platform: Platform, asset: str) -> str | None:
    """The first PNG of a stored report."""
    names = sorted(name for name in platform.artifacts.list(asset) if name.endswith(".png"))
    if not names:
        return None
    png = platform.artifacts.open_local(asset, names[0]).read_bytes()
    return as_markdown_image(png, names[0].removesuffix(".png"))
