"""CPU seconds and resident memory of loading the definitions with 60 sources.

    python -m tritter_assets_tests.benchmarks.definitions_load

A fresh interpreter imports the code location and builds every asset, job, schedule and sensor, as
each code server does. The peer is the framework itself: importing Dagster and building as many
empty assets of the same shape. Median of five runs each.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tritter_assets_tests.benchmarks.harness import ROOT, report

NUM_SOURCES = 60
_RUNS = 5

_MEASURE = """
import json, resource, sys
{body}
usage = resource.getrusage(resource.RUSAGE_SELF)
heavy = [m for m in ("torch", "transformers", "datasets", "spacy", "presidio_analyzer", "numba")
         if m in sys.modules]
print(json.dumps({{"cpu_s": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024,
                  "assets": count, "heavy": heavy}}))
"""
_OURS = """
from pathlib import Path
from tritter_assets.definitions import build_definitions
from tritter_assets.settings import load_settings
found = build_definitions(load_settings(Path({project!r}), {{}}))
count = len(found.resolve_asset_graph().get_all_asset_keys())
"""
_PLAIN = """
import dagster as dg
def make(name):
    @dg.asset(name=name, partitions_def=dg.StaticPartitionsDefinition(["000"]))
    def plain(): ...
    return plain
found = dg.Definitions(assets=[make(f"asset_{{n}}") for n in range({count})])
count = len(found.resolve_asset_graph().get_all_asset_keys())
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = _project(Path(folder))
        ours = _median(_OURS.format(project=str(project)))
        plain = _median(_PLAIN.format(count=ours["assets"]))
    report(
        "definitions_load",
        round(ours["cpu_s"], 3),
        "CPU seconds",
        {"plain dagster assets": round(plain["cpu_s"], 3)},
        round(plain["cpu_s"] / ours["cpu_s"], 3),
        cpu_s=round(ours["cpu_s"], 3),
        mb=round(ours["mb"], 1),
        plain_mb=round(plain["mb"], 1),
        sources=NUM_SOURCES,
        assets=ours["assets"],
        heavy_modules_loaded=ours["heavy"],
    )


def _project(folder: Path) -> Path:
    """Copies the contracts, with exactly 60 source files that may be materialised."""
    from tritter_assets.settings import load_settings

    shutil.copytree(ROOT / "data_contracts", folder / "data_contracts")
    catalog = load_settings(ROOT, {}).catalog()
    usable = [c for c in catalog.sources.values() if c.refusal is None]
    usable.sort(key=lambda contract: "starter" not in contract.profiles)
    sources = folder / "data_contracts" / "sources"
    for contract in usable[NUM_SOURCES:]:
        (sources / contract.file.name).unlink()
    text = (sources / "tiktoken.yaml").read_text()
    for number in range(NUM_SOURCES - len(usable)):
        name = f"further_{number:02d}"
        renamed = text.replace("id: tiktoken", f"id: {name}", 1)
        (sources / f"{name}.yaml").write_text(renamed)
    return folder


def _median(body: str) -> dict:
    runs = []
    for _ in range(_RUNS):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _MEASURE.format(body=body)],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return runs[0] | {key: statistics.median(run[key] for run in runs) for key in ("cpu_s", "mb")}


if __name__ == "__main__":
    main()
