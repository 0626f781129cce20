"""The command line: `tritter {plan,inspect,license,dedup,audit,explain,forget,pin,sources,funnel}`.

Every command takes `--json`. Errors that we raise on purpose are one line on standard error and
exit status 2; a check that ran and failed is exit status 1. Rooms are imported by the command that
needs them, so `tritter --help` costs no more than Python itself.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets import pin_command, sources_command
from tritter_assets.errors import ContractViolation, TritterError

if TYPE_CHECKING:
    import polars as pl

    from tritter_assets.contracts.catalog import Catalog
    from tritter_assets.lineage.explain import Explanation
    from tritter_assets.settings import Settings

Rows = Sequence[Mapping[str, Any]]

FAILED, WRONG = 1, 2
"""Exit statuses: a check failed; a command could not be carried out."""

_LISTED = 40
"""Rows shown without `--json`; the rest is counted."""


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

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="write JSON")
        sub.add_argument("--project", type=Path, metavar="DIR", help="folder with data_contracts")
        sub.add_argument("--lake", metavar="URI", help="folder or s3:// prefix of the lake")
        sub.set_defaults(run=run)
        return sub

    plan = command("plan", _plan, "show which assets are stale")
    plan.add_argument("--all", action="store_true", help="list fresh assets as well")
    inspect = command("inspect", _inspect, "run the filters on a folder, archive or Parquet file")
    inspect.add_argument("path", type=Path, metavar="PATH")
    inspect.add_argument("--no-license", action="store_true", help="leave the licence stage out")
    license_ = command("license", _license, "conclude licences of a folder, archive or file")
    license_.add_argument("path", type=Path, metavar="PATH")
    dedup = command("dedup", _dedup, "find near duplicates in a Parquet file (id, content)")
    dedup.add_argument("path", type=Path, metavar="PATH")
    dedup.add_argument("--threshold", type=float, default=0.7, help="Jaccard (default 0.7)")
    audit = command("audit", _audit, "verify every stored row against the licence policy")
    audit.add_argument(
        "--diff",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what another policy would change: use_profile=NAME or policy=FOLDER",
    )
    explain = command("explain", _explain, "explain a document or a packed token")
    explain.add_argument(
        "what", metavar="ID", help="document id, REPO:PATH, or packed/PHASE_CONTEXT:SEQUENCE@OFFSET"
    )
    forget = command("forget", _forget, "request removal, or list the requests")
    chosen = forget.add_mutually_exclusive_group()
    for kind in ("repo", "owner", "author", "sha256", "swhid", "id"):
        chosen.add_argument(f"--{kind}", metavar="VALUE")
    forget.add_argument("--reason", metavar="TEXT", help="why; shown in reports")
    forget.add_argument("--dry-run", action="store_true", help="show what it covers, write nothing")
    pin = command("pin", _pin, "show what upstream says today, and pin it in the contract")
    pin_command.add_arguments(pin)
    sources = command("sources", _sources, "show each source: licence, pin, claim and finding")
    sources_command.add_arguments(sources)
    command("funnel", _funnel, "show how many documents each stage left")
    return parser


# -- commands ------------------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> int:
    from tritter_assets.defs.plan import plan_assets

    planned = [asdict(asset) for asset in plan_assets(_settings(arguments))]
    if arguments.json:
        return _write_json(planned)
    shown = [row for row in planned if arguments.all or row["status"] != "fresh"]
    _print_table(shown)
    counts = Counter(str(row["status"]) for row in planned)
    print(", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "nothing")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from tritter_assets.compliance.local_files import inspect_path

    found = inspect_path(arguments.path, _catalog(arguments), ask_licenses=not arguments.no_license)
    if arguments.json:
        return _write_json(found.as_dict())
    dropped = [row for row in found.verdicts if row["action"] != "keep"]
    _print_table(
        [
            {key: row[key] for key in ("path", "stage", "action", "reason", "evidence")}
            for row in dropped
        ]
    )
    print()
    _print_table([{"after": step, "documents": left} for step, left in found.steps], limit=None)
    print(f"{found.num_kept} of {found.num_documents} documents pass")
    if not found.asked_licenses:
        print("the licence stage was left out")
    return 0


def _license(arguments: argparse.Namespace) -> int:
    from tritter_assets.compliance.local_files import license_path

    rows = license_path(arguments.path, _catalog(arguments))
    counts = Counter((row["license_concluded"], row["action"]) for row in rows)
    summary = [
        {"license_concluded": licence, "action": action, "files": number}
        for (licence, action), number in sorted(counts.items(), key=lambda i: (-i[1], i[0]))
    ]
    if arguments.json:
        return _write_json({"files": rows, "summary": summary})
    keys = ("path", "license_concluded", "license_method", "license_confidence", "action")
    _print_table([{key: row[key] for key in keys} for row in rows])
    print()
    _print_table(summary, limit=None)
    return 0


def _dedup(arguments: argparse.Namespace) -> int:
    from tritter_assets.dedup.parquet_file import find_duplicates

    if not arguments.path.is_file():
        raise ContractViolation(f"{arguments.path} is no file: give a Parquet file (id, content)")
    found = find_duplicates(arguments.path, threshold=arguments.threshold)
    clusters, pairs = found.clusters, found.pairs
    summary = {
        "documents": found.num_documents,
        "content_bytes": found.content_bytes,
        "threshold": found.threshold,
        "clusters": clusters["cluster_id"].n_unique(),
        "members": clusters.height,
        "dropped": len(found.dropped_ids),
        "pairs": pairs.height,
    }
    if arguments.json:
        return _write_json(
            {**summary, "clusters_rows": clusters.to_dicts(), "pairs_rows": pairs.to_dicts()}
        )
    _print_table(clusters.select("cluster_id", "id", "action", "kept_id", "score").to_dicts())
    print(", ".join(f"{value} {key}" for key, value in summary.items() if key != "threshold"))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
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
        _write_json(document)
        return 0 if found.passed else FAILED
    _print_table(document["totals"], limit=None)
    print()
    _print_table(_licences_of_mixes(found.rows))
    for problem in found.problems:
        print(problem)
    print(f"{'PASS' if found.passed else 'FAIL'} under use profile {found.use_profile!r}")
    return 0 if found.passed else FAILED


def _licences_of_mixes(rows: pl.DataFrame) -> Rows:
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
        options[key] = value
    policy = load_policy(Path(options["policy"])) if "policy" in options else None
    found = audit_diff(
        settings.lake(), settings.catalog(), use_profile=options.get("use_profile"), policy=policy
    )
    if arguments.json:
        return _write_json(asdict(found))
    _print_table(found.changes)
    print()
    _print_table(found.totals, limit=None)
    print(f"from use profile {found.before!r} to {found.after!r}; nothing was rebuilt")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from tritter_assets.lineage.explain import explain

    settings = _settings(arguments)
    found = explain(settings.lake(), arguments.what, settings.catalog())
    if arguments.json:
        return _write_json(found.as_dict())
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
                print(f"  {key}: {_plain(part)}")
            continue
        for item in value:
            print("  - " + ", ".join(f"{key}: {_plain(part)}" for key, part in item.items()))


def _forget(arguments: argparse.Namespace) -> int:
    from tritter_assets.lake.removals import read_removals
    from tritter_assets.lineage.forget import affected, preview_removal, request_removal

    settings = _settings(arguments)
    lake, catalog = settings.lake(), settings.catalog()
    kinds = ("repo", "owner", "author", "sha256", "swhid", "id")
    asked = [(kind, getattr(arguments, kind)) for kind in kinds if getattr(arguments, kind)]
    if not asked:
        requests = read_removals(lake).to_dicts()
        if arguments.json:
            return _write_json(requests)
        _print_table(requests)
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
        document |= {"request": made.request, "is_new": made.is_new}
        report = affected(lake, catalog)
    locations = [asdict(location) for location in report.locations]
    marked = [asdict(exposure) for exposure in report.checkpoints]
    document |= {
        "documents": report.covered.counts(),
        "locations": locations,
        "checkpoints": marked,
    }
    if arguments.json:
        return _write_json(document)
    covered = ", ".join(f"{number} {how}" for how, number in report.covered.counts().items())
    print(f"documents covered by {'this' if arguments.dry_run else 'all'} requests: "
          f"{covered or 'none'}")  # fmt: skip
    _print_table(locations)
    for exposure in report.checkpoints:
        seen = "saw covered documents" if exposure.through else "may have seen covered documents"
        print(f"{exposure.asset} {exposure.data_version} {seen}")
    if not arguments.dry_run:
        print("recorded; materialise the assets above, then `tritter audit` and the absence check")
    return 0


def _pin(arguments: argparse.Namespace) -> int:
    return pin_command.run(arguments, _settings(arguments), _print_table)


def _sources(arguments: argparse.Namespace) -> int:
    return sources_command.run(arguments, _catalog(arguments), _print_table)


def _funnel(arguments: argparse.Namespace) -> int:
    from tritter_assets.compliance.funnel import measure_funnel

    found = measure_funnel(_settings(arguments).lake())
    if arguments.json:
        return _write_json(
            {
                "problems": list(found.problems),
                "sources": found.table(),
                "steps": [{"step": step, "left": left} for step, left in found.total.steps()],
                "reasons": list(found.reasons),
            }
        )
    _print_table(found.table(), limit=None)
    for problem in found.problems:
        print(problem)
    return FAILED if found.problems else 0


# -- helpers -------------------------------------------------------------------------------------


def _settings(arguments: argparse.Namespace) -> Settings:
    from tritter_assets.settings import load_settings

    environ = dict(os.environ)
    if arguments.lake:
        environ["TRITTER_LAKE"] = arguments.lake
        if "://" not in arguments.lake:
            environ["TRITTER_LAKE"] = str(Path(arguments.lake).expanduser().absolute())
    return load_settings(arguments.project, environ)


def _catalog(arguments: argparse.Namespace) -> Catalog:
    return _settings(arguments).catalog()


def _write_json(value: Any) -> int:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    return 0


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).replace("\n", " | ")


def _print_table(rows: Iterable[Mapping[str, Any]], *, limit: int | None = _LISTED) -> None:
    """Prints rows under a header, columns aligned, numbers to the right."""
    everything = list(rows)
    shown = everything if limit is None else everything[:limit]
    if not shown:
        return
    headers = list(shown[0])
    cells = [[_cell(row.get(header)) for header in headers] for row in shown]
    widths = [max(len(h), *(len(line[i]) for line in cells)) for i, h in enumerate(headers)]
    numeric = [
        all(isinstance(row.get(h), (int, float)) or row.get(h) is None for row in shown)
        for h in headers
    ]
    for line in (headers, *cells):
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip())
    if len(everything) > len(shown):
        print(f"... and {len(everything) - len(shown)} more (--json lists all)")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = _plain(value)
    return text if len(text) <= 60 else text[:57] + "..."


if __name__ == "__main__":
    sys.exit(main())
