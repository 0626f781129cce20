"""A decision on a licence reaches the indexes: they go stale, and only when a family changes."""

from __future__ import annotations

from pathlib import Path

import yaml

from tritter_assets.defs.dedup import index_stages
from tritter_assets.defs.freshness import Graph
from tritter_assets.defs.stage import Platform
from tritter_assets_tests.defs.project import make_settings

INDEXES = ("dedup/exact_index", "dedup/near_index", "dedup/semantic_index")


def decide(folder: Path, spdx: str) -> None:
    decision = {
        "id": spdx.lower(),
        "kind": "admit_license",
        "subject": spdx,
        "use_profiles": ["brief"],
        "who": "Jane Doe",
        "when": "2026-01-02",
        "expires": "2099-01-02",
        "evidence": "read",
    }
    path = folder / "data_contracts" / "policy" / "decisions.yaml"
    text = yaml.safe_dump({"decisions": [decision]})
    path.write_text(
        text.replace("'2026-01-02'", "2026-01-02").replace("'2099-01-02'", "2099-01-02")
    )


def test_a_decision_makes_the_indexes_stale_if_it_changes_a_family(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)

    def fingerprints() -> dict[str, str]:
        platform = Platform.open(settings)
        stages = {stage.key: stage for stage in index_stages(platform)}
        graph = Graph(stages)
        return {key: graph.fingerprint(platform, stages[key], None) for key in INDEXES}

    before = fingerprints()
    decide(tmp_path, "GPL-2.0-only")
    assert fingerprints() == before
    decide(tmp_path, "LicenseRef-scancode-adi-bsd")
    after = fingerprints()
    assert all(after[key] != before[key] for key in INDEXES)
