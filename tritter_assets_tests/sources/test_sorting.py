from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.sources.sorting import DocumentSorter

_ROWS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["r1", "r2", None])), max_size=60)


def _sorted(rows: list[tuple[int, str | None]], cuts: int, budget: int) -> tuple[list, int]:
    with tempfile.TemporaryDirectory() as folder:
        sorter = DocumentSorter(Path(folder), budget, ("revision",))
        for start in range(0, len(rows), cuts):
            part = rows[start : start + cuts]
            ids = [f"{(number * 37) % 256:02x}{number:030x}" for number, _ in part]
            content = [f"text {number}" for number, _ in part]
            sorter.add(
                pl.DataFrame(
                    {
                        "id": ids,
                        "revision": [revision for _, revision in part],
                        "content": content,
                        "content_bytes": [len(text) for text in content],
                    },
                    schema_overrides={"revision": pl.String},
                )
            )
        batches = list(sorter.batches())
        assert not list(Path(folder).iterdir())
    found = pa.Table.from_batches(batches).to_pylist() if batches else []
    return found, sorter.num_duplicates


@settings(deadline=None, max_examples=40)
@given(_ROWS, st.integers(1, 20), st.sampled_from([0, 50, 10_000]), st.randoms())
def test_order_batching_and_budget_do_not_show(rows, cuts, budget, random) -> None:
    wanted, duplicates = _sorted(rows, 1000, 10_000)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert _sorted(shuffled, cuts, budget) == (wanted, duplicates)
    ids = [row["id"] for row in wanted]
    assert ids == sorted(set(ids))
    assert len(ids) + duplicates == len(rows)
