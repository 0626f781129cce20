"""`tritter sources`: every contract, what the report claims of it and what was found."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from tritter_assets.commands.terminal import catalog_of, print_table, write_json

HELP = "show each source: licence, pin, claim and finding"

_SHOWN = (
    "contract", "loader", "pinned", "tier", "status", "content", "wrapper", "access_terms",
    "generator",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("source", nargs="?", metavar="CONTRACT", help="all that is known of one")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table, or one contract of it."""
    from tritter_assets.contracts.coverage import load_coverage, source_rows
    from tritter_assets.contracts.fields import did_you_mean
    from tritter_assets.errors import ContractViolation

    catalog = catalog_of(arguments)
    table = catalog.root / "coverage.yaml"
    rows = list(source_rows(catalog, load_coverage(table) if table.is_file() else ()))
    if arguments.source:
        rows = [row for row in rows if row["contract"] == arguments.source]
        if not rows:
            fix = did_you_mean(arguments.source, catalog.sources)
            raise ContractViolation(f"no contract is named {arguments.source!r}: {fix}")
    if arguments.json:
        return write_json(rows)
    if arguments.source:
        for name, value in rows[0].items():
            print(f"{name.replace('_', ' ')}: {_plain(value)}")
        return 0
    print_table([{name: _plain(row[name]) for name in _SHOWN} for row in rows], limit=None)
    counts = Counter(row["status"] for row in rows)
    unpinned = sum(not row["pinned"] for row in rows)
    said = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    print(f"{len(rows)} contracts: {said}; {unpinned} not pinned")
    return 0


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{ours} <- {theirs}" for ours, theirs in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value) or "-"
