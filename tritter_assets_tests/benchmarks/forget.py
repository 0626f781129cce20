"""What forgetting one repository of 1,000 costs, against making everything again without it.

    python -m tritter_assets_tests.benchmarks.forget [MEGABYTES] [NUM_SHARDS]

The Python and Rust files of the corpus, up to so many megabytes, become 1,000 repositories of
neighbouring files, in a project of one source. A repository's rows lie in one, two or three of the
shards. One of middle size whose rows lie in two is forgotten, as the sensor and `tritter forget
--apply` do it: the request, the runs of the shards that hold a covered row, one run over what comes
after up to the packed tables. Nothing is purged. Then its absence is proved, which reads every text
downstream and is counted apart.

`full_rebuild_seconds` is what the same runs take over a lake that holds the same raw rows and the
same request, and nothing else. Seconds are of the process's CPU, Dagster included; wall time stands
beside them. `shards_rewritten` counts the partitions of sharded tables (verdicts, filtered,
signatures, functions, synthetic, near bands) with other data files than before, of `shards_total`;
`tables_rewritten` the tables without partitions (indexes, mixes, tokenizer, packed). `ratio` is
full rebuild to forgetting.

Prints one JSON object last.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import polars as pl
import yaml

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.forgetting import source_runs, stale_shards
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform
from tritter_assets.lake import Lake
from tritter_assets.lineage.forget import affected, request_removal
from tritter_assets.lineage.inventory import PARTITION_COLUMNS, data_files, tables_under
from tritter_assets.lineage.proof import prove_absence
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.corpus import write_project

NUM_REPOSITORIES = 1000
SOURCE = "small_code"
_LARGEST_FILE = 60_000
_GROUPS = ("g05_dedup", "g06_functions", "g07_synthetic", "g08_mixes", "g09_packing")
_RUN_CONFIG = {"loggers": {"console": {}}}


@dataclass(kw_only=True)
class Cost:
    """What a part took."""

    cpu: float = 0.0
    wall: float = 0.0


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Measures what is done inside."""
    cost, cpu, wall = Cost(), time.process_time(), time.perf_counter()
    yield cost
    cost.cpu, cost.wall = time.process_time() - cpu, time.perf_counter() - wall


def write_corpus(folder: Path, num_bytes: int, num_shards: int) -> tuple[Settings, str]:
    """Writes the project; returns its settings and the repository to forget."""
    columns = ["repo", "path", "language", "content"]
    rows = (
        pl.scan_parquet(corpus_path())
        .select(columns)
        .filter(pl.col("language").is_in(["python", "rust"]))
        .filter(pl.col("content").str.len_bytes() < _LARGEST_FILE)
        .collect()
        .sample(fraction=1.0, shuffle=True, seed=7)
        .filter(pl.col("content").str.len_bytes().cum_sum() <= num_bytes)
        .sort("repo", "path")
        .with_row_index("number")
        .with_columns(group=pl.col("number") * NUM_REPOSITORIES // pl.len())
    )
    write_project(folder, num_shards=num_shards)
    (folder / "data_contracts" / "sources" / "small_mirror.yaml").unlink()
    _fill_mixes(folder / "data_contracts" / "profiles" / "starter.yaml", num_bytes)
    target = folder / "corpus" / SOURCE
    shutil.rmtree(target)
    target.mkdir()
    files = [(target / f"part_{n:03d}.jsonl").open("w") for n in range(num_shards)]
    for number, repo, path, _, content, group in rows.iter_rows():
        owner = f"owner{group // 4:03d}"
        document = {
            "repo": f"{owner}/project{group:03d}",
            "path": f"{repo}/{path}",
            "content": content,
            "license_declared": "MIT",
            "owner": owner,
            "author_emails": [f"author@{owner}.example"],
            "split": None,
        }
        shard = (group * 7 + number % (1 + group % 3)) % num_shards
        files[shard].write(json.dumps(document) + "\n")
    for file in files:
        file.close()
    sizes = rows.group_by("group").agg(size=pl.col("content").str.len_bytes().sum())
    two_shards = sizes.filter(pl.col("group") % 3 == 1).sort("size", "group")
    chosen = two_shards["group"][two_shards.height // 2]
    return load_settings(folder, {}), f"owner{chosen // 4:03d}/project{chosen:03d}"


def _fill_mixes(profile: Path, num_bytes: int) -> None:
    """Makes the mixes take about half of the corpus, so that packing costs what it costs."""
    stated = yaml.safe_load(profile.read_text())
    half = num_bytes / stated["bytes_per_token"] / 2
    shares = {"phase1_base": 0.7, "phase2_domain": 0.1, "phase3_instruct": 0.1, "phase4_align": 0.1}
    stated["mix_tokens"] = {phase: int(half * share) for phase, share in shares.items()}
    stated["contexts"] = {phase: [1024] for phase in shares}
    profile.write_text(yaml.safe_dump(stated))


def run_source(settings: Settings, rooms: tuple[str, ...]) -> None:
    """Runs rooms of the source over all shards, in one run."""
    definitions = build_definitions(settings)
    shards = settings.catalog().sources[SOURCE].shards
    tags = {
        "dagster/asset_partition_range_start": shards[0],
        "dagster/asset_partition_range_end": shards[-1],
    }
    keys = [dg.AssetKey([room, SOURCE]) for room in rooms]
    job = definitions.resolve_job_def(f"ingest_{SOURCE}")
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance, tags=tags, asset_selection=keys, run_config=_RUN_CONFIG
        )


def run_downstream(settings: Settings) -> None:
    """Runs everything from the indexes to the packed tables; what is fresh stays."""
    definitions = build_definitions(settings)
    keys = dg.AssetSelection.groups(*_GROUPS).resolve(definitions.resolve_asset_graph())
    job = definitions.resolve_job_def("build_downstream")
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance, asset_selection=list(keys), run_config=_RUN_CONFIG
        )


