"""text-dedup's MinHash command with xxh3; what it costs on ten documents is taken off."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import (
    NGRAM,
    NUM_HASHES,
    THRESHOLD,
    answer,
    corpus_argument,
    cpu_seconds,
)

pq: Any = import_module("pyarrow.parquet")


def main() -> None:
    table = pq.read_table(corpus_argument())
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.parquet"
        pq.write_table(table.slice(0, 10), few)
        start_s, _ = _run(few, Path(folder) / "few")
        whole_s, kept = _run(corpus_argument(), Path(folder) / "whole")
    answer(whole_s - start_s, removed=table.num_rows - kept, start_s=round(start_s, 2))


def _run(file: Path, folder: Path) -> tuple[float, int]:
    datasets: Any = import_module("datasets")
    settings = {
        "path": "parquet",
        "data_files": file,
        "split": "train",
        "cache_dir": folder / "cache",
        "output": folder / "out",
        "column": "content",
        "num_perm": NUM_HASHES,
        "ngram": NGRAM,
        "threshold": THRESHOLD,
        "hash_func": "xxh3",
        "num_proc": 1,
    }
    command = [sys.executable, "-m", "text_dedup.minhash"]
    command += [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    begin = cpu_seconds()
    subprocess.run(command, check=True, cwd=folder.parent, capture_output=True)
    return cpu_seconds() - begin, len(datasets.load_from_disk(str(folder / "out")))


if __name__ == "__main__":
    main()
