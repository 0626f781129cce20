"""The lake on S3, opened with the credentials of dagster-aws.

In a module of its own because importing dagster-aws brings boto3, over a second of CPU that a
local lake need not pay at every load of the definitions.
"""

from __future__ import annotations

from typing import Any

from dagster_aws.s3 import S3Resource

from tritter_assets.defs.resources import LakeResource
from tritter_assets.lake import Lake
from tritter_assets.settings import Settings


class S3LakeResource(LakeResource):
    """A lake under an `s3://` prefix; `s3` gives the session (profile, keys, region, endpoint)."""

    s3: S3Resource

    def open(self) -> Lake:
        """Opens the lake with the credentials that the AWS session resolves to."""
        return Lake.at(self.root, {**session_options(self.s3), **self.storage_options})


def session_options(s3: S3Resource) -> dict[str, str]:
    """Turns a dagster-aws S3 resource into delta-rs options."""
    import boto3

    session = boto3.Session(
        profile_name=s3.profile_name,
        aws_access_key_id=s3.aws_access_key_id,
        aws_secret_access_key=s3.aws_secret_access_key,
        aws_session_token=s3.aws_session_token,
        region_name=s3.region_name,
    )
    options = {"aws_conditional_put": "etag"}
    if session.region_name:
        options["aws_region"] = session.region_name
    if s3.endpoint_url:
        options["aws_endpoint_url"] = s3.endpoint_url
        if s3.endpoint_url.startswith("http://"):
            options["aws_allow_http"] = "true"
    credentials = session.get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        options["aws_access_key_id"] = str(frozen.access_key)
        options["aws_secret_access_key"] = str(frozen.secret_key)
        if frozen.token:
            options["aws_session_token"] = frozen.token
    return options


def build_s3_lake_resource(settings: Settings) -> Any:
    """Returns the S3 lake resource for the settings."""
    options = settings.storage_options
    return S3LakeResource(
        root=settings.lake_root,
        s3=S3Resource(
            endpoint_url=options.get("aws_endpoint_url"),
            region_name=options.get("aws_region"),
            aws_access_key_id=options.get("aws_access_key_id"),
            aws_secret_access_key=options.get("aws_secret_access_key"),
            aws_session_token=options.get("aws_session_token"),
        ),
    )
