"""Seconds of each part of `make demo`, from an empty lake and from a finished one.

    python -m tritter_assets_tests.benchmarks.demo

Runs the starter profile in a folder of its own (lake, instance), with the project's download cache.
There is no peer for the whole; `ratio` is the first run over the second, what freshness saves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tritter_assets_tests.benchmarks.harness import ROOT, report


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tritter-demo-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "TRITTER_LAKE": f"{folder}/lake",
            "TRITTER_PROJECT": str(ROOT),
        }
        first = _run(folder, environment)
        second = _run(folder, environment)
    report(
        "demo",
        round(first["wall_s"], 1),
        "seconds, install left out",
        {},
        round(first["wall_s"] / second["wall_s"], 1),
        seconds_per_part=first["seconds"],
        seconds_per_stage=first["seconds_per_stage"],
        peak_mb=round(first["peak_mb"]),
        second_run_s=round(second["wall_s"], 1),
        failed_sources=first["failed"],
    )


def _run(folder: str, environment: dict[str, str]) -> dict:
    results = Path(folder) / "timings.json"
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tritter_assets.demo", "--json", str(results)],
        check=True,
        env=environment,
        cwd=folder,
        stdout=sys.stderr,
    )
    return json.loads(results.read_text()) | {"wall_s": time.perf_counter() - started}


if __name__ == "__main__":
    main()
