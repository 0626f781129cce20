"""Every refused source: its asset fails with the clause, and writes nothing."""

from __future__ import annotations

import dagster as dg

from tritter_assets.contracts.catalog import load_catalog
from tritter_assets.defs.sources import refused_asset
from tritter_assets_tests.corpus import REPOSITORY

REFUSED = [
    contract
    for _, contract in sorted(load_catalog(REPOSITORY / "data_contracts").sources.items())
    if contract.refusal is not None
]


def test_the_report_s_six_are_among_them() -> None:
    assert {contract.id for contract in REFUSED} >= {
        "magicoder_oss_instruct_75k",
        "magicoder_evol_instruct_110k",
        "code_alpaca_20k",
        "wizardcoder_evol_instruct",
        "code_feedback",
        "big_clone_bench",
    }


def test_materialising_names_the_clause_and_writes_nothing() -> None:
    made = {contract.id: refused_asset(contract) for contract in REFUSED}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [part for pair in made.values() for part in pair],
            instance=instance,
            raise_on_error=False,
        )
        assert not done.success
        said = {
            str(event.step_key): failure.to_string()
            for event in done.all_events
            if event.is_step_failure and (failure := event.step_failure_data.error) is not None
        }
        for contract in REFUSED:
            asset, _ = made[contract.id]
            assert contract.refusal is not None
            message = said[asset.op.name]
            assert "LicenseRefused" in message, contract.id
            assert contract.refusal.clause in message, contract.id
            assert instance.get_latest_materialization_event(asset.key) is None
