from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tritter_assets.cluster.components import label_components
from tritter_assets.cluster.engine import DaftEngine
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.kernel import kernels
from tritter_assets.lake import Lake

daft = pytest.importorskip("daft")


def expected(left: np.ndarray, right: np.ndarray) -> dict[int, int]:
    nodes = np.unique(np.concatenate([left, right]))
    found = np.empty(len(nodes), dtype=np.int64)
    a, b = np.searchsorted(nodes, left), np.searchsorted(nodes, right)
    kernels().components(len(nodes), np.minimum(a, b), np.maximum(a, b), found)
    return dict(zip(nodes.tolist(), nodes[found].tolist(), strict=True))


@pytest.mark.parametrize("kind", ["path", "random", "negative"])
def test_labels_are_those_of_union_find(kind: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    if kind == "path":  # the longest way a label can have to travel
        order = draw.permutation(70)
        left, right = order[:-1], order[1:]
    else:
        ends = draw.integers(0, 120, (2, 90))
        left, right = ends[:, ends[0] != ends[1]]
    if kind == "negative":
        left, right = left - 60, right - 60
    DaftEngine(None).connect()
    pairs = daft.from_arrow(pa.table({"left": left, "right": right}))
    scratch = Scratch.of(Lake.at(tmp_path), "components")
    labels, rounds = label_components(pairs, scratch)
    found = labels.to_pydict()
    assert len(found["content"]) == len(set(found["content"]))
    assert dict(zip(found["content"], found["component"], strict=True)) == expected(left, right)
    assert rounds <= 9
