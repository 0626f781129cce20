"""The command `tritter pin`: what upstream says today beside what the contracts pin."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritter_assets.settings import Settings
    from tritter_assets.sources.pin import Pin

FAILED = 1


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


def run(arguments: argparse.Namespace, settings: Settings, print_table: Callable[..., None]) -> int:
    """Runs the command; exit status 1 when a pin was refused or failed."""
    from tritter_assets.sources.pin import pin_sources, stopped

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
        sys.stdout.write(json.dumps([asdict(pin) for pin in found], indent=2) + "\n")
    else:
        print_table([_row(pin) for pin in found], limit=None)
        if not found:
            profile = settings.profile_name
            sys.stdout.write(f"profile {profile!r} has no Hub source: name the sources to pin\n")
        sys.stdout.write("".join(_text(pin) for pin in found))
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
