"""What the gate must never do, over random families of documents, with the project's own policy."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritter_assets.contracts.policy import load_policy
from tritter_assets.functions.inherit import made_by_rule
from tritter_assets.functions.interop_parents import joint_parent
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import EVALUATION_SPLITS, admit, admit_frame
from tritter_assets.mixes import gate
from tritter_assets.mixes.gate import admitted_rows
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.mixes.lake_of_rows import (
    Row,
    catalog_of,
    document,
    write_derived,
    write_filtered,
    write_indexes,
)

POLICY = load_policy(REPOSITORY / "data_contracts" / "policy")
TABLES = ("functions/python", "synthetic/notes", "synthetic/more")
_PERSON = {"license_concluded": "MIT", "generator": "human", "split": None}
FACTS = st.fixed_dictionaries(
    {
        "license_concluded": st.sampled_from(["MIT", "MIT", "GPL-3.0-only", "NOASSERTION"]),
        "generator": st.sampled_from(["human", "human", "starcoder2", "gpt_4", "glaive", "what"]),
        "split": st.sampled_from([None, "train", "test", "Validation"]),
    }
) | st.just(_PERSON)
CHILD = st.tuples(
    st.integers(0, len(TABLES) - 1),
    st.lists(st.integers(0, 40), min_size=1, max_size=3),
    # What a stage writes of itself; one that lies says a person wrote it.
    st.sampled_from(["rule_based", "human", "gpt_4", "mistral"]),
)
FOLDERS = itertools.count()


@pytest.fixture(autouse=True)
def _whole_policy(monkeypatch: pytest.MonkeyPatch, _small_policy: None) -> None:
    monkeypatch.setattr(gate, "admit_frame", admit_frame)


def _family(parents: list[dict[str, Any]], children: list[Any], *, honest: bool) -> list[Row]:
    rows = [document("a", f"p{n}", f"x = {n}\n", **facts) for n, facts in enumerate(parents)]
    for number, (table, picks, generator) in enumerate(children):
        above = [rows[pick % len(rows)] for pick in picks]
        joint = joint_parent(above)
        if honest and joint is None:
            continue  # several models wrote its parents: no stage makes such a row
        rows.append(
            document(
                "a",
                f"c{number}",
                f"derived {number}\n",
                derived_from=[row["id"] for row in above],
                generator=made_by_rule(joint[0]) if honest and joint else generator,
            )
            | {"table": TABLES[table]}
        )
    return rows


def _ancestors(row: Row, known: dict[str, Row]) -> list[Row]:
    found: list[Row] = []
    for parent in row.get("derived_from") or ():
        found += [known[parent], *_ancestors(known[parent], known)]
    return found


def _admissible(row: Row, use_profile: str) -> bool:
    found = admit(
        concluded=row["license_concluded"], wrapper=row["license_wrapper"],
        access_terms=row["access_terms"], generator=row["generator"],
        method=row["license_method"], confidence=row["license_confidence"], split=row["split"],
        policy=POLICY, use_profile=use_profile,
    )  # fmt: skip
    return found.action.value == "keep"


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    parents=st.lists(FACTS, min_size=1, max_size=5),
    children=st.lists(CHILD, min_size=1, max_size=8),
    honest=st.booleans(),
)
def test_nothing_derived_from_what_is_refused_passes(
    tmp_path: Path, parents: list[dict[str, Any]], children: list[Any], honest: bool
) -> None:
    rows = _family(parents, children, honest=honest)
    lake = Lake.at(tmp_path / f"lake{next(FOLDERS)}")
    write_filtered(lake, [row for row in rows if "table" not in row])
    for table in TABLES:
        part = [row for row in rows if row.get("table") == table]
        if part:
            write_derived(lake, table, [{k: v for k, v in r.items() if k != "table"} for r in part])
    write_indexes(lake)
    catalog = catalog_of({"a": ()})
    catalog.policy = POLICY
    tables = ["filtered/a", *(table for table in TABLES if lake.exists(table))]
    passed = set(admitted_rows(lake, tables, catalog=catalog).rows["id"])

    known = {row["id"]: row for row in rows}
    for row in rows:
        line = [row, *_ancestors(row, known)]
        assert (row["id"] in passed) is all(_admissible(each, "brief") for each in line), row[
            "path"
        ]
        splits = {(each["split"] or "").lower() for each in line}
        assert row["id"] not in passed or not splits & EVALUATION_SPLITS
        if honest and row.get("derived_from"):
            # The row's own generator already says what its whole line came of, in any profile.
            for name in POLICY.use_profiles:
                admits = POLICY.use_profiles[name].admit_generators
                if row["generator"] in admits:
                    assert all(each["generator"] in admits for each in line)


@settings(max_examples=100, deadline=None)
@given(
    license_concluded=st.sampled_from(
        ["MIT", "GPL-3.0-only", "CC-BY-NC-4.0", "NOASSERTION", "NONE", "GPL-2.0-only OR MIT",
         "MIT AND MPL-2.0", "LicenseRef-Proprietary", "CC-BY-SA-4.0", "JSON", "our own terms"]
    ),
    wrapper=st.sampled_from(
        ["MIT", "CC0-1.0", "Apache-2.0", "ODC-By-1.0", "CC-BY-4.0", "NOASSERTION", "GPL-3.0-only"]
    ),
    generator=st.sampled_from(["human", "starcoder2", "gpt_4"]),
    license_method=st.sampled_from(["license_file", "declared_column", "wrapper", "none"]),
    license_confidence=st.sampled_from([0.3, 0.6, 0.9]),
    use_profile=st.sampled_from(["strict", "brief", "research"]),
)  # fmt: skip
def test_a_wrapper_never_upgrades_content(wrapper: str, use_profile: str, **facts: Any) -> None:
    bare = document("a", "p", "x", license_wrapper="NONE", split=None, **facts)
    wrapped = bare | {"license_wrapper": wrapper}
    assert _admissible(bare, use_profile) or not _admissible(wrapped, use_profile)
