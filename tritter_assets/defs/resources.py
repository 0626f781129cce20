"""Dagster resources: the lake, in a folder or on S3."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from tritter_assets.lake import Lake


class LakeResource(dg.ConfigurableResource):
    """The lake of a run. `root` is a folder or an `s3://` prefix."""

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)

    def open(self) -> Lake:
        """Opens the lake."""
        return Lake.at(self.root, self.storage_options)
