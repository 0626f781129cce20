"""`tritter explain`: why a document or a packed token may be trained on."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tritter_assets.commands.terminal import plain, settings_of, write_json

if TYPE_CHECKING:
    from tritter_assets.lineage.explain import Explanation

HELP = "explain a document or a packed token"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "what", metavar="ID", help="document id, REPO:PATH, or packed/PHASE_CONTEXT:SEQUENCE@OFFSET"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints what the stored tables say."""
    from tritter_assets.lineage.explain import explain

    settings = settings_of(arguments)
    found = explain(settings.lake(), arguments.what, settings.catalog())
    if arguments.json:
        return write_json(found.as_dict())
    _print_explanation(found)
    return 0


def _print_explanation(found: Explanation) -> None:
    sections = found.as_dict()
    print(f"# {sections.pop('subject')}")
    for name, value in sections.items():
        if not value:
            continue
        print(f"\n{name.replace('_', ' ')}")
        if isinstance(value, Mapping):
            for key, part in value.items():
                print(f"  {key}: {plain(part)}")
            continue
        for item in value:
            print("  - " + ", ".join(f"{key}: {plain(part)}" for key, part in item.items()))
