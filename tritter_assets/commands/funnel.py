"""`tritter funnel`: how many documents each stage left."""

from __future__ import annotations

import argparse

from tritter_assets.commands.terminal import FAILED, print_table, settings_of, write_json

HELP = "show how many documents each stage left"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    del parser  # it has none of its own


def run(arguments: argparse.Namespace) -> int:
    """Prints the funnel; exit status 1 when its sums do not agree."""
    from tritter_assets.compliance.funnel import measure_funnel

    found = measure_funnel(settings_of(arguments).lake())
    if arguments.json:
        return write_json(
            {
                "problems": list(found.problems),
                "sources": found.table(),
                "steps": [{"step": step, "left": left} for step, left in found.total.steps()],
                "reasons": list(found.reasons),
            }
        )
    print_table(found.table(), limit=None)
    for problem in found.problems:
        print(problem)
    return FAILED if found.problems else 0
