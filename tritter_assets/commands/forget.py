"""`tritter forget`: a removal request, what it reaches, and, if asked to, all that it takes."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tritter_assets.commands.terminal import FAILED, print_table, settings_of, write_json
from tritter_assets.errors import ContractViolation

if TYPE_CHECKING:
    from tritter_assets.lineage.forget import AffectedReport
    from tritter_assets.lineage.proof import AbsenceProof
    from tritter_assets.lineage.purge import PurgeReport
    from tritter_assets.settings import Settings

_KINDS = ("repo", "owner", "author", "sha256", "swhid", "id")

_RUN_CONFIG = {"loggers": {"console": {}}}
"""Names our logger, or else the framework's own would take the place."""

HELP = "request removal, carry requests out, or list them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    chosen = parser.add_mutually_exclusive_group()
    for kind in _KINDS:
        chosen.add_argument(f"--{kind}", metavar="VALUE")
    chosen.add_argument(
        "--complete",
        action="store_true",
        help="add what follows from earlier requests: copies that came since, steps cut short",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; shown in reports")
    parser.add_argument("--dry-run", action="store_true", help="show what it covers, write nothing")
    parser.add_argument(
        "--apply", action="store_true", help="materialise what held the rows, then prove absence"
    )
    parser.add_argument(
        "--purge",
        action="store_true",
        help="also take rows out of raw, and delete earlier files, index caches and downloads",
    )


def run(arguments: argparse.Namespace) -> int:
    """Records a request, shows what one would cover, or carries all of them out."""
    from tritter_assets.lake.removals import read_removals
    from tritter_assets.lineage.forget import affected, preview_removal, request_removals
    from tritter_assets.lineage.requests import make_request
    from tritter_assets.removal import FOLLOWS

    settings = settings_of(arguments)
    lake, catalog = settings.lake(), settings.catalog()
    asked = [(kind, getattr(arguments, kind)) for kind in _KINDS if getattr(arguments, kind)]
    acts = arguments.complete or arguments.apply or arguments.purge
    if arguments.dry_run and (acts or not asked):
        raise ContractViolation(
            "--dry-run shows what one request would cover: give it with a kind, e.g. --repo, alone"
        )
    if not asked and not acts:
        requests = read_removals(lake).to_dicts()
        if arguments.json:
            return write_json(requests)
        made = [row for row in requests if not row["reason"].startswith(FOLLOWS)]
        print_table(made)
        follow = len(requests) - len(made)
        print(f"{len(made)} requests; {follow} rows follow from them (--json lists all)")
        return 0
    document: dict[str, Any] = {"dry_run": arguments.dry_run}
    if asked:
        document |= dict(zip(("kind", "value"), asked[0], strict=True))
    if arguments.dry_run:
        return _show(arguments, document, preview_removal(lake, *asked[0]))
    if asked and not arguments.reason:
        raise ContractViolation("--reason is missing: say why, it is shown in reports")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = request_removals(lake, [make_request(*one, arguments.reason, now) for one in asked])
    document |= {"is_new": made.num_new > 0, "followers": made.num_followers}
    document |= {"request": made.requests[0]} if asked else {}
    purged, proof = _carry_out(settings, apply=arguments.apply, purge=arguments.purge)
    return _show(arguments, document, affected(lake, catalog), purged, proof)


def _carry_out(
    settings: Settings, *, apply: bool, purge: bool
) -> tuple[PurgeReport | None, AbsenceProof | None]:
    """Rows first, so that a shard is judged once; files last, when no table needs them."""
    lake, catalog = settings.lake(), settings.catalog()
    purged = proof = None
    if purge:
        from tritter_assets.lineage.purge import PurgeReport, purge_rows

        purged = PurgeReport()
        purge_rows(lake, purged)
    if apply:
        _materialise(settings)
    if purged is not None:
        from tritter_assets.lineage.purge import purge_files

        purge_files(lake, catalog, settings.cache, purged)
    if apply:
        from tritter_assets.lineage.proof import prove_absence

        proof = prove_absence(lake, catalog)
    return purged, proof


def _materialise(settings: Settings) -> None:
    """Runs what the sensor would ask for, in this process."""
    import os

    import dagster as dg

    from tritter_assets.definitions import build_definitions
    from tritter_assets.defs.forgetting import downstream_run, source_runs, stale_shards
    from tritter_assets.defs.graph import build_graph
    from tritter_assets.defs.stage import Platform

    platform = Platform.open(settings)
    graph, definitions = build_graph(platform), build_definitions(settings)
    ephemeral = "DAGSTER_HOME" not in os.environ
    opened = dg.DagsterInstance.ephemeral() if ephemeral else dg.DagsterInstance.get()
    with opened as instance:
        for one in [*source_runs(stale_shards(platform, graph)), downstream_run(graph)]:
            job = definitions.resolve_job_def(one.job)
            # A run that fails says so on standard error; the proof says what it left behind.
            job.execute_in_process(
                raise_on_error=False,
                run_config=_RUN_CONFIG,
                instance=instance,
                partition_key=one.partition,
                asset_selection=list(one.assets),
            )


def _show(
    arguments: argparse.Namespace,
    document: dict[str, Any],
    report: AffectedReport,
    purged: PurgeReport | None = None,
    proof: AbsenceProof | None = None,
) -> int:
    counts = report.covered.counts()
    document |= {
        "documents": counts,
        "locations": [asdict(location) for location in report.locations],
        "checkpoints": [asdict(exposure) for exposure in report.checkpoints],
    }
    if purged is not None:
        document["purged"] = asdict(purged)
    if proof is not None:
        document["proof"] = {
            "passed": proof.passed,
            "documents": proof.num_documents,
            "searched_bytes": proof.searched_bytes,
            "problems": list(proof.problems),
        }
    status = FAILED if proof is not None and not proof.passed else 0
    if arguments.json:
        write_json(document)
        return status
    covered = ", ".join(f"{number} {how}" for how, number in counts.items())
    which = "this request" if arguments.dry_run else "all requests"
    print(f"documents in the lake covered by {which}: {covered or 'none'}")
    print_table(document["locations"])
    for exposure in report.checkpoints:
        seen = "saw covered documents" if exposure.through else "may have seen covered documents"
        print(f"{exposure.asset} {exposure.data_version} {seen}")
    if purged is not None:
        _print_purge(purged)
    if proof is not None:
        word = "proved" if proof.passed else "NOT proved"
        print(
            f"absence of {proof.num_documents:,} documents {word}, over "
            f"{proof.searched_bytes:,} bytes of text downstream"
        )
        for problem in proof.problems:
            print(f"  {problem}")
    elif not arguments.dry_run:
        print("recorded; materialise the assets above (or give --apply), then `tritter audit`")
    return status


def _print_purge(purged: PurgeReport) -> None:
    print_table([asdict(place) for place in purged.rows])
    print(f"deleted {purged.num_files:,} files, {purged.num_bytes:,} bytes")
    for line in purged.caches:
        print(f"  {line}")
    print(
        "Dagster's event log may still quote documents (diffs of duplicate clusters): delete old "
        "runs there, or set TRITTER_EXCERPTS=off so that none are written"
    )
