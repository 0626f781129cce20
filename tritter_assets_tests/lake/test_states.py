from __future__ import annotations

import pyarrow as pa

from tritter_assets.lake import Lake, LakeSnapshot

SCHEMA = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("shard", pa.string(), nullable=False)]
)


def test_states_read_from_the_log_are_those_asked_for_one_by_one(tmp_path) -> None:
    """104 commits: past a checkpoint, which the log is read from together with what follows."""
    lake = Lake.at(tmp_path)
    for number in range(104):
        shard = f"{number % 30:03d}"
        rows = [] if number % 30 == 7 else [{"id": f"{number}", "shard": shard}]
        lake.write(
            "t",
            pa.Table.from_pylist(rows, schema=SCHEMA),
            SCHEMA,
            fingerprint=f"{number:015x}",
            partition={"shard": shard},
        )
    assert (tmp_path / "t" / "_delta_log" / "_last_checkpoint").exists()
    alone = {f"{n:03d}": lake.state("t", {"shard": f"{n:03d}"}) for n in range(30)}
    states = lake.states("t")
    assert states == [state for shard, state in alone.items() if shard != "007"]
    snapshot = LakeSnapshot(lake.location)
    assert {shard: snapshot.state("t", {"shard": shard}) for shard in alone} == alone
    assert alone["007"] is not None
    assert alone["007"].num_rows == 0
    assert snapshot.state("t", {"shard": "404"}) is None
