from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tritter_assets.compliance.funnel import measure_funnel
from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.source import SdistOrigin, SourceContract
from tritter_assets.filters import apply, judge
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.explain import explain_document
from tritter_assets.sources.ingest import ingest_shard
from tritter_assets.sources.ledger import (
    LEDGER_SCHEMA,
    LEFT_OUT,
    SkipLedger,
    ledger_version,
    read_ledger,
)
from tritter_assets.sources.loader import LoaderContext, Skipped, SkipReason, UpstreamFile
from tritter_assets.verdict import Reason
from tritter_assets_tests.filters.documents import POLICY, PROFILE
from tritter_assets_tests.lineage import small_lake
from tritter_assets_tests.sources.builders import PlainConcluder, contract_of

CONTRACT = contract_of(SdistOrigin(package="p", version="1", sha256="0" * 64))
POLICY_OF_INGEST: Any = SimpleNamespace(conclusion_digest="policy")
FIRST, SECOND = fingerprint_of("first"), fingerprint_of("second")
GOOD = "def one():\n    '''Return one.'''\n    return 1\n"


class _Loader:
    """Gives one document, and skips what it is told to."""

    def __init__(self, *skips: tuple[SkipReason, str]) -> None:
        self._skips = skips

    def pinned_digest(self, contract: SourceContract, context: LoaderContext) -> str:
        return "pinned"

    def plan(self, contract: SourceContract, context: LoaderContext) -> tuple[UpstreamFile, ...]:
        return (UpstreamFile("a.py", 1, "d"),)

    def evidence(self, contract: SourceContract, context: LoaderContext) -> dict[str, Any]:
        return {}

    def read(
        self, contract: SourceContract, files: tuple[UpstreamFile, ...], context: LoaderContext
    ) -> Iterator[pl.DataFrame]:
        for reason, path in self._skips:
            context.skips.add(reason, f"o/r:{path}", repo="o/r", path=path, revision="1")
        yield pl.DataFrame(
            {
                "repo": ["o/r"],
                "path": ["a.py"],
                "revision": ["1"],
                "language": ["Python"],
                "modality": ["code"],
                "content": [GOOD],
            }
        )


@pytest.fixture(autouse=True)
def _plain_licences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritter_assets.licensing.conclude.Concluder", PlainConcluder)


def _ingest(lake: Lake, tmp_path: Path, fingerprint: str, *skips: tuple[SkipReason, str]) -> Any:
    return ingest_shard(
        lake,
        CONTRACT,
        "000",
        policy=POLICY_OF_INGEST,
        cache=tmp_path / "cache",
        fingerprint=fingerprint,
        project_root=tmp_path,
        loader=_Loader(*skips),
    )


def test_every_skip_reason_is_a_reason_of_the_verdicts() -> None:
    assert {r.value for r in SkipReason if r not in LEFT_OUT} <= {r.value for r in Reason}


