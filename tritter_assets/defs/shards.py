"""Which shards of the active sources have been made so far."""

from __future__ import annotations

from tritter_assets.dedup.index import ShardInput
from tritter_assets.defs.stage import Platform


def signed_shards(platform: Platform) -> tuple[ShardInput, ...]:
    """The shards of active sources that have signatures, with each source's priority."""
    lake = platform.frozen().lake
    return tuple(
        ShardInput(source=contract.id, shard=shard, priority=contract.priority)
        for contract in platform.catalog.active_sources()
        for shard in contract.shards
        if lake.state(f"signatures/{contract.id}", {"shard": shard}) is not None
    )
