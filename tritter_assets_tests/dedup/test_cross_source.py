"""The same functions as CodeSearchNet, CodeXGLUE, Scotch and The Stack carry them."""

from __future__ import annotations

import polars as pl
import pytest

from tritter_assets.dedup import stats
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.near import update_near_index
from tritter_assets.dedup.top_clusters import largest_clusters
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign

CSN, XGLUE, SCOTCH, STACK = "code_search_net", "code_x_glue", "scotch", "the_stack"
SOURCES = (STACK, SCOTCH, CSN, XGLUE)
"""In the order of their priorities: a licence per file before one per row before one per repo."""

PARSE = '''def parse_headers(lines, strict=False):
    """Parse header lines into a dictionary of lower-case names.

    Lines that start with white space continue the line before them.
    """
    headers, last = {}, None
    for number, line in enumerate(lines):
        if line[:1] in " \\t" and last is not None:
            headers[last] += " " + line.strip()
            continue
        name, found, value = line.partition(":")
        if not found and strict:
            raise ValueError("line %d has no colon: %r" % (number, line))
        last = name.strip().lower()
        headers[last] = value.strip()
    return headers
'''
RETRY = '''def retry(call, attempts=3, wait=0.5, errors=(OSError, TimeoutError)):
    """Calls until it succeeds or the attempts are spent; waits twice as long each time."""
    for attempt in range(attempts):
        try:
            return call()
        except errors:
            if attempt + 1 == attempts:
                raise
            time.sleep(wait * 2**attempt)
'''


def number(source: str, row: int) -> str:
    return f"{SOURCES.index(source) + 1:016x}{row:016x}"


def doc(source: str, row: int, content: str, license_: str, file: str) -> Doc:
    owner, name, path = file.split("/", 2)
    return Doc(number(source, row), content, license_, repo=f"{owner}/{name}", path=path)


def upstream_rows() -> dict[str, list[Doc]]:
    # Scotch and CodeSearchNet cut functions out; The Stack has the file they were cut from, with a
    # header; CodeXGLUE repeats the rows of CodeSearchNet, some of them with tabs for blanks.
    header = "# SPDX-License-Identifier: Apache-2.0\nimport time\n\n\n"
    return {
        STACK: [
            doc(STACK, 1, PARSE, "Apache-2.0", "hal/lib/lib/headers.py"),
            doc(STACK, 2, header + PARSE, "Apache-2.0", "zed/fork/vendor/headers.py"),
            doc(STACK, 3, RETRY, "GPL-3.0-only", "gnu/tool/tool/retry.py"),
        ],
        SCOTCH: [
            doc(SCOTCH, 1, PARSE, "MIT", "hal/lib/lib/headers.py"),
            doc(SCOTCH, 2, RETRY, "MIT", "jo/web/web/retry.py"),
        ],
        CSN: [
            doc(CSN, 1, PARSE, "MIT", "hal/lib/lib/headers.py"),
            doc(CSN, 2, RETRY, "MIT", "jo/web/web/retry.py"),
        ],
        XGLUE: [doc(XGLUE, 1, PARSE.replace("    ", "\t"), "MIT", "hal/lib/lib/headers.py")],
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake.at(tmp_path_factory.mktemp("lake"))
    for source, docs in upstream_rows().items():
        sign(lake, source, "000", docs)
    for verb in (update_exact_index, update_near_index):
        verb(lake, shards(), fingerprint="a" * 15)
    return lake


def shards():
    priorities = {source: place for place, source in enumerate(SOURCES)}
    return inputs_of([(source, "000") for source in SOURCES], priorities)


def rows_of(lake: Lake, index: str, member: str) -> pl.DataFrame:
    rows = lake.scan(index).collect()
    return rows.filter(cluster_id=rows.filter(id=member)["cluster_id"][0]).sort("id")


@pytest.mark.parametrize("index", ["dedup/exact_index", "dedup/near_index"])
def test_one_blob_is_one_cluster_with_the_licences_of_all(lake: Lake, index: str) -> None:
    rows = rows_of(lake, index, number(STACK, 1))
    assert set(rows["source"]) == set(SOURCES)
    assert rows["licenses"].to_list() == [["Apache-2.0", "MIT"]] * rows.height
    kept = rows.filter(action="keep")
    assert kept["id"].to_list() == [number(STACK, 1)]
    dropped = rows.filter(action="drop")
    assert set(dropped["kept_id"]) == {number(STACK, 1)}
    # The file that the function was cut from is near it, and is no copy of it.
    assert dropped.height == (3 if index == "dedup/exact_index" else 4)
    tabs = rows.filter(id=number(XGLUE, 1))
    assert tabs["match"].to_list() == ["normalized"]


@pytest.mark.parametrize("index", ["dedup/exact_index", "dedup/near_index"])
def test_a_blob_under_two_families_stays_nowhere(lake: Lake, index: str) -> None:
    rows = rows_of(lake, index, number(STACK, 3))
    assert set(rows["source"]) == {STACK, SCOTCH, CSN}
    assert set(rows["action"]) == {"quarantine"}
    assert set(rows["reason"]) == {"cluster_license_conflict"}
    assert set(rows["kept_id"]) == {None}
    assert rows["licenses"].to_list() == [["GPL-3.0-only", "MIT"]] * 3


def test_what_each_source_loses_to_which(lake: Lake) -> None:
    assert stats.source_matrix(lake, "dedup/near_index").rows() == [
        (CSN, STACK, 1),
        (XGLUE, STACK, 1),
        (SCOTCH, STACK, 1),
        (STACK, STACK, 1),
    ]
    kept = stats.retention_by_source(lake, shards())
    assert dict(kept.select("source", "kept").iter_rows()) == {
        CSN: 0,
        XGLUE: 0,
        SCOTCH: 0,
        STACK: 1,
    }
    assert set(kept.filter("alarm")["source"]) == {CSN, XGLUE, SCOTCH}


def test_the_view_names_repositories_and_licences(lake: Lake) -> None:
    view = largest_clusters(lake, "dedup/near_index", limit=1)[0]
    assert (view.size, view.licenses) == (5, ("Apache-2.0", "MIT"))
    assert view.members["place"][0] == "the_stack: hal/lib/lib/headers.py"
    assert "the_stack: zed/fork/vendor/headers.py" in view.members["place"].to_list()
    assert "+# SPDX-License-Identifier: Apache-2.0" in view.diff.splitlines()
