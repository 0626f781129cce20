"""One whole graph, from contracts to papers, on the small corpus; then again, then changed."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.freshness import Status
from tritter_assets.defs.plan import plan_assets
from tritter_assets.lake import Lake
from tritter_assets.settings import Settings, load_settings
from tritter_assets_tests.corpus import (
    AUTHOR_EMAIL,
    AWS_KEY,
    FORGETTABLE_OWNER,
    REPOSITORY,
)
from tritter_assets_tests.defs.project import make_settings, run_sources

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance) -> Settings:
    """The small project with everything materialised."""
    settings = make_settings(tmp_path_factory.mktemp("whole") / "project")
    run_sources(settings, instance)
    job = build_definitions(settings).resolve_job_def("build_downstream")
    assert job.execute_in_process(instance=instance).success
    return settings


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    return settings.lake()


def _verdict(lake: Lake, path: str) -> list[tuple[str, str]]:
    ids = lake.scan("raw/small_code").filter(pl.col("path") == path).select("id").collect()["id"]
    rows = lake.scan("verdicts/small_code").filter(pl.col("id").is_in(ids.implode())).collect()
    return [(row["action"], row["reason"]) for row in rows.iter_rows(named=True)]


def test_planted_licences_are_found_out(lake: Lake) -> None:
    assert ("drop", "license_not_admitted") in _verdict(lake, "tools/a.py")  # declared GPL
    assert ("drop", "license_not_admitted") in _verdict(lake, "tools/b.py")  # only in the header
    assert ("drop", "license_not_admitted") in _verdict(lake, "w.rs")
    assert ("drop", "license_not_admitted") in _verdict(lake, "n.py")
    assert any(reason == "license_unknown" for _, reason in _verdict(lake, "x.py"))
    assert ("drop", "evaluation_split") in _verdict(lake, "held_back.py")


def test_generated_and_data_files_are_dropped(lake: Lake) -> None:
    for path in ("schema_pb2.py", "bundle.min.js", "package-lock.json"):
        assert any(action == "drop" for action, _ in _verdict(lake, path)), path


def test_contamination_is_found(lake: Lake) -> None:
    assert ("drop", "benchmark_overlap") in _verdict(lake, "answers.py")
    ids = lake.scan("filtered/small_code").select("path").collect()["path"]
    assert "answers.py" not in set(ids)
    reasons = lake.scan("verdicts/small_code").select("reason").collect()["reason"]
    assert (reasons == "benchmark_overlap").sum() == 1  # and nothing else is taken for one


def test_secrets_and_addresses_are_redacted(lake: Lake) -> None:
    assert ("redact", "secret") in _verdict(lake, "deploy.py")
    assert ("redact", "email_address") in _verdict(lake, "contact.py")
    text = "\n".join(lake.scan("filtered/small_code").select("content").collect()["content"])
    assert AWS_KEY not in text
    assert AUTHOR_EMAIL not in text
    verdicts = lake.scan("verdicts/small_code").select("evidence").collect()["evidence"]
    assert not any(AWS_KEY in evidence for evidence in verdicts)


def test_duplicates_go_to_the_source_of_lower_priority(lake: Lake) -> None:
    exact = lake.scan("dedup/exact_index").collect()
    assert set(exact.filter(pl.col("action") == "drop")["source"]) == {"small_mirror"}
    near = lake.scan("dedup/near_index").filter(pl.col("action") == "drop").collect()
    assert near.height >= 1
    mixed = set(lake.scan("mix/phase1_base").select("id").collect()["id"])
    dropped = set(exact.filter(pl.col("action") == "drop")["id"]) | set(near["id"])
    assert not mixed & dropped


def test_every_phase_trains_and_learns(settings: Settings, lake: Lake) -> None:
    artifacts = settings.artifacts(lake)
    for phase in settings.catalog().mixes:
        facts = artifacts.facts(f"model/{phase}")
        assert facts["heldout_loss_after"] < facts["heldout_loss_before"], phase
    assert artifacts.facts("model/phase1_base")["heldout_loss_before"] < math.log(512) * 1.2


def test_exports_and_papers_are_there(settings: Settings, lake: Lake) -> None:
    artifacts = settings.artifacts(lake)
    assert {"model.safetensors", "config.json"} <= set(artifacts.list("export/safetensors"))
    assert any(name.endswith(".gguf") for name in artifacts.list("export/gguf"))
    for report in ("license_audit", "notice", "croissant", "spdx_bom", "eu_summary", "funnel"):
        names = artifacts.list(f"compliance/{report}")
        assert any(name.endswith(".html") for name in names), report
        for name in names:
            if name.endswith(".json"):
                json.loads(artifacts.open_local(f"compliance/{report}", name).read_text())


def test_nothing_is_stale_and_running_again_recomputes_nothing(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert {item.status for item in plan_assets(settings)} == {Status.FRESH}
    lake = settings.lake()
    before = {key: lake.table_version(key) for key in ("mix/phase1_base", "dedup/near_index")}
    job = build_definitions(settings).resolve_job_def("build_downstream")
    assert job.execute_in_process(instance=instance).success
    assert {key: lake.table_version(key) for key in before} == before


def test_metadata_says_what_a_person_asks(settings: Settings, instance: dg.DagsterInstance) -> None:
    event = instance.get_latest_materialization_event(dg.AssetKey(["filtered", "small_code"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert {"tritter/licenses", "dagster/column_lineage", "dagster/partition_row_count"} <= set(
        metadata
    )
    mix = instance.get_latest_materialization_event(dg.AssetKey(["mix", "phase1_base"]))
    assert mix is not None
    assert mix.asset_materialization is not None
    assert "data:image/png;base64" in str(mix.asset_materialization.metadata["tritter/plot"].value)
    tags = mix.asset_materialization.tags or {}
    state = settings.lake().state("mix/phase1_base")
    assert state is not None
    assert tags["dagster/data_version"] == state.data_version


def test_a_token_leads_back_to_its_document(settings: Settings, lake: Lake) -> None:
    from tritter_assets.lineage.checkpoints import seen_documents
    from tritter_assets.lineage.explain import explain

    seen = seen_documents(lake, "model/phase1_base")
    assert seen is not None
    packed = lake.scan("packed/phase1_base_64").select("id", "segments").collect()
    read = set(seen["doc_id"])
    sequence = next(
        row["id"]
        for row in packed.iter_rows(named=True)
        if all(segment["doc_id"] in read for segment in row["segments"])
    )
    found = explain(lake, f"packed/phase1_base_64:{sequence}@3", settings.catalog()).as_dict()
    text = json.dumps(found, default=str)
    for word in ("license", "verdict", "revision", "small_code", "model/phase1_base"):
        assert word in text, word


def _audits(instance: dg.DagsterInstance, asset: str) -> list[dg.AssetCheckEvaluation]:
    """Licence audits of an asset, the newest first; one for each run or shard."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset.split("/")), "license_audit"), limit=10
    )
    found = [record.event for record in records if record.event is not None]
    return [
        event.dagster_event.event_specific_data  # type: ignore[misc]
        for event in found
        if event.dagster_event is not None
    ]


