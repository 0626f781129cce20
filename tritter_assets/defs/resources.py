"""Dagster resources: the lake, in a folder or on S3."""

from __future__ import annotations

from typing import Any

import dagster as dg
from pydantic import Field

from tritter_assets.lake import Lake
from tritter_assets.settings import Settings


class LakeResource(dg.ConfigurableResource):
    """The lake of a run. `root` is a folder or an `s3://` prefix."""

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)

    def open(self) -> Lake:
        """Opens the lake."""
        return Lake.at(self.root, self.storage_options)


def build_lake_resource(settings: Settings) -> Any:
    """Returns the resource for the settings; dagster-aws is imported only for an S3 lake."""
    if settings.lake_root.startswith(("s3://", "s3a://")):
        from tritter_assets.defs.s3_resource import build_s3_lake_resource

        return build_s3_lake_resource(settings)
    return LakeResource(root=settings.lake_root)
