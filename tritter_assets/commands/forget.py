"""`tritter forget`: a removal request, and what it reaches."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tritter_assets.commands.terminal import print_table, settings_of, write_json
from tritter_assets.errors import ContractViolation

_KINDS = ("repo", "owner", "author", "sha256", "swhid", "id")

HELP = "request removal, or list the requests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    chosen = parser.add_mutually_exclusive_group()
    for kind in _KINDS:
        chosen.add_argument(f"--{kind}", metavar="VALUE")
    parser.add_argument("--reason", metavar="TEXT", help="why; shown in reports")
    parser.add_argument("--dry-run", action="store_true", help="show what it covers, write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Records a request, or shows what one would cover."""
    from tritter_assets.lake.removals import read_removals
    from tritter_assets.lineage.forget import affected, preview_removal, request_removal

    settings = settings_of(arguments)
    lake, catalog = settings.lake(), settings.catalog()
    asked = [(kind, getattr(arguments, kind)) for kind in _KINDS if getattr(arguments, kind)]
    if not asked:
        requests = read_removals(lake).to_dicts()
        if arguments.json:
            return write_json(requests)
        print_table(requests)
        print(f"{len(requests)} requests")
        return 0
    kind, value = asked[0]
    if not arguments.reason and not arguments.dry_run:
        raise ContractViolation("--reason is missing: say why, it is shown in reports")
    document: dict[str, Any] = {"kind": kind, "value": value, "dry_run": arguments.dry_run}
    if arguments.dry_run:
        report = preview_removal(lake, kind, value)
    else:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made = request_removal(lake, kind, value, arguments.reason, now)
        document |= {"request": made.requests[0], "is_new": made.num_new == 1}
        report = affected(lake, catalog)
    locations = [asdict(location) for location in report.locations]
    marked = [asdict(exposure) for exposure in report.checkpoints]
    document |= {
        "documents": report.covered.counts(),
        "locations": locations,
        "checkpoints": marked,
    }
    if arguments.json:
        return write_json(document)
    covered = ", ".join(f"{number} {how}" for how, number in report.covered.counts().items())
    print(f"documents covered by {'this' if arguments.dry_run else 'all'} requests: "
          f"{covered or 'none'}")  # fmt: skip
    print_table(locations)
    for exposure in report.checkpoints:
        seen = "saw covered documents" if exposure.through else "may have seen covered documents"
        print(f"{exposure.asset} {exposure.data_version} {seen}")
    if not arguments.dry_run:
        print("recorded; materialise the assets above, then `tritter audit` and the absence check")
    return 0
