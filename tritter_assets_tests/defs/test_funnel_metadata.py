"""The funnel stands in the metadata of verdicts and filtered documents, and in the check."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from tritter_assets_tests.defs.project import make_settings, run_sources


def test_verdicts_and_filtered_show_their_funnel(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, num_shards=1)
    with dg.DagsterInstance.ephemeral() as instance:
        run_sources(settings, instance)
        shown = {}

        for room in ("verdicts", "filtered"):
            key = dg.AssetKey([room, "small_code"])
            records = instance.fetch_materializations(key, limit=10).records
            texts = [
                record.asset_materialization.metadata["tritter/plot"].value  # type: ignore[union-attr]
                for record in records
                if record.asset_materialization
                and "tritter/plot" in record.asset_materialization.metadata
            ]
            assert texts, [sorted(r.asset_materialization.metadata) for r in records]
            shown[room] = str(texts[0])
        evaluations = [
            entry.dagster_event.event_specific_data
            for run in instance.get_runs()
            for entry in instance.all_logs(
                run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            )
            if entry.dagster_event is not None
        ]
    (check,) = [
        found
        for found in evaluations
        if found.check_name == "retention_in_expected_bands"  # type: ignore[union-attr]
        and found.asset_key.path[-1] == "small_code"  # type: ignore[union-attr]
    ]
    lake = settings.lake()
    raw = lake.scan("raw/small_code").collect().height
    kept = lake.scan("filtered/small_code").collect().height
    for text in shown.values():
        assert f"{raw} documents, {kept} pass" in text
        assert "| stage | in | removed | left | kept |" in text
    assert shown["verdicts"].startswith("![funnel of small_code](data:image/png;base64,")
    assert check.metadata["funnel"].value  # type: ignore[union-attr]
    assert not check.passed  # type: ignore[union-attr]
    assert "kept" in (check.description or "")  # type: ignore[union-attr]
