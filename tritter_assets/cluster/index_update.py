"""What an engine is asked to bring up to date; it travels as JSON to the process that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tritter_assets.dedup.index import ShardInput
from tritter_assets.dedup.license_family import LicenseFamilies, LicenseFamily
from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES

RunAll = Callable[[Any, Iterable[tuple[Any, ...]]], Iterator[tuple[int, Any]]]
"""Calls a function once per tuple of arguments, on any worker: `DaftEngine.run_all`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexUpdate:
    """An update of one duplicate index; the arguments of the local functions that do it."""

    index: str
    """`index.EXACT_INDEX` or `index.NEAR_INDEX`."""
    inputs: tuple[ShardInput, ...]
    """Every shard that takes part; a shard left out is taken out of the index."""
    fingerprint: str
    """What the index must record."""
    families: LicenseFamilies | None = None
    """Of the policy; see `clusters.cluster_rows`."""
    threshold: float = 0.7
    """Smallest Jaccard similarity of a duplicate; of no meaning to the exact index."""
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES
    """Of one verification; of no meaning to the exact index."""

    def to_json(self) -> dict[str, Any]:
        """Returns what `from_json` takes."""
        families = None if self.families is None else dict(self.families.ids)
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "inputs": [asdict(item) for item in self.inputs],
            "families": families,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> IndexUpdate:
        """Returns the update that `to_json` wrote down."""
        families = stored["families"]
        if families is not None:
            ids = {spdx: LicenseFamily(family) for spdx, family in families.items()}
            families = LicenseFamilies(ids)
        return cls(
            **{name: stored[name] for name in _PLAIN},
            inputs=tuple(ShardInput(**item) for item in stored["inputs"]),
            families=families,
        )


_PLAIN = ("index", "fingerprint", "threshold", "memory_limit_bytes")