def forget(settings: Settings, repo: str) -> dict[str, float]:
    """Does what a request takes; returns CPU seconds by step."""
    steps: dict[str, float] = {}
    started = time.process_time()
    request_removal(settings.lake(), "repo", repo, "asked", "2026-11-24T06:00:00Z")
    steps["request"] = time.process_time() - started
    platform = Platform.open(settings)
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        for one in source_runs(stale_shards(platform, build_graph(platform))):
            definitions.resolve_job_def(one.job).execute_in_process(
                instance=instance,
                partition_key=one.partition,
                asset_selection=list(one.assets),
                run_config=_RUN_CONFIG,
            )
    steps["shards"] = time.process_time() - started - steps["request"]
    run_downstream(settings)
    steps["downstream"] = time.process_time() - started - steps["request"] - steps["shards"]
    return steps


def files_by_partition(lake: Lake) -> dict[tuple[str, str], frozenset[str]]:
    """Returns the data files by table and partition; the partition of a whole table is empty."""
    found: dict[tuple[str, str], set[str]] = {}
    for stage in PARTITION_COLUMNS:
        for table in tables_under(lake, stage):
            found.setdefault((table, ""), set()) if not PARTITION_COLUMNS[stage] else None
            for path in data_files(lake, table):
                folder, _, name = path.rpartition("/")
                found.setdefault((table, folder), set()).add(name)
    found["tokenizer", ""] = set(data_files(lake, "tokenizer"))
    return {place: frozenset(files) for place, files in found.items()}


def main() -> None:
    """Builds, forgets, proves, builds again."""
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 40.0
    num_shards = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="tritter-forget-") as folder:
        root = Path(folder)
        settings, repo = write_corpus(root / "project", int(megabytes * 1e6), num_shards)
        lake = settings.lake()
        with measured() as first:
            run_source(settings, ("raw", "verdicts", "filtered", "signatures"))
            run_downstream(settings)
        print(f"built in {first.cpu:.0f} CPU s, {first.wall:.0f} s", flush=True)
        before = files_by_partition(lake)
        num_documents = lake.scan(f"raw/{SOURCE}").select(pl.len()).collect().item()
        with measured() as forgetting:
            steps = forget(settings, repo)
        after = files_by_partition(lake)
        counts = affected(lake, settings.catalog()).covered.counts()
        print(
            f"forgot in {forgetting.cpu:.1f} CPU s, {forgetting.wall:.0f} s: {counts}", flush=True
        )
        with measured() as proving:
            proof = prove_absence(lake, settings.catalog())
        anew = replace(settings, lake_root=str(root / "anew"))
        for table in (f"raw/{SOURCE}", "removals"):
            shutil.copytree(Path(lake.location.uri(table)), root / "anew" / table)
        with measured() as rebuild:
            run_source(anew, ("verdicts", "filtered", "signatures"))
            run_downstream(anew)
        same = all(
            (state := lake.state(table)) is not None
            and (other := anew.lake().state(table)) is not None
            and state.data_version == other.data_version
            for stage in ("mix", "packed")
            for table in tables_under(lake, stage)
        )
    changed = {place for place in {*before, *after} if before.get(place) != after.get(place)}
    shards = {place for place in {*before, *after} if place[1] and not place[0].startswith("raw/")}
    tables = {place for place in {*before, *after} if not place[1]}
    by_stage: dict[str, int] = {}
    for table, _ in sorted(changed):
        by_stage[table.split("/", 1)[0]] = by_stage.get(table.split("/", 1)[0], 0) + 1
    ratio = rebuild.cpu / forgetting.cpu
    report(
        "forget",
        round(forgetting.cpu, 2),
        "CPU seconds",
        {"full_rebuild": round(rebuild.cpu, 2)},
        round(ratio, 2),
        seconds=round(forgetting.cpu, 2),
        full_rebuild_seconds=round(rebuild.cpu, 2),
        wall_seconds=round(forgetting.wall, 2),
        full_rebuild_wall_seconds=round(rebuild.wall, 2),
        shards_rewritten=len(changed & shards),
        shards_total=len(shards),
        tables_rewritten=len(changed & tables),
        tables_total=len(tables),
        rewritten_by_stage=by_stage,
        steps={name: round(value, 2) for name, value in steps.items()},
        proof_seconds=round(proving.cpu, 2),
        proof_megabytes=round(proof.searched_bytes / 1e6, 1),
        absence_proved=proof.passed,
        problems=list(proof.problems),
        same_mixes_and_packs=same,
        repositories=NUM_REPOSITORIES,
        documents=num_documents,
        covered=counts,
        source_shards=num_shards,
        megabytes=megabytes,
    )


if __name__ == "__main__":
    main()
