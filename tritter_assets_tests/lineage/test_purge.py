"""Purging takes removed documents out of files that no table shows any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.lake import Lake
from tritter_assets.lineage.forget import request_removal
from tritter_assets.lineage.proof import prove_absence
from tritter_assets.lineage.purge import PurgeReport, purge_files, purge_rows
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.sources.ledger import LEDGER_SCHEMA
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text
from tritter_assets_tests.lineage import small_lake as small

AT = "2026-11-24T06:00:00Z"
SHARD = {"shard": "000"}
WORD = "value_5 = compute"
"""Stands in the forgotten document and its copies."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = small.build(tmp_path)
    lines = [
        dict.fromkeys(LEDGER_SCHEMA.names, "x")
        | {"id": f"{n:032x}", "source": "alpha", "shard": "000", "repo": repo, "path": "a.bin"}
        for n, repo in enumerate(("ada/engine", "dora/other"))
    ]
    small.write(lake, "skipped/alpha", lines, LEDGER_SCHEMA, SHARD)
    return lake


def _rebuild_downstream(lake: Lake) -> None:
    small.write(lake, "filtered/alpha", [], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "filtered/beta", [small.OTHER], DOCUMENT_SCHEMA, SHARD)
    for table, schema in (
        ("functions/python", small.FUNCTION_SCHEMA),
        ("synthetic/docstring", DOCUMENT_SCHEMA),
    ):
        small.write(lake, table, [], schema, {"source": "alpha", "shard": "000"})
    rows = [small.mix_row(small.OTHER, "filtered/beta", 80)]
    small.write(lake, "mix/phase1_base", rows, small.MIX_SCHEMA)
    small.train_tokenizer(lake, phases=["phase1_base"], vocab_size=280, fingerprint="1" * 15)
    rows = [small.packed_row(lake, 0, [(small.OTHER, "filtered/beta", 50)])]
    small.write(lake, "packed/phase1_base_256", rows, small.PACKED_SCHEMA)
    small.write(lake, "dedup/exact_index", [], small.INDEX_SCHEMA)
    small.write(lake, "dedup/near_index", [], small.INDEX_SCHEMA)
    small.write_pairs(lake, [])


def _files_with(root: Path, word: str) -> list[str]:
    """Names of the data files in which a text stands."""
    tables = [path for path in root.rglob("*.parquet") if "_delta_log" not in path.parts]
    return [
        path.relative_to(root).parts[0]
        for path in tables
        if word in str(pq.ParquetFile(path).read().to_pylist())
    ]


def test_rows_leave_raw_and_old_files_leave_the_lake(lake: Lake, tmp_path: Path) -> None:
    request_removal(lake, "owner", "ada", "asked", AT)
    before = lake.state("raw/alpha", SHARD)
    report = PurgeReport()
    purge_rows(lake, report)
    assert {(place.table, place.num_rows) for place in report.rows} == {
        ("raw/alpha", 1),
        ("raw/beta", 2),
        ("skipped/alpha", 1),
    }
    after = lake.state("raw/alpha", SHARD)
    assert before is not None
    assert after is not None
    assert after.fingerprint == before.fingerprint  # nothing is fetched again
    assert after.data_version != before.data_version  # and the verdicts are stale
    orphan = tmp_path / "filtered/alpha/shard=000/part-of-a-killed-run.parquet"
    pq.write_table(lake.scan("filtered/alpha").collect().to_arrow(), orphan)
    os.utime(orphan, (1, 1))
    _rebuild_downstream(lake)
    assert set(_files_with(tmp_path, WORD)) >= {"raw", "filtered", "functions"}
    purge_files(lake, small.full_catalog(), None, report)
    assert _files_with(tmp_path, WORD) == []
    assert _files_with(tmp_path, "ada/engine") == []
    assert not orphan.exists()
    proof = prove_absence(lake, small.CATALOG)
    assert proof.passed, proof.problems
    assert proof.num_upstream == 0
    assert proof.num_documents == 5
    again = PurgeReport()
    purge_rows(lake, again)
    purge_files(lake, small.full_catalog(), None, again)
    assert (again.rows, again.num_files) == ([], 0)


def test_a_file_that_a_run_may_be_writing_stays(lake: Lake, tmp_path: Path) -> None:
    young = tmp_path / "filtered/alpha/shard=000/part-young.parquet"
    young.write_bytes(b"not finished")
    purge_files(lake, small.full_catalog(), None, PurgeReport())
    assert young.exists()
    assert lake.scan("filtered/alpha").collect().height == 1


