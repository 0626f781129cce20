from __future__ import annotations

import polars as pl

from tritter_assets.contracts.policy import Policy
from tritter_assets.licensing.obligations import join, lane_of, text_in_evidence
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets_tests.licensing.texts import BSD3, MIT

ROWS = pl.DataFrame(
    {
        "chosen": ["MIT", "MIT", "CC-BY-SA-4.0", "0BSD", "Apache-2.0 AND MIT"],
        "license_wrapper": ["NONE", "ODC-By-1.0", "NONE", "C-UDA-1.0", "NONE"],
        "access_terms": ["none", "none", "none", "none", "common_crawl"],
        "generator": ["human", "human", "human", "starcoder2", "human"],
    }
)


def test_every_obligation_has_its_causes_and_counts(policy: Policy) -> None:
    joined = join(ROWS, policy)
    assert joined["attribution"].num_rows == 4
    assert dict(joined["attribution"].causes) == {
        "license:Apache-2.0": 1,
        "license:CC-BY-SA-4.0": 1,
        "license:MIT": 3,
        "wrapper:ODC-By-1.0": 1,
    }
    assert dict(joined["share_alike"].causes) == {"license:CC-BY-SA-4.0": 1}
    assert dict(joined["computational_use"].causes) == {"wrapper:C-UDA-1.0": 1}
    assert dict(joined["access_condition"].causes) == {"access:common_crawl": 1}
    assert dict(joined["use_restrictions"].causes) == {"generator:starcoder2": 1}


def test_order_and_grouping_change_nothing(policy: Policy) -> None:
    counted = ROWS.group_by(ROWS.columns).len("num_rows")
    assert join(ROWS, policy) == join(ROWS.reverse(), policy) == join(counted, policy)


def test_adding_rows_never_takes_an_obligation_away(policy: Policy) -> None:
    few, all_rows = join(ROWS.head(2), policy), join(ROWS, policy)
    for key, joined in few.items():
        assert all_rows[key].num_rows >= joined.num_rows
        assert set(joined.causes) <= set(all_rows[key].causes)


def test_lanes(policy: Policy) -> None:
    assert lane_of("MIT", "NONE", policy) == "open"
    assert lane_of("MIT", "CC-BY-SA-4.0", policy) == "share_alike"
    assert lane_of("MIT AND GPL-3.0-only", "CC-BY-SA-4.0", policy) == "closed"


def test_texts_come_from_the_evidence() -> None:
    evidence = [
        RepoEvidence(repo="b", license_files=(("LICENSE", MIT),)),
        RepoEvidence(repo="a", license_files=(("COPYING", f"{BSD3}\n\n{MIT}"), ("L/MIT", MIT))),
    ]
    assert text_in_evidence("MIT", evidence) == ("a/L/MIT", MIT)
    assert text_in_evidence("ISC", evidence) is None
