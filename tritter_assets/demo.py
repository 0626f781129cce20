"""Materialises the active profile from nothing to reports, and says what it did.

Every step is an ordinary Dagster run on the persistent instance, so the UI shows all of it. The
sources run in worker processes, one run per source; what follows them is one run. A plan made from
the lake decides what to run: with nothing stale, no run is started.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO

import dagster as dg
import polars as pl

from tritter_assets.compliance.funnel import Funnel, measure_funnel
from tritter_assets.contracts.mix import PHASES
from tritter_assets.definitions import build_definitions
from tritter_assets.defs.freshness import Status
from tritter_assets.defs.plan import PlannedAsset, plan_assets
from tritter_assets.defs.schedules import DOWNSTREAM_JOB, SOURCE_ROOMS, source_job_name
from tritter_assets.settings import Settings, load_settings

_RUN_CONFIG = {"loggers": {"console": {}}}
"""Chooses the progress logger of the definitions over the framework's own."""
_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; exit code 1 when something other than an unreachable source failed."""
    parser = argparse.ArgumentParser(prog="python -m tritter_assets.demo", description=__doc__)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE", help="write the timings to FILE")
    options = parser.parse_args(arguments)
    settings = load_settings()
    if options.worker:
        return _work(settings, sys.stdin)
    return _drive(settings, options.json)


def _drive(settings: Settings, json_path: str | None) -> int:
    started = time.perf_counter()
    plan = plan_assets(settings)
    stale = [item for item in plan if item.status != Status.FRESH]
    _say(f"{len(plan)} asset partitions, {len(stale)} to make, profile {settings.profile_name}")
    sources = sorted(
        {item.key.split("/")[1] for item in stale if item.key.split("/")[0] in SOURCE_ROOMS}
    )
    timings: dict[str, float] = {}
    failed: list[str] = []
    if sources:
        begun = time.perf_counter()
        with dg.DagsterInstance.get():
            pass  # makes the instance's databases before several workers would at once
        failed = _run_sources(settings, sources)
        timings["sources"] = time.perf_counter() - begun
    downstream_failed = False
    if _is_stale(settings, plan):
        begun = time.perf_counter()
        downstream_failed = not _run_job(settings, DOWNSTREAM_JOB, {})
        timings["downstream"] = time.perf_counter() - begun
    timings["total"] = time.perf_counter() - started
    _summarise(settings, failed, timings)
    if json_path:
        with open(json_path, "w", encoding="utf-8") as sink:
            figures = {"seconds": timings, "peak_mb": _peak_mb(), "failed": failed}
            json.dump(figures | {"seconds_per_stage": _stage_seconds(stale)}, sink)
    return 1 if downstream_failed else 0


def _is_stale(settings: Settings, before: Iterable[PlannedAsset]) -> bool:
    """True when anything after the sources must be made, now that the sources have run."""
    if all(item.status == Status.FRESH for item in before):
        return False
    return any(
        item.status != Status.FRESH
        for item in plan_assets(settings)
        if item.key.split("/")[0] not in SOURCE_ROOMS
    )


# -- running ---------------------------------------------------------------------------------------


def _run_sources(settings: Settings, sources: Sequence[str]) -> list[str]:
    """Runs one job per source over a few worker processes; returns the sources that failed."""
    queue = list(reversed(_largest_first(settings, sources)))
    workers = max(1, min(settings.catalog().profile.workers, len(queue)))
    command = [sys.executable, "-m", "tritter_assets.demo", "--worker"]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    failed: list[str] = []
    done = 0
    lock = threading.Lock()

    def feed(process: subprocess.Popen[str]) -> None:
        nonlocal done
        assert process.stdin is not None
        assert process.stdout is not None
        while True:
            with lock:
                if not queue:
                    break
                source = queue.pop()
            process.stdin.write(source + "\n")
            process.stdin.flush()
            answer = process.stdout.readline().strip()
            with lock:
                done += 1
                if answer != "ok":
                    failed.append(source)
                _say(f"{done}/{len(sources)} sources: {source} {answer or 'worker died'}")
            if not answer:
                break
        process.stdin.close()

    threads = [threading.Thread(target=feed, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.wait()
    return sorted([*failed, *queue])


def _largest_first(settings: Settings, sources: Sequence[str]) -> list[str]:
    """Orders sources so that the long ones start early: by stored bytes, else by shards."""
    lake = settings.lake()
    catalog = settings.catalog()

    def size(source: str) -> tuple[int, int, str]:
        stored = sum(state.size_bytes for state in lake.states(f"raw/{source}"))
        return (-stored, -catalog.sources[source].num_shards, source)

    return sorted(sources, key=size)


def _work(settings: Settings, orders: IO[str]) -> int:
    """A worker: takes source ids from its standard input, answers on its standard output."""
    catalog = settings.catalog()
    for line in orders:
        source = line.strip()
        shards = catalog.sources[source].shards
        succeeded = _run_job(
            settings, source_job_name(source), {_RANGE_START: shards[0], _RANGE_END: shards[-1]}
        )
        sys.stdout.write(("ok" if succeeded else "failed") + "\n")
        sys.stdout.flush()
    return 0


def _run_job(settings: Settings, job: str, tags: dict[str, str]) -> bool:
    definition = _load_definitions(settings.project_root).resolve_job_def(job)
    with dg.DagsterInstance.get() as instance:
        result = definition.execute_in_process(
            instance=instance, tags=tags, run_config=_RUN_CONFIG, raise_on_error=False
        )
    return result.success


@lru_cache(maxsize=1)
def _load_definitions(project_root: Path) -> dg.Definitions:
    return build_definitions(load_settings(project_root))


# -- telling ---------------------------------------------------------------------------------------


def _summarise(settings: Settings, failed: Sequence[str], timings: dict[str, float]) -> None:
    lake = settings.lake()
    catalog = settings.catalog()
    print()
    print(_funnel_table(measure_funnel(lake)))
    print()
    print(_license_table(settings))
    print()
    artifacts = settings.artifacts(lake)
    for phase in PHASES:
        if lake.exists(f"model/{phase}"):
            facts = artifacts.facts(f"model/{phase}")
            print(
                f"{phase:16} held-out loss {facts['heldout_loss_before']:.3f} -> "
                f"{facts['heldout_loss_after']:.3f}"
            )
    if failed:
        print("\nReported and skipped: " + ", ".join(failed) + " (their errors are above)")
    for name, problems in catalog.problems.items():
        print(f"\nBroken contract {name}:\n" + "\n".join(str(problem) for problem in problems))
    taken = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in timings.items())
    print(f"\nTime: {taken}. Peak memory of one process: {_peak_mb():.0f} MB.")
    print("Open the UI:  make dev   (then http://127.0.0.1:3000)")


def _stage_seconds(made: Iterable[PlannedAsset]) -> dict[str, float]:
    """Seconds of work per room, and per asset in the rooms after the sources, as runs recorded."""
    totals: dict[str, float] = {}
    with dg.DagsterInstance.get() as instance:
        for key in sorted({item.key for item in made}):
            event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
            materialization = event.asset_materialization if event is not None else None
            recorded = materialization.metadata.get("tritter/seconds") if materialization else None
            if recorded is not None:
                room = key.split("/", maxsplit=1)[0]
                name = room if room in SOURCE_ROOMS else key
                totals[name] = round(totals.get(name, 0.0) + float(str(recorded.value)), 2)
    return totals


def _funnel_table(funnel: Funnel) -> str:
    """Every step over all sources, then what each source gave."""
    lines = [f"{'step':28} {'documents left':>14}"]
    lines += [f"{name:28} {left:>14,}" for name, left in funnel.total.steps()]
    lines += ["", f"{'source':20} {'raw':>7} {'filtered':>9} {'survivors':>10} {'mix tokens':>12}"]
    lines += [
        f"{line.source:20} {line.raw:>7,} {line.filtered:>9,} {line.survivors:>10,} "
        f"{sum(line.mix_tokens.values()):>12,}"
        for line in (*funnel.sources, funnel.total)
    ]
    return "\n".join(lines)


def _license_table(settings: Settings) -> str:
    """Documents and tokens of all mixes by concluded licence."""
    lake = settings.lake()
    frames = [
        lake.scan(f"mix/{phase}").select("license_concluded", "estimated_tokens", "epochs")
        for phase in PHASES
        if lake.exists(f"mix/{phase}")
    ]
    if not frames:
        return "No mix was built."
    counts = (
        pl.concat(frames)
        .group_by("license_concluded")
        .agg(
            rows=pl.len(),
            tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum(),
        )
        .sort(["tokens", "license_concluded"], descending=[True, False])
        .collect()
    )
    lines = [f"{'licence of what is trained on':60} {'rows':>8} {'tokens':>12}"]
    for name, rows, tokens in counts.head(15).iter_rows():
        shown = name if len(name) <= 60 else name[:57] + "..."
        lines.append(f"{shown:60} {rows:>8,} {tokens:>12,}")
    if counts.height > 15:
        rest = counts.slice(15)
        lines.append(
            f"{f'{rest.height} more':60} {rest['rows'].sum():>8,} {rest['tokens'].sum():>12,}"
        )
    return "\n".join(lines)


def _peak_mb() -> float:
    """Largest resident set of this process or any finished child, in MB."""
    peaks = (
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return max(peaks) / 1024


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _home_is_set() -> None:
    if "DAGSTER_HOME" not in os.environ:
        os.environ["DAGSTER_HOME"] = str(load_settings().project_root)


if __name__ == "__main__":
    _home_is_set()
    sys.exit(main())
