"""Upstream drift through real runs: the check on raw/<source>, the nightly look, the mix gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tritter_assets.definitions import build_definitions
from tritter_assets.defs.build import asset_key
from tritter_assets.defs.graph import build_graph
from tritter_assets.defs.stage import Platform
from tritter_assets.defs.upstream import CHECK, OBSERVE_JOB
from tritter_assets.settings import Settings
from tritter_assets_tests.defs.hub_project import REPO, SOURCE, write_hub_project
from tritter_assets_tests.sources.moving_hub import (
    FIRST,
    ROWS,
    SECOND,
    MovingHub,
    card,
    files,
)

RAW = asset_key(f"raw/{SOURCE}")


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[MovingHub]:
    with MovingHub(REPO, files()).running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_hub_project(tmp_path / "project")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def _ingest(
    settings: Settings, instance: dg.DagsterInstance, shard: str = "000"
) -> dg.ExecuteInProcessResult:
    job = build_definitions(settings).resolve_job_def(f"ingest_{SOURCE}")
    return job.execute_in_process(
        instance=instance, partition_key=shard, asset_selection=[RAW], raise_on_error=False
    )


def _observe(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_definitions(settings).resolve_job_def(OBSERVE_JOB)
    return job.execute_in_process(
        instance=instance,
        run_config={"ops": {"look_at_upstreams": {"config": {"sources": [SOURCE]}}}},
        raise_on_error=False,
    )


def _drift(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    found = [e for e in result.get_asset_check_evaluations() if e.check_name == CHECK]
    assert len(found) == 1
    return found[0]


def _table(evaluation: dg.AssetCheckEvaluation) -> str:
    value: Any = evaluation.metadata["drift"].value
    return value


def test_an_unpinned_source_is_read_at_one_revision(
    hub: MovingHub, settings: Settings, instance: dg.DagsterInstance
) -> None:
    found = _drift(_ingest(settings, instance))
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert f"tritter pin {SOURCE} --write" in (found.description or "")
    hub.push(SECOND, files(card(text="More rows."), ROWS | {"text": ["x = 1\n"] * 4}))
    result = _ingest(settings, instance, "001")
    assert result.success
    assert set(settings.lake().scan(f"raw/{SOURCE}").collect()["revision"]) == {FIRST}
    (made,) = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert metadata["tritter/upstream_revision"].value == FIRST
    assert metadata["tritter/upstream_license_tag"].value == "mit"
    assert metadata["tritter/upstream_readme_sha256"].value


def test_the_nightly_look_shows_a_licence_change_and_stops_what_follows(
    hub: MovingHub, settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert _ingest(settings, instance).success
    platform = Platform.open(settings)
    graph = build_graph(platform)
    mix = graph.stages["mix/phase1_base"]
    before = graph.fingerprint(platform, mix, None)
    hub.push(SECOND, files(card("cc-by-nc-4.0")))
    observed = _observe(settings, instance)
    assert graph.fingerprint(platform, mix, None) != before
    assert observed.success
    events = instance.fetch_observations(RAW, limit=1).records
    observation: Any = events[0].event_log_entry.dagster_event
    metadata = observation.asset_observation_data.asset_observation.metadata
    assert metadata["tritter/upstream_license_tag"].value == "cc-by-nc-4.0"
    assert "| licence tag | mit | mit | cc-by-nc-4.0 |" in metadata["drift"].value

    found = _drift(_ingest(settings, instance))
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert "| error | licence tag | mit | mit | cc-by-nc-4.0 |" in _table(found)
    job = build_definitions(settings).resolve_job_def(f"ingest_{SOURCE}")
    whole = job.execute_in_process(instance=instance, partition_key="000", raise_on_error=False)
    assert not whole.success
    assert [e.asset_key for e in whole.get_asset_materialization_events()] == [RAW]


def test_each_change_shows_its_severity_and_a_readable_row(
    hub: MovingHub, settings: Settings, instance: dg.DagsterInstance
) -> None:
    path = settings.contracts_root / "sources" / f"{SOURCE}.yaml"
    path.write_text(path.read_text().replace("revision: unpinned", f"revision: {FIRST}"))
    definitions = build_definitions(settings)
    ingest = definitions.resolve_job_def(f"ingest_{SOURCE}")
    observe = definitions.resolve_job_def(OBSERVE_JOB)
    config = {"ops": {"look_at_upstreams": {"config": {"sources": [SOURCE]}}}}

    def seen() -> dg.AssetCheckEvaluation:
        result = ingest.execute_in_process(
            instance=instance, partition_key="000", asset_selection=[RAW], raise_on_error=False
        )
        return _drift(result)

    first = seen()
    assert first.passed, first.description
    renamed = {"body" if name == "text" else name: values for name, values in ROWS.items()}
    changes: list[tuple[dict[str, bytes], str, str]] = [
        (files(), "", ""),
        (files(card(text="New words.")), "WARN", "| warning | README |"),
        (files(rows=ROWS | {"stars": [1, 2, 3, 4]}), "WARN",
         "| warning | column stars | absent | absent | integer |"),
        (files(rows=ROWS | {"text": [1, 2, 3, 4]}), "ERROR",
         "| error | column text | string | string | integer |"),
        (files(rows=renamed), "ERROR", "| error | column text | string | string | absent |"),
        (files(card("gpl-3.0")), "ERROR", "| error | licence tag | mit | mit | gpl-3.0 |"),
        (files(card("")), "ERROR", "| error | licence tag | mit | mit | none |"),
    ]  # fmt: skip
    for number, (content, severity, row) in enumerate(changes):
        hub.push(f"{number + 1:040x}", content)
        assert observe.execute_in_process(instance=instance, run_config=config).success
        found = seen()
        assert found.passed == (not severity), row
        if severity:
            assert found.severity.value == severity, row
        assert row in _table(found)
    hub.push("d" * 40, files())
    hub.gated = "auto"
    assert observe.execute_in_process(instance=instance, run_config=config).success
    found = seen()
    assert (found.passed, found.severity.value) == (False, "ERROR")
    assert "| error | gate | none | none | auto |" in _table(found)
    hub.gated = False
    hub.push("e" * 40, files(), rewrite=True)
    assert observe.execute_in_process(instance=instance, run_config=config).success
    found = seen()
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert f"| warning | revision | {FIRST[:12]} | {FIRST[:12]} | revision gone |" in _table(found)
    hub.gone = True
    assert observe.execute_in_process(instance=instance, run_config=config).success
    found = seen()
    assert (found.passed, found.severity.value) == (False, "ERROR")
    assert f"| error | repository | {FIRST[:12]} | {FIRST[:12]} | gone |" in _table(found)


def test_an_upstream_without_an_answer_hides_no_other(
    hub: MovingHub, settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    sources = settings.contracts_root / "sources"
    text = (sources / f"{SOURCE}.yaml").read_text()
    (sources / "absent.yaml").write_text(
        text.replace("id: hub_code", "id: absent").replace("org/data", "org/absent")
    )
    job = build_definitions(settings).resolve_job_def(OBSERVE_JOB)
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "1 upstreams gave no answer" in (failure.message or "") + str(
        failure.step_failure_data.user_failure_data
    )
    assert len(instance.fetch_observations(RAW, limit=5).records) == 1
    assert not settings.lake().exists("upstream/absent")
