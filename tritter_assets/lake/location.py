"""Where the lake is: a folder or an S3 prefix, and what is needed to open it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.fs as pafs

from tritter_assets.errors import ContractViolation
from tritter_assets.lake.fingerprint import fingerprint_of

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
_SCHEMES = ("s3://", "s3a://", "memory://", "file://")


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeLocation:
    """A lake root and the object-store options that open it.

    `storage_options` are delta-rs option names (`aws_access_key_id`, `aws_endpoint_url`, ...).
    """

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """True when the root is a folder of this machine."""
        return not self.root.startswith(_SCHEMES)

    def uri(self, table: str) -> str:
        """Returns the URI of a table; the folder need not exist yet.

        Raises:
            ContractViolation: the name holds something other than letters, digits, `_ . - /`.
        """
        if not _TABLE_NAME.fullmatch(table) or ".." in table:
            raise ContractViolation(
                f"table name {table!r} may hold only letters, digits, '_', '.', '-' and '/': "
                "rename the source or stage it comes from"
            )
        if self.is_local:
            return str(Path(self.root).expanduser().absolute() / table)
        return f"{self.root.rstrip('/')}/{table}"

    def cache_folder(self, name: str) -> Path:
        """Returns a folder of this machine for what can be made again from the table `name`."""
        if self.is_local:
            return Path(self.root).expanduser().absolute() / ".cache" / name
        return Path(tempfile.gettempdir()) / f"tritter-cache-{fingerprint_of(self.root)}" / name

    def filesystem(self, table: str) -> pafs.FileSystem:
        """Opens the folder of `table` as a filesystem whose paths are relative to it."""
        if self.is_local:
            path = Path(self.uri(table))
            path.mkdir(parents=True, exist_ok=True)
            return pafs.SubTreeFileSystem(str(path), pafs.LocalFileSystem())
        bucket_and_prefix = self.uri(table).partition("://")[2]
        return pafs.SubTreeFileSystem(bucket_and_prefix, self._s3())

    def _s3(self) -> pafs.FileSystem:
        if not self.root.startswith(("s3://", "s3a://")):
            raise ContractViolation(
                f"lake root {self.root!r} is neither a folder nor an s3:// prefix: set TRITTER_LAKE"
            )
        options = self.storage_options
        scheme, _, address = options.get("aws_endpoint_url", "").rpartition("://")
        return pafs.S3FileSystem(
            access_key=options.get("aws_access_key_id"),
            secret_key=options.get("aws_secret_access_key"),
            session_token=options.get("aws_session_token"),
            region=options.get("aws_region"),
            endpoint_override=address or None,
            scheme=scheme or "https",
        )
