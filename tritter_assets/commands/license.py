"""`tritter license`: the licence of every file below a path, with its evidence."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from tritter_assets.commands.terminal import catalog_of, print_table, write_json

HELP = "conclude licences of a folder, archive or file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("path", type=Path, metavar="PATH")


def run(arguments: argparse.Namespace) -> int:
    """Prints each file's licence and a summary."""
    from tritter_assets.compliance.local_files import license_path

    rows = license_path(arguments.path, catalog_of(arguments))
    counts = Counter((row["license_concluded"], row["action"]) for row in rows)
    summary = [
        {"license_concluded": licence, "action": action, "files": number}
        for (licence, action), number in sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    ]
    if arguments.json:
        return write_json({"files": rows, "summary": summary})
    keys = (
        "path",
        "license_declared",
        "license_concluded",
        "license_method",
        "license_confidence",
        "action",
    )
    print_table([{key: row[key] for key in keys} for row in rows])
    print()
    print_table(summary, limit=None)
    return 0
