"""The shape of the graph, broken contracts, freshness of loading, and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tritter_assets.definitions import build_definitions
from tritter_assets.settings import load_settings
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.defs.project import dagster, environment, make_settings

SNAPSHOT = Path(__file__).parent / "graph_snapshot.json"


def graph_shape() -> dict[str, dict[str, object]]:
    """Every asset of the repository's own graph: what a rename or a lost edge would change."""
    definitions = build_definitions(load_settings(REPOSITORY, {}))
    graph = definitions.resolve_asset_graph()
    shape: dict[str, dict[str, object]] = {}
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        partitions = node.partitions_def
        shape[key.to_user_string()] = {
            "group": node.group_name,
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "partitions": len(partitions.get_partition_keys()) if partitions else 0,
            "checks": sorted(check.name for check in graph.get_check_keys_for_assets({key})),
        }
    return shape


def test_the_graph_is_the_one_that_was_agreed() -> None:
    """After a wanted change: python -m tritter_assets_tests.defs.test_graph."""
    assert graph_shape() == json.loads(SNAPSHOT.read_text())


def test_every_asset_has_owner_description_kinds_and_version() -> None:
    definitions = build_definitions(load_settings(REPOSITORY, {}))
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners, spec.key
        if "refused" in spec.tags.get("license_class", ""):
            continue
        assert spec.code_version, spec.key
        assert spec.kinds, spec.key
        assert "dagster/column_schema" in spec.metadata, spec.key


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys, tritter_assets.definitions as d; from tritter_assets.settings import *;"
        "d.build_definitions(load_settings());"
        "heavy = {'torch','transformers','datasets','spacy','presidio_analyzer','numba'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_broken_contract_is_named_and_takes_no_other_source_down(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "project")
    sources = settings.contracts_root / "sources"
    text = (sources / "small_mirror.yaml").read_text()
    broken = text.replace("property: shards\n  value: 2", "property: shards\n  value: many")
    assert broken != text
    (sources / "small_mirror.yaml").write_text(broken)
    (sources / "unreadable.yaml").write_text("apiVersion: [v3.1.0\n")
    definitions = build_definitions(settings)
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert {"filtered/small_code", "raw/small_mirror", "raw/unreadable"} <= keys
    assert "filtered/small_mirror" not in keys
    spec = next(
        s
        for s in definitions.resolve_all_asset_specs()
        if s.key.to_user_string() == "raw/small_mirror"
    )
    description = spec.description or ""
    line = broken[: broken.index("value: many")].count("\n") + 1
    assert f"small_mirror.yaml:{line}: shards" in description
    assert "Fix:" in description
    checks = definitions.resolve_asset_graph().get_check_keys_for_assets(
        {dg.AssetKey(["raw", "small_mirror"])}
    )
    assert {check.name for check in checks} == {"contract_is_valid"}


def test_a_refused_source_cannot_be_materialised() -> None:
    definitions = build_definitions(load_settings(REPOSITORY, {}))
    key = dg.AssetKey(["raw", "code_alpaca_20k"])
    job = definitions.resolve_implicit_job_def_def_for_assets([key])
    assert job is not None
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, asset_selection=[key], raise_on_error=False
        )
    assert not result.success
    failure = next(e for e in result.all_events if e.is_step_failure)
    assert "LicenseRefused" in str(failure.event_specific_data)
    assert "OpenAI" in str(failure.event_specific_data)


@pytest.mark.timeout(240)
def test_commands_work_on_an_instance_that_never_ran(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_settings(project, num_shards=1)
    module = ("-m", "tritter_assets.definitions")
    assert "All code locations passed" in dagster(project, "definitions", "validate").stdout
    listed = dagster(project, "asset", "list", *module)
    assert "mix/phase1_base" in listed.stdout
    one = ("asset", "materialize", *module, "--select", "raw/small_mirror", "--partition", "000")
    dagster(project, *one)
    dagster(
        project,
        "asset",
        "materialize",
        *module,
        "--select",
        "*mix/phase1_base",
        "--partition",
        "000",
    )
    lake = load_settings(project, {}).lake()
    assert lake.scan("mix/phase1_base").collect().height > 20
    assert (project / ".dagster" / "storage").is_dir()


def test_plan_names_what_is_missing(tmp_path: Path) -> None:
    project = tmp_path / "project"
    make_settings(project, num_shards=1)
    done = subprocess.run(
        [sys.executable, "-m", "tritter_assets.cli", "plan", "--json"],
        cwd=project,
        env=environment(project),
        check=False,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert "raw/small_code" in json.dumps(found)


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph_shape(), indent=1) + "\n")
