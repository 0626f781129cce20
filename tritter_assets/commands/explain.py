"""`tritter explain`: why a document or a packed token may be trained on; what a model read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tritter_assets.commands.terminal import plain, settings_of, write_json

if TYPE_CHECKING:
    from typing import Any

HELP = "explain a document, a packed token or sequence, or a checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "what",
        metavar="ID",
        help="document or sequence id, or its first digits; REPO:PATH; FILE.parquet:OFFSET (a "
        "token of a packed file, a row of another); packed/PHASE_CONTEXT:SEQUENCE[@TOKEN]; "
        "model/PHASE",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints what the stored tables say."""
    from tritter_assets.lineage.explain import explain

    settings = settings_of(arguments)
    found = explain(settings.lake(), arguments.what, settings.catalog())
    if arguments.json:
        return write_json(found.as_dict())
    _print_sections(found.as_dict())
    return 0


def _print_sections(sections: dict[str, Any]) -> None:
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
