from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tritter_assets.dedup.index import INDEX_SCHEMA
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lake.removals import append_rows, read_removals
from tritter_assets.lineage.coverage import coverage
from tritter_assets.lineage.forget import (
    affected,
    git_blob_sha1,
    preview_removal,
    request_removal,
)
from tritter_assets.lineage.marks import marks
from tritter_assets.lineage.proof import prove_absence
from tritter_assets.lineage.requests import make_request
from tritter_assets.lineage.tombstones import read_tombstones
from tritter_assets.lineage.where import where
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.removal import REMOVAL_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

AT = "2026-11-24T06:00:00Z"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path)


def _rebuild_without(lake: Lake, gone: set[str]) -> None:
    """What a re-materialisation would write once the filters see the requests."""
    kept = {"alpha": [small.KEPT], "beta": [small.NEAR, small.EXACT, small.OTHER]}
    for source, rows in kept.items():
        left = [r for r in rows if r["id"] not in gone]
        small.write(lake, f"filtered/{source}", left, DOCUMENT_SCHEMA, {"shard": "000"})
    place = {"source": "alpha", "shard": "000"}
    small.write(lake, "functions/python", [], small.FUNCTION_SCHEMA, place)
    small.write(lake, "synthetic/docstring", [], DOCUMENT_SCHEMA, place)
    small.write_pairs(lake, [])
    for index in ("exact_index", "near_index"):
        small.write(lake, f"dedup/{index}", [], INDEX_SCHEMA)
    small.write(
        lake, "mix/phase1_base", [small.mix_row(small.OTHER, "filtered/beta", 80)], MIX_SCHEMA
    )
    small.write(
        lake,
        "packed/phase1_base_256",
        [small.packed_row(lake, 0, [(small.OTHER, "filtered/beta", 56)])],
        PACKED_SCHEMA,
    )


def test_where_follows_a_document_everywhere(lake: Lake) -> None:
    tables = [place.table for place in where(lake, small.KEPT["id"])]
    assert tables == [
        "raw/alpha",
        "verdicts/alpha",
        "filtered/alpha",
        "functions/python",
        "mix/phase1_base",
        "packed/phase1_base_256",
        "dedup/exact_index",
        "dedup/near_index",
    ]


def test_a_request_covers_copies_and_children(lake: Lake) -> None:
    report = request_removal(lake, "repo", "ADA/engine", "owner asked", AT)
    assert report.num_new == 1
    how = {
        row["id"]: row["how"] for row in coverage(lake, read_removals(lake)).documents.to_dicts()
    }
    assert how[small.KEPT["id"]] == "named"
    assert set(how) == {
        small.KEPT["id"],
        small.EXACT["id"],
        small.NEAR["id"],
        small.FUNCTION["id"],
        small.SYNTHETIC["id"],
    }
    assert how[small.SYNTHETIC["id"]] == "derived"
    assert report.marked[0].asset == "model/phase1_base"
    assert marks(lake)["status"].to_list() == ["contains_removed"]


SWHID = f"swh:1:cnt:{git_blob_sha1(small.KEPT['content'])};origin=https://example.org/ada"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("repo", "https://github.com/Ada/engine.git"),
        ("repo", "git@github.com:ada/engine"),
        ("owner", "ADA"),
        ("author", "Author@ada.example"),
        ("sha256", small.KEPT["content_sha256"].upper()),
        ("swhid", SWHID),
        ("id", small.KEPT["id"]),
    ],
)
def test_every_kind_reaches_copies_functions_children_packs_and_checkpoints(
    lake: Lake, kind: str, value: str
) -> None:
    assert affected(lake, small.CATALOG).locations == ()
    preview = preview_removal(lake, kind, value)
    request_removal(lake, kind, value, "asked", AT)
    report = affected(lake, small.CATALOG)
    assert set(report.covered.ids) == {
        row["id"] for row in (small.KEPT, small.EXACT, small.NEAR, small.FUNCTION, small.SYNTHETIC)
    }
    assert preview.covered.documents["id"].to_list() == report.covered.ids.to_list()
    assert {place.table for place in report.locations} >= {
        "filtered/alpha",
        "filtered/beta",
        "functions/python",
        "synthetic/docstring",
        "mix/phase1_base",
        "packed/phase1_base_256",
    }
    assert [mark.asset for mark in report.checkpoints] == ["model/phase1_base"]
    stones = read_tombstones(lake)
    assert stones["id"].to_list() == report.covered.ids.to_list()
    assert stones.filter(pl.col("num_runs") > 0).height == 3


