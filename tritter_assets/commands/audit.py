"""`tritter audit`: every stored row against the licence policy."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.commands.terminal import FAILED, print_table, settings_of, write_json
from tritter_assets.errors import ContractViolation

if TYPE_CHECKING:
    import polars as pl

    from tritter_assets.settings import Settings

HELP = "verify every stored row against the licence policy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--diff",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what another policy would change: use_profile=NAME or policy=FOLDER",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the audit; exit status 1 when it fails."""
    settings = settings_of(arguments)
    if arguments.diff:
        return _audit_diff(arguments, settings)
    from tritter_assets.compliance.license_audit import audit

    found = audit(settings.lake(), settings.catalog())
    document = {
        "use_profile": found.use_profile,
        "policy_digest": found.policy_digest,
        "passed": found.passed,
        "problems": list(found.problems),
        "warnings": dict(found.warnings),
        "totals": found.totals().to_dicts(),
        "obligations": dict(found.obligations),
        "rows": found.rows.to_dicts(),
        "examples": list(found.examples),
    }
    if arguments.json:
        write_json(document)
        return 0 if found.passed else FAILED
    print_table(document["totals"], limit=None)
    print()
    print_table(_licences_of_mixes(found.rows))
    for problem in found.problems:
        print(problem)
    print(f"{'PASS' if found.passed else 'FAIL'} under use profile {found.use_profile!r}")
    return 0 if found.passed else FAILED


def _licences_of_mixes(rows: pl.DataFrame) -> Sequence[Mapping[str, Any]]:
    columns = ("table", "license_concluded", "action", "rows", "tokens")
    mixes = rows.filter(stage="mix").select(columns).group_by(columns[:3]).sum()
    order = ["table", "tokens", "license_concluded"]
    return mixes.sort(order, descending=[False, True, False]).to_dicts()


def _audit_diff(arguments: argparse.Namespace, settings: Settings) -> int:
    from tritter_assets.compliance.audit_diff import audit_diff
    from tritter_assets.contracts.policy import load_policy

    options: dict[str, str] = {}
    for item in arguments.diff:
        key, equals, value = item.partition("=")
        if not equals or key not in ("use_profile", "policy") or not value:
            raise ContractViolation(f"--diff {item!r}: write use_profile=NAME or policy=FOLDER")
        if key in options:
            raise ContractViolation(f"--diff {item!r}: {key} is {options[key]!r} already; give one")
        options[key] = value
    policy = load_policy(_policy_folder(options["policy"])) if "policy" in options else None
    found = audit_diff(
        settings.lake(), settings.catalog(), use_profile=options.get("use_profile"), policy=policy
    )
    problems = [str(problem) for problem in policy.problems] if policy else []
    if arguments.json:
        return write_json(asdict(found) | {"problems": problems})
    print_table([_told(row) for row in found.changes])
    print()
    print_table(found.totals, limit=None)
    for title, rows in (
        ("obligations that differ", found.obligations),
        ("may change, only ingesting tells", found.uncertain),
    ):
        if rows:
            print(f"\n{title}")
            print_table(rows)
    for problem in problems:
        print(problem)
    print(f"from use profile {found.before!r} to {found.after!r}; nothing was rebuilt")
    return 0


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """One change as a line to read: the licence it would be is shown where it is another."""
    told = dict(row)
    after = told.pop("license_after")
    if after != row["license_concluded"]:
        told["license_concluded"] = f"{row['license_concluded']} -> {after}"
    return told


def _policy_folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise ContractViolation(
            f"--diff policy={text}: there is no such folder; copy data_contracts/policy, edit the "
            "copy and give its path"
        )
    inside = folder / "policy"
    if not (folder / "categories.yaml").exists() and (inside / "categories.yaml").exists():
        raise ContractViolation(f"--diff policy={text}: the policy is in {inside}; give that")
    return folder
