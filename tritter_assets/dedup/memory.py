"""DuckDB under a memory setting: joins larger than it spill to a folder that goes with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DEFAULT_MEMORY_LIMIT_BYTES = 1 << 30
_MIN_BYTES = 64 << 20


@contextmanager
def open_duckdb(memory_limit_bytes: int) -> Iterator[Any]:
    """Opens an in-memory DuckDB that holds at most `memory_limit_bytes` and spills the rest."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="tritter-dedup-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{max(memory_limit_bytes, _MIN_BYTES) >> 20}MiB",
                "temp_directory": folder,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            yield connection
        finally:
            connection.close()
