"""`tritter dedup`: clusters of near duplicates in one Parquet file."""

from __future__ import annotations

import argparse
from pathlib import Path

from tritter_assets.commands.terminal import print_table, write_json
from tritter_assets.errors import ContractViolation

HELP = "find near duplicates in a Parquet file (id, content)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--threshold", type=float, default=0.7, help="Jaccard (default 0.7)")


def run(arguments: argparse.Namespace) -> int:
    """Prints clusters and pair scores."""
    from tritter_assets.dedup.parquet_file import find_duplicates

    if not arguments.path.is_file():
        raise ContractViolation(f"{arguments.path} is no file: give a Parquet file (id, content)")
    found = find_duplicates(arguments.path, threshold=arguments.threshold)
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
        return write_json(
            {**summary, "clusters_rows": clusters.to_dicts(), "pairs_rows": pairs.to_dicts()}
        )
    print_table(clusters.select("cluster_id", "id", "action", "kept_id", "score").to_dicts())
    print(", ".join(f"{value} {key}" for key, value in summary.items() if key != "threshold"))
    return 0
