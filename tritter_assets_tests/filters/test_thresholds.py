from __future__ import annotations

import pytest

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import judge, length
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets.verdict import Stage
from tritter_assets_tests.filters.documents import RAW


def test_every_stage_of_the_policy_file_resolves_for_every_modality_and_language():
    settings = FilterSettings(RAW)
    for definition in judge.STAGES:
        for modality in ("code", "text", "instruction", "preference", "image", "audio"):
            for tongue in (None, "Python", "Rust", "HTML", "JSON", "Markdown"):
                settings.resolve(
                    definition.stage,
                    definition.config,
                    modality=modality,
                    language=tongue,
                    tags=("functions", "commits"),
                )


def test_precedence():
    raw = {
        "stages": {
            "length": RAW["stages"]["length"]
            | {
                "overrides": {
                    "modality": {"code": {"min_lines": 2}},
                    "tag": {"small": {"min_lines": 3}},
                    "language": {"rust": {"min_lines": 4}},
                    "source": {"mine": {"min_lines": 5}},
                }
            }
        }
    }
    settings = FilterSettings(raw, {"length": {"min_lines": 1}})

    def lines(**keys):
        return settings.resolve(Stage.LENGTH, length.LengthConfig, **keys).min_lines

    assert lines(modality="text") == 1
    assert lines(modality="code") == 2
    assert lines(modality="code", tags=("small",)) == 3
    assert lines(modality="code", tags=("small",), language="Rust") == 4
    assert lines(modality="code", tags=("small",), language="Rust", source="mine") == 5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lenght": {}}, "unknown stage"),
        ({"length": {"min_line": 3}}, "unknown thresholds"),
        ({"length": {"min_lines": "three"}}, "not of type int"),
        ({"length": {"min_lines": True}}, "not of type int"),
    ],
)
def test_mistakes_are_named(overrides, message):
    with pytest.raises(ContractViolation, match=message):
        FilterSettings(RAW, overrides).resolve(Stage.LENGTH, length.LengthConfig)


def test_every_change_of_a_threshold_changes_the_digest():
    assert FilterSettings(RAW).digest != FilterSettings(RAW, {"length": {"min_lines": 9}}).digest
