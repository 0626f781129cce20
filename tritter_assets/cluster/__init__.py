"""Past one machine: stages of many shards, and the exact and near index, on Daft over Ray.

Two kinds of work, and each goes where its engine is strong:

- **A stage of one shard** (verdicts, filtered, signatures, the bands of the near index) reads its
  partition and commits its partition: it is a Ray task as it stands (`tasks.py`). Daft could run
  it only as a function over a frame of shard names. It would cut that frame into batches, keep a
  worker for the rows of one batch, and do all of them again when one fails; a Ray task is placed,
  retried and reported alone, and so is what a killed worker costs.
- **Set-wise steps** (hashes and band keys grouped, pairs deduplicated, components, sorting) are
  Daft frames (`exact.py`, `near.py`): its group-by and join cut the data by key over all workers.
  Ray Data has joins too; Daft was taken because the same frames run on one machine without Ray,
  which is `engine: daft` and how they are tested against the local engine.

Nothing here schedules, shuffles or talks between machines itself. Exchange between steps is
Parquet under `_cluster/` of the lake: a step that is done is not lost with a worker.
"""
