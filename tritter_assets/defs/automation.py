"""When assets refresh by themselves."""

from __future__ import annotations

from functools import cache
from typing import Any

import dagster as dg

SENSOR_NAME = "refresh_what_changed"


@cache
def refresh_condition() -> dg.AutomationCondition:
    """Requests an asset when an input's data version or its own code version changed.

    Plain `eager()` fires on every re-materialisation of an input, even one with identical data;
    this one compares data versions. It never requests an asset that was not materialised before
    only because it is missing: the first materialisation is a person's, a job's or a schedule's.
    """
    on: Any = dg.AutomationCondition  # its stubs are invariant in the key type
    input_changed = on.any_deps_match(
        (on.data_version_changed() & ~on.executed_with_root_target()) | on.will_be_requested()
    )
    return (
        (input_changed | on.code_version_changed()).since_last_handled()
        & ~on.missing()
        & ~on.any_deps_in_progress()
        & ~on.in_progress()
    ).with_label(SENSOR_NAME)


def build_automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the conditions; it runs from the start, unlike Dagster's own."""
    return dg.AutomationConditionSensorDefinition(
        SENSOR_NAME,
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
    )
