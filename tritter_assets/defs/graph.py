"""The whole graph in the order data flows: contracts in, stages out."""

from __future__ import annotations

from dataclasses import replace

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import SourceContract
from tritter_assets.defs.checks import table_contract_check
from tritter_assets.defs.compliance import compliance_stages
from tritter_assets.defs.dedup import index_stages, signatures_stage
from tritter_assets.defs.export import export_stages
from tritter_assets.defs.filters import filtered_stage, verdicts_stage
from tritter_assets.defs.freshness import Graph
from tritter_assets.defs.functions import (
    function_stages,
    interop_stages,
    synthetic_stages,
)
from tritter_assets.defs.mixes import mix_stages
from tritter_assets.defs.packing import packing_stages
from tritter_assets.defs.sources import raw_stage
from tritter_assets.defs.stage import Platform, Stage
from tritter_assets.defs.training import training_stages


def build_graph(base: Platform) -> Graph:
    """Declares every stage that the contracts and the profile ask for."""
    stages: dict[str, Stage] = {}

    def add(*found: Stage) -> None:
        stages.update({stage.key: _with_table_contract(stage, base.catalog) for stage in found})

    for contract in usable_sources(base.catalog):
        add(
            raw_stage(contract, base),
            verdicts_stage(contract, base),
            filtered_stage(contract, base),
            signatures_stage(contract, base),
        )
    if not base.catalog.active_sources():
        return Graph(stages=stages)
    add(*index_stages(base))
    add(*function_stages(base))
    add(*interop_stages(base))
    add(*synthetic_stages(base, frozenset(stages)))
    add(*mix_stages(base, frozenset(stages)))
    add(*packing_stages(base))
    add(*training_stages(base))
    add(*compliance_stages(base, frozenset(stages)))
    models = [key for key in stages if key.startswith("model/")]
    if models:
        add(*export_stages(base, models[-1]))
    return Graph(stages=stages)


def _with_table_contract(stage: Stage, catalog: Catalog) -> Stage:
    """Adds the check that is made from `data_contracts/tables`."""
    contract = catalog.table_contract(stage.key)
    if contract is None or stage.schema is None:
        return stage
    check = table_contract_check(contract, stage.key, stage.schema)
    return replace(stage, checks=(*stage.checks, check))


def usable_sources(catalog: Catalog) -> list[SourceContract]:
    """Sources that may be materialised: parsed, and not refused."""
    return [contract for contract in catalog.sources.values() if contract.refusal is None]
