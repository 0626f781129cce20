"""The command line: `tritter {plan,inspect,license,dedup,audit,explain,forget,pin,sources,funnel}`.

Every command takes `--json`. Errors that we raise on purpose are one line on standard error and
exit status 2; a check that ran and failed is exit status 1. Rooms are imported by the command that
needs them, so `tritter --help` costs no more than Python itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from tritter_assets.commands import (
    audit,
    dedup,
    explain,
    forget,
    funnel,
    inspect,
    license,  # noqa: A004 - the verb's name; the builtin is for interactive use
    pin,
    plan,
    sources,
)
from tritter_assets.commands.terminal import WRONG
from tritter_assets.errors import TritterError

COMMANDS: Mapping[str, ModuleType] = {
    "plan": plan,
    "inspect": inspect,
    "license": license,
    "dedup": dedup,
    "audit": audit,
    "explain": explain,
    "forget": forget,
    "pin": pin,
    "sources": sources,
    "funnel": funnel,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except TritterError as error:
        print(f"tritter {arguments.command}: {error}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); point stdout elsewhere so that the
        # interpreter's last flush does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="tritter", description="Training data whose licences you can prove."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.HELP, description=command.HELP)
        sub.add_argument("--json", action="store_true", help="write JSON")
        sub.add_argument("--project", type=Path, metavar="DIR", help="folder with data_contracts")
        sub.add_argument("--lake", metavar="URI", help="folder or s3:// prefix of the lake")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
