"""Automation follows data, not events: identical data requests nothing."""

from __future__ import annotations

import dagster as dg

from tritter_assets.defs.automation import build_automation_sensor, refresh_condition

PARENT = dg.AssetKey("parent")


def _definitions(code_version: str = "1") -> dg.Definitions:
    @dg.asset(key=PARENT)
    def parent() -> None: ...

    @dg.asset(deps=[PARENT], automation_condition=refresh_condition(), code_version=code_version)
    def child() -> None: ...

    return dg.Definitions(assets=[parent, child])


def _report(instance: dg.DagsterInstance, version: str) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(PARENT, tags={"dagster/data_version": version})
    )


def _materialize_child(instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("child")]).success


def test_same_data_requests_nothing_and_new_data_requests_once() -> None:
    definitions = _definitions()
    with dg.DagsterInstance.ephemeral() as instance:
        _report(instance, "a")
        _materialize_child(instance, definitions)
        result = dg.evaluate_automation_conditions(defs=definitions, instance=instance)
        assert result.total_requested == 0
        _report(instance, "a")
        result = dg.evaluate_automation_conditions(
            defs=definitions, instance=instance, cursor=result.cursor
        )
        assert result.total_requested == 0
        _report(instance, "b")
        result = dg.evaluate_automation_conditions(
            defs=definitions, instance=instance, cursor=result.cursor
        )
        assert result.total_requested == 1
        result = dg.evaluate_automation_conditions(
            defs=definitions, instance=instance, cursor=result.cursor
        )
        assert result.total_requested == 0


def test_a_new_code_version_requests_once() -> None:
    before, after = _definitions("1"), _definitions("2")
    with dg.DagsterInstance.ephemeral() as instance:
        _report(instance, "a")
        _materialize_child(instance, before)
        result = dg.evaluate_automation_conditions(defs=before, instance=instance)
        result = dg.evaluate_automation_conditions(
            defs=after, instance=instance, cursor=result.cursor
        )
        assert result.total_requested == 1
        result = dg.evaluate_automation_conditions(
            defs=after, instance=instance, cursor=result.cursor
        )
        assert result.total_requested == 0


def test_what_was_never_made_is_not_made_by_itself() -> None:
    definitions = _definitions()
    with dg.DagsterInstance.ephemeral() as instance:
        for version in ("a", "b"):
            _report(instance, version)
            result = dg.evaluate_automation_conditions(defs=definitions, instance=instance)
            assert result.total_requested == 0


def test_the_sensor_runs_from_the_start() -> None:
    assert build_automation_sensor().default_status is dg.DefaultSensorStatus.RUNNING
