"""A Ray cluster of a head that takes no work and two workers of one CPU, all on this machine.

Run as a module it prints its address and stands until its input is closed.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_STORE = 200 << 20


def start() -> Any:
    """Starts the cluster."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "DO_NOT_TRACK": "1"}
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": False},
    )
    refill(cluster)
    return cluster


def refill(cluster: Any) -> None:
    """Adds workers until there are two."""
    while len(cluster.worker_nodes) < 2:
        cluster.add_node(num_cpus=1, object_store_memory=_STORE)
    cluster.wait_for_nodes()


if __name__ == "__main__":
    running = start()
    sys.stdout.write(f"{running.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    running.shutdown()
