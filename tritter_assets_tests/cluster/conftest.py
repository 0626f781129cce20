"""A Ray cluster for the tests of a session; only where the extra `cluster` is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from tritter_assets_tests.cluster import two_workers as cluster_of_two

_INSTALLED = all(importlib.util.find_spec(name) for name in ("daft", "ray"))
collect_ignore_glob = [] if _INSTALLED else ["test_*.py"]


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    cluster = cluster_of_two.start()
    yield cluster
    import ray

    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def two_workers(ray_cluster: Any) -> Any:
    """The cluster with both workers, whatever an earlier test killed."""
    cluster_of_two.refill(ray_cluster)
    return ray_cluster