def test_downloads_of_the_sources_that_held_it_go(lake: Lake, tmp_path: Path) -> None:
    request_removal(lake, "id", small.OTHER["id"], "asked", AT)
    downloads = tmp_path / "downloads"
    for name in ("sdist/beta-1.0.0-abababababababab.tar.gz", "sdist/else-1-cd.tar.gz"):
        (downloads / name).parent.mkdir(parents=True, exist_ok=True)
        (downloads / name).write_bytes(b"x")
    (downloads / "pieces" / "beta" / "000").mkdir(parents=True)
    purge_files(lake, small.full_catalog(), downloads, PurgeReport())
    left = {str(path.relative_to(downloads)) for path in downloads.rglob("*") if path.is_file()}
    assert left == {"sdist/else-1-cd.tar.gz"}
    assert not (downloads / "pieces" / "beta").exists()


def test_index_caches_forget_ids_and_paths(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    stays, copy = Doc("a" * 32, text(2), path="kept.py"), Doc("c" * 32, text(2), path="copied.py")
    goes = Doc("b" * 32, text(1), repo="gone/away", path="very_own_name.py")
    inputs = inputs_of([("code", "000")])

    def update(documents: list[Doc], fingerprint: str) -> None:
        sign(lake, "code", "000", documents)
        update_exact_index(lake, inputs, fingerprint=fingerprint)
        update_near_index(lake, inputs, fingerprint=fingerprint)

    def cached() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / ".cache").rglob("*sqlite*"))

    update([stays, copy, goes], "1" * 15)
    raw = small.row("code", goes.repo, goes.path, goes.content) | {"id": goes.id}
    small.write(lake, "raw/code", [raw], DOCUMENT_SCHEMA, SHARD)
    request_removal(lake, "repo", "gone/away", "asked", AT)
    assert goes.path.encode() in cached()
    update([stays, copy], "2" * 15)
    report = PurgeReport()
    purge_files(lake, small.full_catalog(), None, report)
    assert goes.path.encode() not in cached()
    assert goes.id.encode() not in cached()
    assert stays.path.encode() in cached()
    assert all("free pages" in line for line in report.caches)
    update([stays, copy, goes], "3" * 15)
    purge_files(lake, small.full_catalog(), None, report)
    assert goes.path.encode() not in cached()
    assert lake.state("dedup/near_index") is not None
    update([stays, copy], "4" * 15)


_KILLED = """
import os, signal, sys
import pyarrow as pa
from tritter_assets.lake import Lake
from tritter_assets.lake import removals
from tritter_assets.lineage import forget, marks, purge, tombstones
from tritter_assets.lineage.runs import kept_runs
from tritter_assets_tests.lineage import small_lake as small

class Die:
    def __init__(self, real): self.real = real
    def __call__(self, *a, **k):
        self.real(*a, **k)
        os.kill(os.getpid(), signal.SIGKILL)

for module in (forget, marks, tombstones):
    module.append_rows = Die(removals.append_rows)
Lake.write = (lambda real: lambda self, *a, **k: Die(lambda: real(self, *a, **k))())(Lake.write)
real_delete, marker = purge._delete, sys.argv[1] + "/deleted-one"
def delete_one_and_die(*a):
    real_delete(*a)
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
purge._delete = delete_one_and_die

def attempt():
    lake, report = Lake.at(sys.argv[1]), purge.PurgeReport()
    forget.request_removal(lake, "owner", "ada", "asked", "2026-11-24T06:00:00Z")
    purge.purge_rows(lake, report)
    purge.purge_files(lake, catalog, None, report)

# Loaded once, before any thread is started; then each attempt is a process of its own.
catalog = small.full_catalog()
kept_runs(pa.array(["warm up"]))
for number in range(20):
    child = os.fork()
    if not child:
        attempt()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != -signal.SIGKILL:
        print(number)
        sys.exit(status)
"""


def test_killed_after_every_step_and_asked_again_it_ends_the_same(
    lake: Lake, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    # removals, tombstones, marks; two shards of raw, one of skipped; the first of the old files.
    assert done.stdout.strip() == "7"
    killed = {t: lake.scan(t).collect() for t in ("removals", "removal_tombstones", "raw/beta")}
    marks = lake.scan("removal_marks").collect()
    whole = small.build(tmp_path / "again")
    request_removal(whole, "owner", "ada", "asked", AT)
    purge_rows(whole, PurgeReport())
    for table, rows in killed.items():
        order = rows.columns[0]
        assert rows.sort(order).equals(whole.scan(table).collect().sort(order)), table
    assert marks.height == 1
