"""`tritter inspect`: the whole pass of filters over files that are no source."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tritter_assets.commands.terminal import catalog_of, print_table

if TYPE_CHECKING:
    from tritter_assets.compliance.local_files import Inspection

HELP = "run the filters on a folder, an archive, a file, or a Parquet or JSON Lines table"

FORMS = """\
PATH is one of
  a folder      every text file below it; licences are concluded from what it holds
  an archive    .tar.gz, .zip, .whl, .crate ...: read in place, nothing is unpacked
  a text file
  a table       .parquet, .jsonl, .ndjson, .jsonl.gz or .ndjson.gz with the columns id (each row
                its own), path and content. Other columns of a document (language, repo,
                license_concluded ...) are used where they are there; without license_concluded
                the licence stage is left out.
Stages 5, 6 and 15 (duplicates) need a lake and are not run.

--json writes one object:
  num_documents   documents judged
  num_kept        documents that pass all stages, some of them with redactions
  asked_licenses  false where the licence stage was left out
  skipped         reason -> files left out before any stage (binary, too large ...)
  steps           [[stage, documents left after it], ...], from "start" on
  verdicts        rows ordered by path, id, stage_number and reason:
    path, id      the document
    stage         name; stage_number: 1 to 15
    action        keep, redact, drop or quarantine
    reason        closed list; "passed" where every stage was silent
    terminal      true for the one verdict of each document that settles it
    score         0 to 1, or null; evidence: what was found and where, or null
    spans         [{start, end, replacement}, ...] in characters, to be redacted
    stage_version version of the stage that says so

Exit status: 0 once everything was judged, 2 if PATH could not be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = FORMS
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--no-license", action="store_true", help="leave the licence stage out")


def run(arguments: argparse.Namespace) -> int:
    """Prints verdicts and the funnel."""
    from tritter_assets.compliance.local_files import inspect_path

    found = inspect_path(
        arguments.path, catalog_of(arguments), ask_licenses=not arguments.no_license
    )
    if arguments.json:
        _write_json(found)
        return 0
    told = found.verdicts.filter(found.verdicts["action"] != "keep")
    columns = ("path", "stage", "action", "reason", "evidence")
    print_table(told.select(columns).to_dicts())
    print()
    print_table([{"after": step, "documents": left} for step, left in found.steps], limit=None)
    print(f"{found.num_kept} of {found.num_documents} documents pass")
    for reason, count in found.skipped.items():
        print(f"{count} files left out: {reason}")
    if not found.asked_licenses:
        print("the licence stage was left out")
    return 0


def _write_json(found: Inspection) -> None:
    """Writes the object row by row: the rows of a large folder are not in memory twice."""
    head = {
        "num_documents": found.num_documents,
        "num_kept": found.num_kept,
        "asked_licenses": found.asked_licenses,
        "skipped": found.skipped,
        "steps": found.steps,
    }
    for name, value in head.items():
        print("{" if name == "num_documents" else "", end="")
        print(f'"{name}": {json.dumps(value, ensure_ascii=False)},')
    print('"verdicts": [', end="")
    separator = "\n"
    for row in found.verdicts.iter_rows(named=True):
        print(separator + json.dumps(row, ensure_ascii=False), end="")
        separator = ",\n"
    print("\n]}")