def test_what_was_skipped_is_listed_judged_counted_and_explained(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    skips = [
        (SkipReason.BLOB_MISSING, "b.py"),
        (SkipReason.TOO_LARGE, "c\udcff.py"),  # a name that is no UTF-8
        (SkipReason.NOT_SELECTED, "d.py"),
    ]
    report = _ingest(lake, tmp_path, FIRST, *skips)
    assert report.skipped == {"blob_missing": 1, "not_selected": 1, "too_large": 1}
    ledger = read_ledger(lake, "small", "000")
    assert ledger.columns == LEDGER_SCHEMA.names
    rows = ledger.sort("reason").drop("id").to_dicts()
    same = {"source": "small", "shard": "000", "repo": "o/r", "revision": "1"}
    assert rows == [
        same | {"path": "b.py", "reason": "blob_missing", "detail": "o/r:b.py"},
        same | {"path": "c\\udcff.py", "reason": "too_large", "detail": "o/r:c\\udcff.py"},
    ]

    judged = judge.judge_shard(
        lake,
        "small",
        "000",
        contract=CONTRACT,
        policy=load_policy(POLICY),
        profile=replace(PROFILE, filters={"decontamination": {"enabled": False}}),
        removals=read_removals(lake),
        fingerprint=FIRST,
    )
    assert (judged.num_documents, judged.num_skipped) == (1, 2)
    verdicts = lake.scan("verdicts/small").filter(pl.col("stage") == "ingest").collect()
    assert set(verdicts["id"]) == set(ledger["id"])
    assert verdicts.select("action", "terminal", "stage_number").unique().row(0) == (
        "drop",
        False,
        0,
    )
    applied = apply.apply_shard(lake, "small", "000", fingerprint=FIRST)
    assert applied.num_documents_in == 1

    funnel = measure_funnel(lake)
    assert funnel.problems == ()
    assert (funnel.total.raw, funnel.total.skipped) == (1, 2)
    assert funnel.table()[0]["skipped"] == 2
    assert [r["reason"] for r in funnel.reasons if r["stage"] == "ingest"] == [
        "blob_missing",
        "too_large",
    ]

    catalog = small_lake.full_catalog()
    found = explain_document(lake, "o/r:b.py", catalog)
    assert found.document["reason"] == "blob_missing"
    assert [row["reason"] for row in found.verdicts] == ["blob_missing"]
    assert explain_document(lake, found.document["id"], catalog).document == found.document
    assert explain_document(lake, "o/r:a.py", catalog).document["table"] == "raw/small"


def test_a_run_killed_between_ledger_and_rows_leaves_the_old_shard_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.at(tmp_path / "lake")
    _ingest(lake, tmp_path, FIRST, (SkipReason.EMPTY, "b.py"))
    before = ledger_version(lake, "small", "000")
    assert before

    write = Lake.write

    def killed(self: Lake, table: str, *rest: Any, **options: Any) -> Any:
        if table.startswith("raw/"):
            raise KeyboardInterrupt
        return write(self, table, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            _ingest(lake, tmp_path, SECOND, (SkipReason.BINARY, "b.py"))
    assert not lake.is_fresh("raw/small", SECOND, {"shard": "000"})
    assert read_ledger(lake, "small", "000").is_empty()  # it is of another run than the rows

    _ingest(lake, tmp_path, SECOND, (SkipReason.BINARY, "b.py"))
    assert read_ledger(lake, "small", "000")["reason"].to_list() == ["binary"]
    _ingest(lake, tmp_path, FIRST, (SkipReason.EMPTY, "b.py"))
    assert ledger_version(lake, "small", "000") == before


def test_a_shard_that_skips_nothing_has_no_ledger_and_an_old_one_is_emptied(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    _ingest(lake, tmp_path, FIRST)
    assert not lake.exists("skipped/small")
    _ingest(lake, tmp_path, FIRST, (SkipReason.EMPTY, "b.py"))
    _ingest(lake, tmp_path, SECOND)
    assert lake.scan("skipped/small").collect().is_empty()
    assert ledger_version(lake, "small", "000") == ""


def test_order_and_repetition_of_what_is_skipped_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritter_assets.sources.ledger._MEMORY_BYTES", 64)
    monkeypatch.setattr("tritter_assets.sources.ledger._BATCH_ROWS", 7)
    rows = [Skipped(SkipReason.EMPTY, f"f#{n}", None, None, None) for n in range(100)]
    versions = set()
    for number, order in enumerate((rows, rows[::-1], rows + rows[:5])):
        lake = Lake.at(tmp_path / str(number))
        ledger = SkipLedger("small", "000", tmp_path / "spill")
        for row in order:
            ledger.add(row)
        ledger.write(lake, FIRST)
        ledger.close()
        state = lake.state("skipped/small", {"shard": "000"})
        assert state is not None
        versions.add((state.num_rows, state.data_version))
        stored = lake.scan("skipped/small").collect()["id"].to_list()
        assert stored == sorted(stored)
    assert len(versions) == 1
    assert versions.pop()[0] == 100
    assert not list((tmp_path / "spill").iterdir())
