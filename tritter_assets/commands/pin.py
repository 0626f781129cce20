"""`tritter pin`: what upstream says today beside what the contracts pin."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tritter_assets.commands.terminal import FAILED, print_table, settings_of, write_json

if TYPE_CHECKING:
    from tritter_assets.sources.pin import Pin

HELP = "show what upstream says today, and pin it in the contract"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="default: the Hub sources of the profile, and all that pin nothing yet",
    )
    parser.add_argument("--ref", metavar="NAME", help="pin this branch, tag, version or commit")
    parser.add_argument("--write", action="store_true", help="edit the contracts in place")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="pin although the licence tag, the gate, a mapped column or pinned bytes changed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; exit status 1 when a pin was refused or failed."""
    from tritter_assets.sources.pin import pin_sources, stopped

    settings = settings_of(arguments)
    found = pin_sources(
        settings.catalog(),
        settings.lake(),
        arguments.sources,
        cache=settings.cache,
        ref=arguments.ref,
        write=arguments.write,
        accept=arguments.accept,
    )
    if arguments.json:
        write_json([asdict(pin) for pin in found])
    else:
        print_table([_row(pin) for pin in found], limit=None)
        if not found:
            profile = settings.profile_name
            print(f"profile {profile!r} has no Hub source: name the sources to pin")
        print("".join(_text(pin) for pin in found), end="")
    return FAILED if stopped(found) else 0


def _row(pin: Pin) -> dict[str, Any]:
    return {
        "source": pin.source,
        "status": pin.status.value,
        "pinned": pin.pinned[:12],
        "upstream": pin.upstream[:12],
        "licence_tag": pin.license_tag,
        "gate": pin.gate,
        "readme_sha256": pin.readme_sha256[:12],
    }


def _text(pin: Pin) -> str:
    """What the table has no room for."""
    lines = [line for line in (*pin.differences, pin.message, pin.diff) if line]
    return "\n".join(["", pin.source, *lines, ""]) if lines else ""