def test_a_copy_of_a_copy_is_nobodys_request(lake: Lake) -> None:
    further = small.row("beta", "zoe/far", "far.py", small.NEAR_BODY.replace("compute", "derive"))
    rows = [small.NEAR, small.EXACT, small.OTHER, further]
    for table in ("raw/beta", "filtered/beta"):
        small.write(lake, table, rows, DOCUMENT_SCHEMA, {"shard": "000"})
    chain = [(small.KEPT, small.NEAR, 0.8, 1, 2), (small.NEAR, further, 0.8, 2, 3)]
    pairs = []
    for one, other, score, *contents in chain:
        (a, x), (b, y) = sorted(zip((one["id"], other["id"]), contents, strict=True))
        pairs.append((a, b, score, x, y))
    small.write_pairs(lake, pairs)
    for _ in range(2):  # the second time the near copy has a row of its own in `removals`
        request_removal(lake, "repo", "ada/engine", "asked", AT)
        covered = coverage(lake, read_removals(lake)).ids.to_list()
        assert small.NEAR["id"] in covered
        assert further["id"] not in covered


def test_processes_that_ask_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three processes, five requests each, on a lake where nobody ever asked."""
    code = (
        "import pathlib, sys, time\n"
        "from tritter_assets.lake import Lake\n"
        "from tritter_assets.lineage.forget import request_removal\n"
        "root, name = sys.argv[1:]\n"
        "pathlib.Path(root, f'ready-{name}').touch()\n"
        "while not pathlib.Path(root, 'go').exists(): time.sleep(0.002)\n"
        "for n in range(5):\n"
        "    request_removal(Lake.at(root), 'repo', f'p{name}/r{n}', 'asked', "
        f"'{AT}')\n"
        "request_removal(Lake.at(root), 'repo', 'same/for-all', f'asked by {name}', "
        f"'{AT}')\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(3)
    ]
    while len(list(tmp_path.glob("ready-*"))) < 3:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait(timeout=100) for process in running] == [0, 0, 0]
    found = read_removals(Lake.at(tmp_path))
    wanted = {f"p{name}/r{n}" for name in range(3) for n in range(5)} | {"same/for-all"}
    assert set(found["value"]) == wanted
    assert found.height == len(wanted)


def test_many_requests_are_put_together_into_one_file(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    for number in range(66):
        row = make_request("repo", f"a/b{number}", "asked", AT).row()
        append_rows(lake, "removals", pa.Table.from_pylist([row], schema=REMOVAL_SCHEMA))
    assert read_removals(lake).height == 66
    assert len(DeltaTable(str(tmp_path / "removals")).file_uris()) < 5


def test_asking_twice_changes_nothing(lake: Lake) -> None:
    request_removal(lake, "repo", "ada/engine", "owner asked", AT)
    before = lake.table_version("removals"), read_removals(lake)
    again = request_removal(lake, "repo", "Ada/Engine", "again", "2026-12-01T00:00:00Z")
    assert again.num_new == 0
    assert (lake.table_version("removals"), read_removals(lake).to_dicts()) == (
        before[0],
        before[1].to_dicts(),
    )


def test_absence_is_proved_only_after_everything_was_rebuilt(lake: Lake) -> None:
    assert prove_absence(lake, small.CATALOG).passed
    request_removal(lake, "author", "Author@ada.example", "asked", AT)
    proof = prove_absence(lake, small.CATALOG)
    assert not proof.passed
    tables = {place.table for place in proof.remaining["id"]}
    assert tables >= {
        "filtered/alpha",
        "filtered/beta",
        "functions/python",
        "synthetic/docstring",
        "mix/phase1_base",
        "packed/phase1_base_256",
    }
    assert {place.table for place in affected(lake, small.CATALOG).locations} == tables
    _rebuild_without(lake, {small.KEPT["id"], small.EXACT["id"], small.NEAR["id"]})
    proof = prove_absence(lake, small.CATALOG)
    assert proof.passed, proof.problems
    # The packed table was replaced; the checkpoint itself still says what it read.
    assert [mark.through for mark in proof.checkpoints] == [("model/phase1_base",)]


def test_a_near_copy_stays_covered_when_the_index_has_forgotten_the_pair(lake: Lake) -> None:
    request_removal(lake, "id", small.KEPT["id"], "asked", AT)
    _rebuild_without(lake, {small.KEPT["id"], small.EXACT["id"]})
    proof = prove_absence(lake, small.CATALOG)
    assert {(place.table, place.num_rows) for place in proof.remaining["id"]} == {
        ("filtered/beta", 1)
    }


def test_a_function_that_others_share_is_not_hunted_down(lake: Lake) -> None:
    place = {"source": "beta", "shard": "000"}
    shared = small.FUNCTION | {
        "id": "c" * 32,
        "source": "beta",
        "repo": "dora/other",
        "owner": "dora",
        "author_emails": [],
        "derived_from": [small.OTHER["id"]],
    }
    small.write(lake, "functions/python", [shared], small.FUNCTION_SCHEMA, place)
    request_removal(lake, "repo", "ada/engine", "asked", AT)
    covered = coverage(lake, read_removals(lake)).documents
    assert "c" * 32 not in covered["id"].to_list()
    kinds = read_removals(lake).group_by("kind").len().sort("kind").rows()
    # The contents of the raw document and of its near copy, and both that the near index knows of.
    assert kinds == [("id", 2), ("repo", 1), ("sha256", 2)]


def test_content_is_found_under_another_id(lake: Lake) -> None:
    request_removal(lake, "sha256", small.OTHER["content_sha256"].upper(), "asked", AT)
    copy = small.row("beta", "zed/late", "late.py", small.OTHER["content"])
    small.write(
        lake, "filtered/gamma", [copy | {"source": "gamma"}], DOCUMENT_SCHEMA, {"shard": "000"}
    )
    proof = prove_absence(lake, small.CATALOG)
    assert "filtered/gamma" in {place.table for place in proof.remaining["content"]}


def test_a_checkpoint_without_a_list_is_judged_by_the_packed_version_it_read(
    lake: Lake, tmp_path: Path
) -> None:
    small.write_model(lake, tmp_path, "phase1_base", "packed/phase1_base_256", None, seen=False)
    _rebuild_without(lake, {small.KEPT["id"]})
    report = request_removal(lake, "id", small.KEPT["id"], "asked", AT)
    assert [(m.through, m.num_documents, m.certain) for m in report.marked] == [
        (("model/phase1_base",), 1, True)
    ]


def test_a_checkpoint_that_cannot_say_what_it_read_is_marked(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    ArtifactStore(lake).put(
        "model/phase3_instruct", {"x": path}, fingerprint="0" * 15, facts={"parent": None}
    )
    request_removal(lake, "id", small.KEPT["id"], "asked", AT)
    status = dict(marks(lake).select("asset", "status").iter_rows())
    assert status["model/phase3_instruct"] == "may_contain_removed"


def test_a_child_checkpoint_inherits_what_its_parent_saw(lake: Lake, tmp_path: Path) -> None:
    clean = [small.packed_row(lake, 0, [(small.OTHER, "filtered/beta", 9)])]
    small.write(lake, "packed/phase2_domain_256", clean, PACKED_SCHEMA)
    small.write_model(
        lake, tmp_path, "phase2_domain", "packed/phase2_domain_256", "model/phase1_base"
    )
    report = request_removal(lake, "owner", "ada", "asked", AT)
    assert [(m.asset, m.through) for m in report.marked] == [
        ("model/phase1_base", ("model/phase1_base",)),
        ("model/phase2_domain", ("model/phase1_base",)),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "at"),
    [
        ("planet", "x", AT),
        ("sha256", "abc", AT),
        ("author", "nobody", AT),
        ("id", "Z" * 32, AT),
        ("repo", "a/b", "yesterday"),
        ("swhid", "swh:1:rev:" + "0" * 40, AT),
    ],
)
def test_a_bad_request_says_what_to_write(tmp_path: Path, kind: str, value: str, at: str) -> None:
    with pytest.raises(ContractViolation, match=r"use one of|give|write"):
        request_removal(Lake.at(tmp_path), kind, value, "why", at)


def test_a_request_before_any_data_is_kept(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path)
    request_removal(lake, "repo", "a/b", "asked early", AT)
    assert read_removals(lake).height == 1
    assert prove_absence(lake, small.CATALOG).passed
