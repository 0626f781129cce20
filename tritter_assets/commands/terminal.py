"""What every command needs: its settings, and how it writes tables and JSON."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog
    from tritter_assets.settings import Settings

FAILED, WRONG = 1, 2
"""Exit statuses: a check failed; a command could not be carried out."""

_LISTED = 40
"""Rows shown without `--json`; the rest is counted."""


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Returns the settings of the deployment that `--project` and `--lake` name."""
    from tritter_assets.settings import load_settings

    environ = dict(os.environ)
    if arguments.lake:
        environ["TRITTER_LAKE"] = arguments.lake
        if "://" not in arguments.lake:
            environ["TRITTER_LAKE"] = str(Path(arguments.lake).expanduser().absolute())
    return load_settings(arguments.project, environ)


def catalog_of(arguments: argparse.Namespace) -> Catalog:
    """Returns the contracts of that deployment."""
    return settings_of(arguments).catalog()


def write_json(value: Any) -> int:
    """Prints JSON and returns the exit status of success."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    return 0


def plain(value: Any) -> str:
    """Returns a value on one line."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).replace("\n", " | ")


def print_table(rows: Iterable[Mapping[str, Any]], *, limit: int | None = _LISTED) -> None:
    """Prints rows under a header, columns aligned, numbers to the right."""
    everything = list(rows)
    shown = everything if limit is None else everything[:limit]
    if not shown:
        return
    headers = list(shown[0])
    cells = [[_cell(row.get(header)) for header in headers] for row in shown]
    widths = [max(len(h), *(len(line[i]) for line in cells)) for i, h in enumerate(headers)]
    numeric = [
        all(isinstance(row.get(h), (int, float)) or row.get(h) is None for row in shown)
        for h in headers
    ]
    for line in (headers, *cells):
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip())
    if len(everything) > len(shown):
        print(f"... and {len(everything) - len(shown)} more (--json lists all)")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = plain(value)
    return text if len(text) <= 60 else text[:57] + "..."
