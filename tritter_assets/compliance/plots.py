"""Plots as PNG bytes, for asset metadata and report pages; matplotlib is loaded when one is drawn.

The bytes depend only on the data and on matplotlib's version: no clock and no program name is
written into the file.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

_BLUE = "#2563eb"
_DPI = 110


def as_markdown_image(png: bytes, alternative: str) -> str:
    """Returns Markdown that shows the picture, as Dagster metadata wants it."""
    return f"![{alternative}](data:image/png;base64,{base64.b64encode(png).decode()})"


def bar_plot(values: Mapping[str, float], *, title: str, unit: str) -> bytes:
    """Draws horizontal bars in the order given, each with its value written at its end."""
    figure, axes = _figure(height=0.9 + 0.32 * max(len(values), 1))
    labels, numbers = list(values), [float(value) for value in values.values()]
    bars = axes.barh(labels, numbers, color=_BLUE)
    axes.bar_label(bars, labels=[_number(n) for n in numbers], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _png(figure)


def line_plot(
    series: Mapping[str, Sequence[tuple[float, float]]], *, title: str, x: str, y: str
) -> bytes:
    """Draws one line per series of (x, y) points."""
    figure, axes = _figure(height=3.2)
    for name, points in series.items():
        axes.plot([p[0] for p in points], [p[1] for p in points], label=name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    if len(series) > 1:
        axes.legend(frameon=False)
    return _png(figure)


def heat_map(
    cells: Mapping[tuple[str, str], float], *, title: str, rows: str, columns: str
) -> bytes:
    """Draws a table of (row, column) -> value, darker where larger, the value in each cell."""
    across = sorted({column for _, column in cells})
    down = sorted({row for row, _ in cells})
    figure, axes = _figure(height=1.6 + 0.36 * len(down))
    grid = [[float(cells.get((row, column), 0.0)) for column in across] for row in down]
    largest = max(max(line) for line in grid) or 1.0
    # A square root, so that one large cell does not turn all the others white.
    axes.imshow(
        [[(v / largest) ** 0.5 for v in line] for line in grid], cmap="Blues", vmin=0, vmax=1
    )
    axes.set_aspect("auto")
    axes.set_xticks(range(len(across)), across, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(down)), down, fontsize=8)
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            shade = "white" if value > 0.4 * largest else "black"
            axes.text(x, y, _number(value) if value else "", ha="center", va="center", color=shade)
    axes.set_xlabel(columns)
    axes.set_ylabel(rows)
    axes.set_title(title, loc="left", fontsize=11)
    return _png(figure)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
