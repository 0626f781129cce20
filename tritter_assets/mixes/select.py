"""Which rows each component of a mix may choose from.

A row that several components want goes to exactly one of them: weighted rendezvous hashing, so the
choice depends on the row's id, the components that want it and their weights, and on no other row.
Pools are therefore disjoint, and no row stands in a mix twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tritter_assets.contracts.mix import Component, Mix, Selector
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.mixes.sample import HASH_MAX, salt_of, sample_hash
from tritter_assets.sources.globs import translate_glob

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog

_ROW_ROOMS = ("functions/", "synthetic/")


def selected_sources(selector: Selector, catalog: Catalog) -> tuple[str, ...]:
    """Returns the active sources whose rows the selector may take, sorted."""
    return tuple(
        contract.id
        for contract in catalog.active_sources()
        if (not selector.sources or _any_glob(contract.id, selector.sources))
        and (not selector.tags or set(selector.tags) & set(contract.tags))
        and not set(selector.exclude_tags) & set(contract.tags)
    )


def selected_tables(selector: Selector, catalog: Catalog) -> tuple[str, ...]:
    """Returns the tables the selector may take rows from, whether or not they exist, sorted."""
    found: set[str] = set()
    for pattern in selector.tables:
        if pattern.startswith(_ROW_ROOMS):
            found.add(pattern)
        else:
            names = (f"filtered/{source}" for source in selected_sources(selector, catalog))
            found.update(name for name in names if fnmatchcase(name, pattern))
    return tuple(sorted(found))


def row_tables(mix: Mix, catalog: Catalog) -> tuple[str, ...]:
    """Returns every table whose rows may stand in the mix, sorted."""
    return tuple(
        sorted(
            {
                table
                for component in mix.components
                for selector in component.selectors
                for table in selected_tables(selector, catalog)
            }
        )
    )


def replayed_ids(lake: Lake, mix: Mix) -> dict[str, pl.DataFrame]:
    """Returns, for each earlier phase that the mix replays, the ids and components it took.

    Raises:
        MissingProvenance: the earlier mix was not built.
    """
    found = {}
    for phase in mix.replayed_phases:
        table = f"mix/{phase}"
        if not lake.exists(table):
            raise MissingProvenance(
                f"mix/{mix.phase} replays rows of {table}, which does not exist: "
                f"materialise {table!r} first"
            )
        found[phase] = lake.scan(table).select("id", "component").collect()
    return found


def matches(
    rows: pl.DataFrame,
    selector: Selector,
    catalog: Catalog,
    replayed: Mapping[str, pl.DataFrame],
) -> pl.Series:
    """Returns a boolean for each row: true where the selector takes it."""
    condition = pl.col("table").is_in(list(selected_tables(selector, catalog)))
    if selector.sources or selector.tags or selector.exclude_tags:
        condition &= pl.col("source").is_in(list(selected_sources(selector, catalog)))
    if selector.languages:
        condition &= pl.col("language").is_in(list(selector.languages))
    if selector.exclude_languages:
        named = pl.col("language").is_in(list(selector.exclude_languages))
        condition &= ~named.fill_null(value=False)
    if selector.modalities:
        condition &= pl.col("modality").is_in(list(selector.modalities))
    if selector.path_globs:
        condition &= pl.col("path").str.contains(_pattern(selector.path_globs))
    if selector.exclude_path_globs:
        condition &= ~pl.col("path").str.contains(_pattern(selector.exclude_path_globs))
    if selector.min_quality is not None:
        condition &= pl.col("quality_score") >= selector.min_quality
    if selector.max_tokens is not None:
        condition &= pl.col("estimated_tokens") <= selector.max_tokens
    if selector.replay_of is not None:
        earlier = replayed[selector.replay_of]
        if selector.replay_components:
            wanted = list(selector.replay_components)
            earlier = earlier.filter(pl.col("component").is_in(wanted))
        condition &= pl.col("id").is_in(earlier["id"].implode())
    return rows.select(condition.fill_null(value=False).alias("match"))["match"]


def assign(
    rows: pl.DataFrame,
    mix: Mix,
    catalog: Catalog,
    *,
    opened: Mapping[str, int],
    replayed: Mapping[str, pl.DataFrame],
) -> pl.Series:
    """Gives each row to one component, or to none (null).

    Args:
        rows: Admitted rows, with `estimated_tokens`.
        mix: The mix.
        catalog: For the sources' tags.
        opened: Component name -> number of its alternatives that are open.
        replayed: From `replayed_ids`.
    """
    names = [component.name for component in mix.components]
    if rows.is_empty():
        return pl.Series("component", [], dtype=pl.String)
    wants = np.column_stack(
        [
            _component_mask(rows, component, opened.get(component.name, 0), catalog, replayed)
            for component in mix.components
        ]
    )
    choice = np.where(wants.any(axis=1), wants.argmax(axis=1), -1)
    contested = np.flatnonzero(wants.sum(axis=1) > 1)
    if contested.size:
        ids = rows["id"].gather(contested)
        scores = np.full((contested.size, len(names)), np.inf)
        for column, component in enumerate(mix.components):
            salt = salt_of("rendezvous", mix.phase, mix.seed, component.name)
            uniform = (sample_hash(ids, salt).to_numpy().astype(np.float64) + 1) / (HASH_MAX + 2)
            if component.weight > 0:
                scores[:, column] = -np.log(uniform) / component.weight
        scores[~wants[contested]] = np.inf
        choice[contested] = scores.argmin(axis=1)
    labels = pl.Series("name", [*names, None], dtype=pl.String)
    return labels.gather(np.where(choice < 0, len(names), choice)).alias("component")


def _component_mask(
    rows: pl.DataFrame,
    component: Component,
    num_opened: int,
    catalog: Catalog,
    replayed: Mapping[str, pl.DataFrame],
) -> np.ndarray:
    mask = np.zeros(rows.height, dtype=bool)
    if component.weight > 0:
        for selector in component.selectors[: 1 + num_opened]:
            mask |= matches(rows, selector, catalog, replayed).to_numpy()
    return mask


def _any_glob(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _pattern(globs: Sequence[str]) -> str:
    return "^(?:" + "|".join(f"(?:{translate_glob(glob)})" for glob in globs) + ")$"
