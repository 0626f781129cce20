"""The lake: Delta tables with one atomic commit per partition, and artifacts beside them."""

from tritter_assets.lake.artifacts import Artifact, ArtifactStore
from tritter_assets.lake.fingerprint import fingerprint_of
from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.snapshot import LakeSnapshot
from tritter_assets.lake.states import PartitionState
from tritter_assets.lake.table import Lake

__all__ = [
    "Artifact",
    "ArtifactStore",
    "Lake",
    "LakeLocation",
    "LakeSnapshot",
    "PartitionState",
    "fingerprint_of",
]
