"""`tritter inspect`: the whole pass of filters over files that are no source."""

from __future__ import annotations

import argparse
from pathlib import Path

from tritter_assets.commands.terminal import catalog_of, print_table, write_json

HELP = "run the filters on a folder, archive or Parquet file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--no-license", action="store_true", help="leave the licence stage out")


def run(arguments: argparse.Namespace) -> int:
    """Prints verdicts and the funnel."""
    from tritter_assets.compliance.local_files import inspect_path

    found = inspect_path(
        arguments.path, catalog_of(arguments), ask_licenses=not arguments.no_license
    )
    if arguments.json:
        return write_json(found.as_dict())
    dropped = [row for row in found.verdicts if row["action"] != "keep"]
    print_table(
        [
            {key: row[key] for key in ("path", "stage", "action", "reason", "evidence")}
            for row in dropped
        ]
    )
    print()
    print_table([{"after": step, "documents": left} for step, left in found.steps], limit=None)
    print(f"{found.num_kept} of {found.num_documents} documents pass")
    if not found.asked_licenses:
        print("the licence stage was left out")
    return 0
