"""Whether a mix can be supplied: wanted, available, epochs needed, who takes over what is short.

The weights of a mix are shares of tokens, samples or pairs. Targets are always tokens: a share of
samples becomes a share of tokens through the mean length of the component's own rows. A component
may repeat its rows up to `max_epochs`, and take at most `max_source_fraction` of its target from
one source. What it still lacks is redistributed over the others in proportion to their weights, or
makes the mix infeasible, as its file says. Nothing is repeated past its cap, ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tritter_assets.contracts.mix import Component, Mix, Unit, WhenUnavailable

_ROUNDS = 32
"""Each round of redistribution fills at least one component to its cap, or ends."""


class Supply(StrEnum):
    """How a component fared."""

    ENOUGH = "enough"
    REPEATED = "repeated"
    """Supplied by repeating rows within the cap."""
    SHORT = "short"
    """Supplied in part; the rest of its share was redistributed."""
    UNAVAILABLE = "unavailable"
    """No row at all; its share was redistributed."""
    OVER_CAP = "over_cap"
    """Short, and the mix file says that this is a failure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What one component can choose from."""

    rows_by_source: Mapping[str, int]
    tokens_by_source: Mapping[str, int]
    stand_ins: int = 0
    """How many of the component's alternatives had to be opened."""

    @property
    def rows(self) -> int:
        """Rows of all sources."""
        return sum(self.rows_by_source.values())

    @property
    def tokens(self) -> int:
        """Estimated tokens of all sources, each row once."""
        return sum(self.tokens_by_source.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentSupply:
    """One line of the feasibility report."""

    component: str
    weight: float
    wanted_tokens: int
    available_tokens: int
    available_rows: int
    supply_tokens: int
    """Most tokens within the caps on epochs and on one source's part."""
    target_tokens: int
    """What will be taken, redistribution included."""
    target_by_source: Mapping[str, int]
    epochs_needed: float
    """Wanted over available; infinite when nothing is available."""
    max_epochs: float
    status: Supply
    stand_ins: int

    @property
    def lack(self) -> str:
        """Why the share cannot be supplied, in words."""
        if not self.available_tokens:
            return "no supply"
        return (
            f"{self.available_tokens} available ({self.epochs_needed:.2f} epochs needed, "
            f"{self.max_epochs:g} allowed)"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Feasibility:
    """The feasibility report of a mix."""

    phase: str
    wanted_tokens: int
    components: tuple[ComponentSupply, ...]

    @property
    def feasible(self) -> bool:
        """False when a component is over its cap and may not be redistributed, or all are empty."""
        over = any(line.status is Supply.OVER_CAP for line in self.components)
        return not over and self.target_tokens > 0

    @property
    def target_tokens(self) -> int:
        """Tokens that will be taken in all."""
        return sum(line.target_tokens for line in self.components)

    @property
    def short_tokens(self) -> int:
        """Tokens that no component could take over."""
        return max(0, self.wanted_tokens - self.target_tokens)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each component that is not simply supplied."""
        found = []
        for line in self.components:
            if line.status in (Supply.UNAVAILABLE, Supply.SHORT):
                rest = "the rest of its share" if line.available_tokens else "its share"
                found.append(
                    f"{line.component}: {line.wanted_tokens} tokens wanted, {line.lack}: "
                    f"{rest} was redistributed"
                )
            elif line.status is Supply.OVER_CAP:
                found.append(
                    f"{line.component}: {line.wanted_tokens} tokens wanted, {line.lack}, and "
                    "its file does not allow redistribution"
                )
            if line.stand_ins and line.available_tokens:
                found.append(f"{line.component}: {line.stand_ins} stand-in selector(s) opened")
        if self.short_tokens > self.wanted_tokens // 100:
            found.append(
                f"the mix is {self.short_tokens} of {self.wanted_tokens} tokens short: every "
                "component is at its cap"
            )
        return tuple(found)


def token_weights(mix: Mix, pools: Mapping[str, Pool]) -> dict[str, float]:
    """Turns shares of the mix's unit into shares of tokens.

    A component without rows is given the mean length of the rows of the others.
    """
    if mix.unit is Unit.TOKENS:
        return {component.name: component.weight for component in mix.components}
    means = {
        name: pool.tokens / pool.rows for name, pool in pools.items() if pool.rows and pool.tokens
    }
    known = [c for c in mix.components if c.name in means and c.weight > 0]
    share = sum(c.weight for c in known)
    otherwise = sum(c.weight * means[c.name] for c in known) / share if share else 1.0
    raw = {c.name: c.weight * means.get(c.name, otherwise) for c in mix.components}
    total = sum(raw.values()) or 1.0
    return {name: value / total for name, value in raw.items()}


def assess(mix: Mix, pools: Mapping[str, Pool], wanted_tokens: int) -> Feasibility:
    """Sets each component's target and says how it is supplied.

    Args:
        mix: The mix.
        pools: Component name -> what it can choose from; a missing name is an empty pool.
        wanted_tokens: Tokens wanted of the whole mix.
    """
    empty = Pool(rows_by_source={}, tokens_by_source={})
    found = {component.name: pools.get(component.name, empty) for component in mix.components}
    weights = token_weights(mix, found)
    wanted = {name: wanted_tokens * weight for name, weight in weights.items()}
    target = _redistribute(mix.components, found, wanted, weights)
    lines = [
        _line(component, found[component.name], wanted[component.name], target[component.name])
        for component in mix.components
    ]
    return Feasibility(phase=mix.phase, wanted_tokens=wanted_tokens, components=tuple(lines))


def _supply(component: Component, pool: Pool, target: float) -> float:
    cap = component.max_source_fraction * target
    return sum(min(tokens * component.max_epochs, cap) for tokens in pool.tokens_by_source.values())


def _redistribute(
    components: Sequence[Component],
    pools: Mapping[str, Pool],
    wanted: Mapping[str, float],
    weights: Mapping[str, float],
) -> dict[str, float]:
    target = {
        c.name: min(wanted[c.name], _supply(c, pools[c.name], wanted[c.name])) for c in components
    }
    deficit = sum(
        wanted[c.name] - target[c.name]
        for c in components
        if c.when_unavailable is WhenUnavailable.REDISTRIBUTE
    )
    for _ in range(_ROUNDS):
        if deficit < 1:
            break
        # A component that is short may not take over a part of anyone's share.
        takers = {
            c.name: c
            for c in components
            if target[c.name] >= wanted[c.name]
            and weights[c.name] > 0
            and _supply(c, pools[c.name], target[c.name] + 1) > target[c.name] + 0.5
        }
        share = sum(weights[name] for name in takers)
        if not share:
            break
        moved = 0.0
        for name, component in takers.items():
            more = target[name] + deficit * weights[name] / share
            given = min(more, _supply(component, pools[name], more))
            moved += given - target[name]
            target[name] = given
        if moved < 1:
            break
        deficit -= moved
    return target


def _line(component: Component, pool: Pool, wanted: float, target: float) -> ComponentSupply:
    available = pool.tokens
    supply = _supply(component, pool, max(wanted, target))
    if target + 1 < wanted:
        if component.when_unavailable is WhenUnavailable.FAIL:
            status = Supply.OVER_CAP
        else:
            status = Supply.SHORT if available else Supply.UNAVAILABLE
    else:
        status = Supply.REPEATED if target > available else Supply.ENOUGH
    return ComponentSupply(
        component=component.name,
        weight=component.weight,
        wanted_tokens=round(wanted),
        available_tokens=available,
        available_rows=pool.rows,
        supply_tokens=int(supply),
        target_tokens=round(target),
        target_by_source=_by_source(component, pool, target),
        epochs_needed=wanted / available if available else float("inf"),
        max_epochs=component.max_epochs,
        status=status,
        stand_ins=pool.stand_ins,
    )


def _by_source(component: Component, pool: Pool, target: float) -> dict[str, int]:
    """Splits a target over sources: one rate for all, lower only where a source meets its cap."""
    cap = component.max_source_fraction * target
    limits = {
        source: min(tokens * component.max_epochs, cap)
        for source, tokens in sorted(pool.tokens_by_source.items())
    }
    split: dict[str, float] = {}
    rest = target
    open_sources = [source for source in limits if pool.tokens_by_source[source]]
    while open_sources and rest >= 1:
        total = sum(pool.tokens_by_source[source] for source in open_sources)
        rate = rest / total
        full = [s for s in open_sources if pool.tokens_by_source[s] * rate > limits[s]]
        if not full:
            split |= {s: pool.tokens_by_source[s] * rate for s in open_sources}
            break
        for source in full:
            split[source] = limits[source]
            rest -= limits[source]
            open_sources.remove(source)
    return {source: round(tokens) for source, tokens in sorted(split.items())}
