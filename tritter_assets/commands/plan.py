"""`tritter plan`: which assets are stale, and why."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict

from tritter_assets.commands.terminal import print_table, settings_of, write_json

HELP = "show which assets are stale"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--all", action="store_true", help="list fresh assets as well")


def run(arguments: argparse.Namespace) -> int:
    """Prints the assets that are not fresh."""
    from tritter_assets.defs.plan import plan_assets

    planned = [asdict(asset) for asset in plan_assets(settings_of(arguments))]
    if arguments.json:
        return write_json(planned)
    shown = [row for row in planned if arguments.all or row["status"] != "fresh"]
    print_table(shown)
    counts = Counter(str(row["status"]) for row in planned)
    print(", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "nothing")
    return 0
