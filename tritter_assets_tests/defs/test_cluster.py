"""Profiles whose engine is not local: what is missing is named, and the tables are the same.

The second half needs the environment of `make test-cluster`, which sets TRITTER_CLUSTER_PYTHON.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.cluster import check_cluster
from tritter_assets.defs.freshness import Status
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform
from tritter_assets.errors import ContractViolation
from tritter_assets.settings import Settings
from tritter_assets_tests.cluster.lakes import bands_of
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.defs.project import SOURCES, contents, make_settings, run_sources

CLUSTER_PYTHON = os.environ.get("TRITTER_CLUSTER_PYTHON", "")
_STAGES = tuple(f"{room}/{s}" for s in SOURCES for room in ("verdicts", "filtered", "signatures"))
_INDEX = ("dedup/exact_index", "dedup/near_pairs", "dedup/near_index")


def _with_engine(folder: Path, engine: str, **where: str) -> Settings:
    settings = make_settings(folder)
    path = settings.contracts_root / "profiles" / "starter.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"engine": engine}))
    return replace(settings, **where)


@pytest.mark.parametrize(
    ("engine", "where", "named"),
    [
        ("ray", {}, "TRITTER_CLUSTER_PYTHON is not set"),
        ("daft", {}, "TRITTER_CLUSTER_PYTHON is not set"),
        ("ray", {"cluster_python": sys.executable}, "TRITTER_RAY_ADDRESS is not set"),
        ("daft", {"cluster_python": "/nowhere/python"}, "'/nowhere/python', which does not run"),
        ("daft", {"cluster_python": sys.executable}, "lacks daft"),
    ],
)
def test_what_an_engine_lacks_is_named(
    engine: str, where: dict[str, str], named: str, tmp_path: Path
) -> None:
    platform = Platform.open(_with_engine(tmp_path, engine, **where))
    with pytest.raises(ContractViolation, match=re.escape(named)):
        check_cluster(platform)


def test_a_run_does_not_fall_back_to_the_local_engine(tmp_path: Path) -> None:
    settings = _with_engine(tmp_path, "ray")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        pytest.raises(ContractViolation, match="TRITTER_CLUSTER_PYTHON"),
    ):
        run_sources(settings, instance)
    assert settings.lake().exists("raw/small_code")
    assert not settings.lake().exists("verdicts/small_code")


# -- with the environment ------------------------------------------------------------------------

needs_cluster = pytest.mark.skipif(
    not CLUSTER_PYTHON, reason="make test-cluster sets TRITTER_CLUSTER_PYTHON"
)


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    command = [CLUSTER_PYTHON, "-m", "tritter_assets_tests.cluster.two_workers"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(60)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = make_settings(tmp_path_factory.mktemp("local"))
    _run(settings)
    return settings


def _run(settings: Settings) -> list[dg.AssetMaterialization]:
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(settings, instance)
        job = definitions.resolve_job_def("build_downstream")
        indexes = [dg.AssetKey(["dedup", name]) for name in ("exact_index", "near_index")]
        assert job.execute_in_process(instance=instance, asset_selection=indexes).success
        records = instance.fetch_materializations(
            dg.AssetKey(["verdicts", "small_code"]), limit=10
        ).records
        return [record.asset_materialization for record in records if record.asset_materialization]


@needs_cluster
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["daft", "ray"])
def test_the_tables_are_those_of_the_local_engine(
    engine: str, local: Settings, ray_address: str, tmp_path: Path
) -> None:
    settings = _with_engine(
        tmp_path, engine, cluster_python=CLUSTER_PYTHON, ray_address=ray_address
    )
    shown = _run(settings)
    ours, theirs = local.lake(), settings.lake()
    for table in _STAGES:
        for shard in ("000", "001"):
            states = [lake.state(table, {"shard": shard}) for lake in (ours, theirs)]
            assert states[0] is not None
            assert states[1] is not None
            assert states[0].data_version == states[1].data_version, f"{table}[{shard}]"
        assert contents(ours, table).equals(contents(theirs, table)), table
    for table in _INDEX:
        assert contents(ours, table).equals(contents(theirs, table)), table
    assert bands_of(ours) == bands_of(theirs) != {}
    assert {found.partition for found in shown} == {"000", "001"}
    assert all("tritter/terminal_by_reason" in found.metadata for found in shown)
    # What one engine made, the other finds fresh.
    platform = Platform.open(replace(settings, cluster_python="", ray_address=""))
    graph = build_graph(platform)
    for table in (*_STAGES, "dedup/exact_index", "dedup/near_index"):
        stage = graph.stages[table]
        for shard in stage.shards or (None,):
            assert graph.status(platform, stage, shard) is Status.FRESH, table
