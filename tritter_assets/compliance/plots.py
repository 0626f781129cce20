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
_RED = "#b91c1c"
_BAND = "#dcfce7"
_DPI = 110


def as_markdown_image(png: bytes, alternative: str) -> str:
    """Returns Markdown that shows the picture, as Dagster metadata wants it."""
    return f"![{alternative}](data:image/png;base64,{base64.b64encode(png).decode()})"


def bar_plot(
    values: Mapping[str, float],
    *,
    title: str,
    unit: str,
    bands: Mapping[str, tuple[float, float]] | None = None,
) -> bytes:
    """Draws horizontal bars in the order given, each with its value written at its end.

    Args:
        values: What to draw, by label.
        title: Stands above.
        unit: Of the values.
        bands: Label -> from where to where its value usually lies; shaded behind the bar.
    """
    figure, axes = _figure(height=0.9 + 0.32 * max(len(values), 1))
    labels, numbers = list(values), [float(value) for value in values.values()]
    for label, (low, high) in (bands or {}).items():
        span = {"height": 1.0, "color": _BAND, "zorder": 0}
        axes.barh([labels.index(label)], [high - low], left=low, **span)
    bars = axes.barh(range(len(labels)), numbers, color=_BLUE, height=0.5 if bands else 0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.bar_label(bars, labels=[_number(n) for n in numbers], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return _png(figure)


def line_plot(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x: str,
    y: str,
    band: tuple[float, float] | None = None,
    mark: tuple[float, float, str] | None = None,
) -> bytes:
    """Draws one line per series of (x, y) points.

    Args:
        series: The points by name.
        title: Stands above.
        x: What lies along, with its unit.
        y: What goes up, with its unit.
        band: Heights between which the background is shaded.
        mark: A point that is ringed, with what is written beside it.
    """
    figure, axes = _figure(height=3.2)
    for name, points in series.items():
        axes.plot(*zip(*points, strict=True), label=name, marker="." if mark else None)
    if band is not None:
        axes.axhspan(*band, color=_BAND, zorder=0)
    if mark is not None:
        axes.plot(*mark[:2], marker="o", markersize=9, markerfacecolor="none", color=_RED)
        beside = {"xytext": (6, 10), "textcoords": "offset points", "color": _RED, "fontsize": 9}
        axes.annotate(mark[2], mark[:2], **beside)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    if len(series) > 1:
        axes.legend(frameon=False)
    return _png(figure)


def heat_map(
    cells: Mapping[tuple[str, str], float], *, title: str, rows: str, columns: str
) -> bytes:
    """Draws a table of (row, column) -> value, darker where larger, the value in each cell.

    Both sides are in one order, largest total first, so a name meets itself on the diagonal.
    """
    totals: dict[str, float] = {}
    for (row, column), value in cells.items():
        for name in {row, column}:
            totals[name] = totals.get(name, 0.0) + value
    names = sorted(totals, key=lambda name: (-totals[name], name))
    across = [name for name in names if name in {column for _, column in cells}]
    down = [name for name in names if name in {row for row, _ in cells}]
    figure, axes = _figure(height=1.9 + 0.3 * len(down), width=max(8, 3 + 0.55 * len(across)))
    grid = [[float(cells.get((row, column), 0.0)) for column in across] for row in down]
    largest = max(max(line) for line in grid) or 1.0
    # A square root, so that one large cell does not turn all the others white.
    axes.imshow(
        [[(v / largest) ** 0.5 for v in line] for line in grid], cmap="Blues", vmin=0, vmax=1
    )
    axes.set_aspect("auto")
    axes.set_xticks(range(len(across)), across, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(down)), down, fontsize=8)
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            if value:
                shade = "white" if value > 0.4 * largest else "black"
                at = {"ha": "center", "va": "center", "fontsize": 8}
                axes.text(x, y, _short(value), color=shade, **at)
    axes.set_xlabel(columns)
    axes.set_ylabel(rows)
    axes.set_title(title, loc="left", fontsize=11)
    return _png(figure)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def _short(value: float) -> str:
    """At most five characters, so that a cell holds it."""
    if value < 1e4:
        return _number(value).replace(",", "")
    for unit in "kMG":
        value /= 1000
        if value < 999.5:
            return f"{value:.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}"
    return f"{value:.0e}"


def _figure(*, height: float, width: float = 8) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
