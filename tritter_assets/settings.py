"""Where this project runs: its contracts, profile, lake and cache.

Everything that may differ between two machines stands here and nowhere in an asset's identity:
moving the lake or the cache makes nothing stale.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import ArtifactStore, Lake

CONTRACTS_FOLDER = "data_contracts"

_S3_OPTIONS = {
    "AWS_ACCESS_KEY_ID": "aws_access_key_id",
    "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
    "AWS_SESSION_TOKEN": "aws_session_token",
    "AWS_REGION": "aws_region",
    "AWS_DEFAULT_REGION": "aws_region",
    "AWS_ENDPOINT_URL": "aws_endpoint_url",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The resolved settings of one process."""

    project_root: Path
    """The folder that holds `data_contracts`."""
    profile_name: str
    lake_root: str
    """An absolute folder, or an `s3://` prefix."""
    storage_options: Mapping[str, str] = field(default_factory=dict)
    """delta-rs option names; empty for a local lake."""
    cache: Path
    """Downloads, remote artifacts and resumable training state; safe to delete."""
    cluster_python: str = ""
    """The interpreter with the extra `cluster`; only profiles whose engine is not local need it."""
    ray_address: str = ""
    """The Ray cluster, `host:6379` or `auto`, as one of its machines sees it."""
    excerpts: bool = True
    """Whether reports in Dagster's event log, which no removal reaches, may quote documents."""

    @property
    def contracts_root(self) -> Path:
        """The folder `data_contracts`."""
        return self.project_root / CONTRACTS_FOLDER

    def catalog(self) -> Catalog:
        """Reads every contract. Bad files are reported inside, never raised."""
        return load_catalog(self.contracts_root, profile_name=self.profile_name)

    def lake(self) -> Lake:
        """Opens the lake."""
        return Lake.at(self.lake_root, self.storage_options)

    def artifacts(self, lake: Lake) -> ArtifactStore:
        """Opens the artifact store of a lake."""
        return ArtifactStore(lake, cache=self.cache / "artifacts")


def find_project_root(start: Path) -> Path:
    """Returns the nearest folder, from `start` upwards, that holds `data_contracts`.

    Raises:
        ContractViolation: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / CONTRACTS_FOLDER).is_dir():
            return folder
    raise ContractViolation(
        f"no folder {CONTRACTS_FOLDER!r} at {start} or above it: run from the project's root, "
        "or set TRITTER_PROJECT to it"
    )


def load_settings(
    project_root: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Resolves settings from arguments, then the environment, then the profile file.

    Environment: `TRITTER_PROJECT` (folder), `TRITTER_PROFILE` (file of `profiles/`),
    `TRITTER_LAKE` (folder or `s3://` prefix), `TRITTER_CACHE` (folder), and for S3 the usual
    `AWS_*` variables plus `AWS_ENDPOINT_URL` for other servers that speak S3. For profiles whose
    engine is not `local`: `TRITTER_CLUSTER_PYTHON` and `TRITTER_RAY_ADDRESS`. `TRITTER_EXCERPTS`:
    `off` keeps quotations of documents out of Dagster's event log.
    """
    from tritter_assets.contracts.parse_profile import parse_profile

    env = os.environ if environ is None else environ
    if project_root is None:
        named = env.get("TRITTER_PROJECT")
        project_root = Path(named) if named else find_project_root(_start())
    project_root = project_root.absolute()
    profile_name = env.get("TRITTER_PROFILE", "starter")
    profile = parse_profile(project_root / CONTRACTS_FOLDER / "profiles" / f"{profile_name}.yaml")
    lake_root = env.get("TRITTER_LAKE") or profile.lake_root
    options: dict[str, str] = {}
    if "://" in lake_root:
        options = {name: env[key] for key, name in _S3_OPTIONS.items() if env.get(key)}
        # Commits need a conditional put; without it two writers could both win a version.
        options["aws_conditional_put"] = "etag"
        if options.get("aws_endpoint_url", "").startswith("http://"):
            options["aws_allow_http"] = "true"
    else:
        lake_root = str((project_root / Path(lake_root).expanduser()).absolute())
    excerpts = env.get("TRITTER_EXCERPTS", "on").lower()
    if excerpts not in ("on", "off"):
        raise ContractViolation(f"TRITTER_EXCERPTS is {excerpts!r}: set it to on or off")
    cache = Path(env.get("TRITTER_CACHE") or project_root / ".tritter" / "cache").expanduser()
    return Settings(
        project_root=project_root,
        profile_name=profile_name,
        lake_root=lake_root,
        storage_options=options,
        cache=cache.absolute(),
        cluster_python=env.get("TRITTER_CLUSTER_PYTHON", ""),
        ray_address=env.get("TRITTER_RAY_ADDRESS", ""),
        excerpts=excerpts == "on",
    )


def _start() -> Path:
    """The working folder if it belongs to a project, else this package's own checkout."""
    here = Path.cwd()
    if any((folder / CONTRACTS_FOLDER).is_dir() for folder in (here, *here.parents)):
        return here
    return Path(__file__).parent
