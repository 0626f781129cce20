from __future__ import annotations

import pyarrow as pa

from tritter_assets.cluster.band_groups import SEPARATOR, pairs_with_hubs, pairs_within
from tritter_assets.dedup.crowds import NUM_HUBS


def pairs(found: pa.Array) -> list[list[tuple[int, int]]]:
    return [[(pair["left"], pair["right"]) for pair in group or []] for group in found.to_pylist()]


def test_pairs_have_a_wanted_end_and_come_once() -> None:
    together = pa.array([[3, -1, 2], [7, 8], [5, 6], [2, 3, 9]])
    wanted = pa.array([[3, 2], [7, 8], [], [2]], pa.list_(pa.int64()))
    found = pairs(pairs_within(together, wanted))
    assert found == [[(-1, 2), (-1, 3), (2, 3)], [(7, 8)], [], [(2, 9)]]


def test_no_groups_have_no_pairs() -> None:
    nothing = pa.array([], pa.list_(pa.int64()))
    assert pairs(pairs_within(nothing, nothing)) == []


def test_only_the_first_of_a_crowd_are_compared_with_all() -> None:
    # In the order of survival: 100, 99, ...; the last is wanted and no hub, 100 is both.
    contents = list(range(100, 100 - 2 * NUM_HUBS, -1))
    last = contents[-1]
    crowd = [
        SEPARATOR.join((f"{rank:04d}", str(content), "1" if content in (100, last) else "0"))
        for rank, content in enumerate(contents)
    ]
    found = pairs(pairs_with_hubs(pa.array([crowd[::-1], crowd[:1]])))
    hubs, others = contents[:NUM_HUBS], contents[1:]
    assert found[0] == sorted({(c, 100) for c in others} | {(last, hub) for hub in hubs})
    assert found[1] == []
