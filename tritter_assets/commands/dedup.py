"""`tritter dedup`: clusters of near duplicates in one Parquet file, or a folder of them.

With `--json`, one object: the counts of the summary, `clusters_rows` (a row per member of a
cluster, as in `dedup/near_index`: id, cluster_id, cluster_size, survivor, kept_id, score, match,
action, reason, licenses, ...) and `pairs_rows` (id_a, id_b, jaccard of each verified pair; a copy
is paired with the first of its content). Rows are written as they are encoded, one a line, so
millions of them do not stand in memory as text.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tritter_assets.commands.terminal import print_table
from tritter_assets.errors import ContractViolation

if TYPE_CHECKING:
    import polars as pl

HELP = "find near duplicates in a Parquet file (id, content)"

_ROWS_AT_ONCE = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="a Parquet file, or a folder of them"
    )
    parser.add_argument("--threshold", type=float, default=0.7, help="Jaccard (default 0.7)")


def run(arguments: argparse.Namespace) -> int:
    """Prints clusters and pair scores; works in a thread for each core that it may use."""
    from tritter_assets.dedup.parquet_file import find_duplicates

    if not arguments.path.exists():
        raise ContractViolation(
            f"{arguments.path} does not exist: give a Parquet file (id, content), or a folder of "
            "them"
        )
    found = find_duplicates(
        arguments.path,
        threshold=arguments.threshold,
        workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
    )
    clusters, pairs = found.clusters, found.pairs
    summary = {
        "documents": found.num_documents,
        "content_bytes": found.content_bytes,
        "threshold": found.threshold,
        "clusters": clusters["cluster_id"].n_unique(),
        "members": clusters.height,
        "dropped": len(found.dropped_ids),
        "pairs": pairs.height,
    }
    if arguments.json:
        _write_json(summary, {"clusters_rows": clusters, "pairs_rows": pairs})
        return 0
    shown = clusters.select("cluster_id", "id", "match", "action", "kept_id", "score")
    print_table(shown.to_dicts())
    if pairs.height:
        print("\nPairs, the least similar first:")
        print_table(pairs.sort("jaccard", "id_a", "id_b").to_dicts())
        print()
    print(", ".join(f"{value:,} {key}" for key, value in summary.items() if key != "threshold"))
    return 0


def _write_json(summary: dict[str, int | float], tables: dict[str, pl.DataFrame]) -> None:
    out = sys.stdout
    out.write("{\n")
    out.writelines(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in summary.items())
    for number, (name, table) in enumerate(tables.items()):
        out.write(f"  {json.dumps(name)}: [")
        separator = "\n    "
        for rows in table.iter_slices(_ROWS_AT_ONCE):
            for row in rows.iter_rows(named=True):
                out.write(separator + json.dumps(row, ensure_ascii=False))
                separator = ",\n    "
        out.write("\n  ]" if table.height else "]")
        out.write(",\n" if number < len(tables) - 1 else "\n")
    out.write("}\n")