AUDITED = (
    "raw/small_code", "filtered/small_code", "functions/python", "mix/phase1_base",
    "packed/phase1_base_64", "model/phase1_base", "export/safetensors", "export/gguf",
)  # fmt: skip


def test_every_stage_shows_its_licence_audit(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert settings.catalog().policy.problems == ()
    for asset in AUDITED:
        audit = _audits(instance, asset)[0]
        assert audit.passed, (asset, audit.description)
        facts = {key: value.value for key, value in audit.metadata.items()}
        assert facts["rows"] > 0, asset
        assert facts["tokens"] > 0, asset
        shares = [line["token_share"] for line in facts["licences"]]  # type: ignore[union-attr, index]
        assert sum(shares) == pytest.approx(1, abs=0.01), asset
        examples: list[dict[str, object]] = facts["examples"]  # type: ignore[assignment]
        assert 0 < len(examples) <= 10, asset
        assert all(example["license_evidence"] for example in examples), asset


def test_the_audit_job_finds_what_was_slipped_in(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A refused row is written into the mix past the graph; mix and all made from it are shown."""
    copy = tmp_path / "lake"
    shutil.copytree(settings.lake_root, copy)
    other = load_settings(settings.project_root, {"TRITTER_LAKE": str(copy)})
    job = build_definitions(other).resolve_job_def("audit")
    assert job.execute_in_process(instance=instance).success
    assert all(_audits(instance, asset)[0].passed for asset in AUDITED)

    lake = other.lake()
    refused = lake.scan("raw/small_code").filter(path="tools/a.py").collect()
    mix = lake.scan("mix/phase1_base").collect()
    slipped = mix.head(1).with_columns(
        id=pl.lit(refused["id"][0]), table=pl.lit("raw/small_code"), source=pl.lit("small_code"),
        shard=pl.lit(refused["shard"][0]),
    )  # fmt: skip
    write_deltalake(copy / "mix" / "phase1_base", slipped.to_arrow(), mode="append")
    # A document that training read is found to be copyleft after all.
    read = lake.scan("packed/phase1_base_64").select(pl.col("segments").explode()).collect()
    seen = read.unnest("segments").filter(table="filtered/small_code")["doc_id"][0]
    table = DeltaTable(copy / "filtered" / "small_code")
    table.update({"license_concluded": "'GPL-3.0-only'"}, predicate=f"id = '{seen}'")

    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    failed = [asset for asset in AUDITED if not _audits(instance, asset)[0].passed]
    assert failed == [asset for asset in AUDITED if asset.split("/")[0] not in ("raw", "functions")]
    found = _audits(instance, "mix/phase1_base")[0]
    assert "are not admitted (license_not_admitted)" in str(found.description)
    assert found.metadata["not_admitted"].value == 2
    examples: list[dict[str, object]] = found.metadata["examples"].value  # type: ignore[assignment]
    assert {example["id"] for example in examples[:2]} == {refused["id"][0], seen}


def test_the_notebook_runs_over_the_lake(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITTER_PROJECT", str(settings.project_root))
    for variable in ("TRITTER_LAKE", "TRITTER_PROFILE", "TRITTER_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    notebook = json.loads((REPOSITORY / "notebooks" / "lake.ipynb").read_text())
    names: dict[str, object] = {}
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    for cell in cells:
        exec(compile(cell, "lake.ipynb", "exec"), names)
    assert len(cells) >= 6


def test_z_forgetting_an_owner_reaches_everything(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs last in this module: it changes the lake."""
    from tritter_assets.cli import main

    for variable in ("DAGSTER_HOME", "TRITTER_LAKE", "TRITTER_PROFILE", "TRITTER_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    lake = settings.lake()
    owned = pl.col("owner") == FORGETTABLE_OWNER
    texts = lake.scan("filtered/small_code").filter(owned).collect()["content"].to_list()
    assert len(texts) >= 3
    capsys.readouterr()
    asked = ("forget", "--owner", FORGETTABLE_OWNER, "--reason", "asked by mail", "--json")
    assert main([*asked, "--apply", "--purge", "--project", str(settings.project_root)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["proof"]["passed"], found["proof"]["problems"]
    assert found["proof"]["documents"] >= 3
    assert found["locations"] == []
    assert {place["table"] for place in found["purged"]["rows"]} == {"raw/small_code"}
    root = settings.project_root / ".tritter" / "lake"
    kept_out = {"_delta_log", ".cache"}  # the log, and arrays that only bear the name of data files
    files = [path for path in root.rglob("*.parquet") if not kept_out & {*path.parts}]
    assert len(files) > 20
    for path in files:
        stored = str(pq.ParquetFile(path).read().to_pylist())
        assert f"{FORGETTABLE_OWNER}/" not in stored, path
        assert not any(repr(text)[20:120] in stored for text in texts), path
