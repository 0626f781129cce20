"""A cluster keeps the licence of every member; nobody gains by a more permissive copy."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.index import EXACT_INDEX, NEAR_INDEX, ShardInput
from tritter_assets.dedup.license_family import index_families
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign

LICENCES = st.sampled_from(
    ["MIT", "Apache-2.0", "GPL-3.0-only", "LGPL-2.1-only", "NOASSERTION", "MIT OR GPL-2.0-only"]
)
BODY = "\n".join(f"value_{n} = compute({n}) + offset_{n * 7 % 13}" for n in range(60))
FOLDERS = itertools.count()


def _indexed(lake: Lake, licences: list[str], *, near: bool) -> dict[str, dict[str, Any]]:
    bodies = [
        BODY.replace("value_7 ", f"value_7_{n} ") if near else BODY for n in range(len(licences))
    ]
    docs = [Doc(f"{n:032x}", bodies[n], licence) for n, licence in enumerate(licences)]
    half = (len(docs) + 1) // 2
    shards = [("a", "000"), ("b", "000")]
    for (source, shard), part in zip(shards, (docs[:half], docs[half:]), strict=True):
        sign(lake, source, shard, part)
    inputs: list[ShardInput] = inputs_of(shards, {"a": 1, "b": 2})
    update_exact_index(lake, inputs, fingerprint="a" * 15)
    update_near_index(lake, inputs, fingerprint="b" * 15)
    rows = lake.scan(NEAR_INDEX if near else EXACT_INDEX).collect()
    return {row["id"]: row for row in rows.iter_rows(named=True)}


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(licences=st.lists(LICENCES, min_size=2, max_size=5), near=st.booleans())
def test_members_keep_their_licences_and_conflicts_quarantine(
    tmp_path: Path, licences: list[str], near: bool
) -> None:
    lake = Lake.at(tmp_path / f"lake{next(FOLDERS)}")
    rows = _indexed(lake, licences, near=near)
    assert len(rows) == len(licences)
    for row in rows.values():
        assert row["licenses"] == sorted(set(licences))
    dropped = set(dropped_ids(lake)["id"])
    survivors = {id_ for id_, row in rows.items() if row["survivor"] and id_ not in dropped}
    if len({index_families().of(licence) for licence in licences}) > 1:
        assert survivors == set()
        assert {row["action"] for row in rows.values()} == {"quarantine"}
    else:
        assert len(survivors) == 1
        # Which copy stays does not depend on which licence it carries.
        other = Lake.at(tmp_path / f"lake{next(FOLDERS)}")
        again = _indexed(other, licences[::-1], near=near)
        assert {id_ for id_, row in again.items() if row["survivor"]} == survivors
