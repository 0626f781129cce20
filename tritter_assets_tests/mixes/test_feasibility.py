from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.contracts.mix import Component, Mix, Selector, Unit, WhenUnavailable
from tritter_assets.mixes.feasibility import Pool, Supply, assess, token_weights


def _component(name: str, weight: float, max_epochs: float = 2, **fields: object) -> Component:
    component = Component(
        name=name,
        title=name,
        weight=weight,
        max_epochs=max_epochs,
        select=Selector(),
        when_unavailable=WhenUnavailable.REDISTRIBUTE,
    )
    return replace(component, **fields)  # type: ignore[arg-type]


def _mix(*components: Component, unit: Unit = Unit.TOKENS) -> Mix:
    return Mix(phase="phase1_base", title="t", unit=unit, components=components)


def _pool(tokens: int, rows: int = 10, source: str = "s") -> Pool:
    return Pool(rows_by_source={source: rows}, tokens_by_source={source: tokens})


def test_an_ample_supply_meets_the_weights() -> None:
    report = assess(
        _mix(_component("a", 0.7), _component("b", 0.3)),
        {"a": _pool(5000), "b": _pool(5000)},
        1000,
    )
    assert [line.target_tokens for line in report.components] == [700, 300]
    assert {line.status for line in report.components} == {Supply.ENOUGH}
    assert report.feasible
    assert not report.warnings


def test_a_small_pool_is_repeated_up_to_its_cap() -> None:
    report = assess(
        _mix(_component("a", 0.7), _component("b", 0.3)),
        {"a": _pool(5000), "b": _pool(200)},
        1000,
    )
    line = report.components[1]
    assert (line.target_tokens, line.status, line.epochs_needed) == (300, Supply.REPEATED, 1.5)


def test_what_is_short_is_redistributed_and_said() -> None:
    report = assess(
        _mix(_component("a", 0.6), _component("b", 0.3), _component("c", 0.1)),
        {"a": _pool(5000), "b": _pool(100), "c": _pool(9000)},
        1000,
    )
    by_name = {line.component: line for line in report.components}
    assert by_name["b"].target_tokens == 200
    assert by_name["b"].status is Supply.SHORT
    assert by_name["a"].target_tokens == pytest.approx(600 + 100 * 6 / 7, abs=1)
    assert report.target_tokens == pytest.approx(1000, abs=2)
    assert any("b: 300 tokens wanted, 100 available" in text for text in report.warnings)


def test_a_component_without_rows_is_unavailable() -> None:
    report = assess(_mix(_component("a", 0.6), _component("b", 0.4)), {"a": _pool(5000)}, 1000)
    assert report.components[1].status is Supply.UNAVAILABLE
    assert report.components[0].target_tokens == 1000


def test_over_the_cap_fails_where_the_file_says_so() -> None:
    strict = _component("b", 0.4, when_unavailable=WhenUnavailable.FAIL)
    report = assess(_mix(_component("a", 0.6), strict), {"a": _pool(5000), "b": _pool(100)}, 1000)
    assert not report.feasible
    assert report.components[1].status is Supply.OVER_CAP
    assert any("4.00 epochs needed, 2 allowed" in text for text in report.warnings)


def test_all_at_their_caps_is_a_shorter_mix_that_says_so() -> None:
    report = assess(
        _mix(_component("a", 0.5), _component("b", 0.5)), {"a": _pool(50), "b": _pool(70)}, 1000
    )
    assert report.target_tokens == 240
    assert report.short_tokens == 760
    assert any("760 of 1000 tokens short" in text for text in report.warnings)


def test_one_source_cannot_take_more_than_its_part() -> None:
    pool = Pool(rows_by_source={"x": 9, "y": 9}, tokens_by_source={"x": 9000, "y": 1000})
    report = assess(_mix(_component("a", 1.0, max_source_fraction=0.6)), {"a": pool}, 1000)
    assert report.components[0].target_by_source == {"x": 600, "y": 400}


def test_shares_of_samples_become_shares_of_tokens() -> None:
    mix = _mix(_component("long", 0.5), _component("short", 0.5), unit=Unit.SAMPLES)
    weights = token_weights(mix, {"long": _pool(900, rows=10), "short": _pool(100, rows=10)})
    assert weights == {"long": pytest.approx(0.9), "short": pytest.approx(0.1)}


@given(
    tokens=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    wanted=st.integers(1, 20_000),
    epochs=st.floats(0.5, 4),
)
@settings(max_examples=200, deadline=None)
def test_no_cap_is_ever_passed(tokens: list[int], wanted: int, epochs: float) -> None:
    names = [f"c{number}" for number in range(len(tokens))]
    mix = _mix(*(_component(name, 1 / len(names), epochs) for name in names))
    pools = {name: _pool(size) for name, size in zip(names, tokens, strict=True)}
    report = assess(mix, pools, wanted)
    for line in report.components:
        assert line.target_tokens <= line.available_tokens * epochs + 1
    supply = sum(min(size * epochs, wanted) for size in tokens)
    assert report.target_tokens >= min(wanted, supply) * 0.999 - len(names) - 1
    assert report.target_tokens <= wanted + len(names)
