"""Gathers what the stages of a pass need: thresholds, gate, removals, rules and benchmarks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.contracts.profile import Profile
from tritter_assets.contracts.source import SourceContract
from tritter_assets.filters import decontamination, malware, secret_formats
from tritter_assets.filters.benchmarks import benchmark_state
from tritter_assets.filters.clamav import ClamState, clam_state
from tritter_assets.filters.contract import Admit, JudgeContext
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets.removal import REMOVAL_SCHEMA
from tritter_assets.sources.language import language_name
from tritter_assets.verdict import Stage

if TYPE_CHECKING:
    from tritter_assets.filters.benchmark_index import BenchmarkIndex

_INDEXES: dict[tuple[Any, ...], BenchmarkIndex] = {}
"""One index per process, config and set of files: making it takes a second, a shard often less."""


def make_context(
    contract: SourceContract | None,
    policy: Policy,
    profile: Profile,
    removals: pl.DataFrame | None = None,
    *,
    cache: Path | None = None,
    policy_folder: Path | None = None,
    ask_licenses: bool = True,
) -> JudgeContext:
    """Gathers what the stages need.

    Args:
        contract: None for documents of no source (`tritter inspect`): any language is wanted.
        policy: Thresholds, licence policy, standing opt-outs.
        profile: Use profile and overrides.
        removals: Rows of `removals`; only `kind` and `value` are read.
        cache: Folder of verified downloads.
        policy_folder: `data_contracts/policy`; found from the contract's file by default.
        ask_licenses: False leaves stage 2 out: documents without licence columns.
    """
    settings = FilterSettings(policy.filters, profile.filters)
    folder = policy_folder or policy_folder_of(contract)
    project = folder.parent.parent
    schema = pl.Schema(REMOVAL_SCHEMA)
    requests = pl.DataFrame(schema=schema)
    if removals is not None and not removals.is_empty():
        missing = [name for name in schema if name not in removals.columns]
        requests = removals.with_columns(**dict.fromkeys(missing, pl.lit(""))).select(list(schema))
    admit: Admit | None = None
    if ask_licenses:
        from tritter_assets.licensing.admit import admit_frame

        admit = partial(admit_frame, policy=policy, use_profile=profile.use_profile)

    context = JudgeContext(
        settings=settings,
        wanted_languages=frozenset(map(language_name, contract.languages))
        if contract
        else frozenset(),
        source=contract.id if contract else "",
        tags=contract.tags if contract else (),
        admit=admit,
        removals=requests,
        opt_out={kind: list(values) for kind, values in policy.opt_out.items()},
        malware_rules=malware_rules_of(settings, folder),
        secret_formats=secret_formats_of(folder),
    )
    index = load_benchmarks(policy, profile, project, cache or project / ".tritter" / "cache")
    return replace(context, benchmarks=index)


def load_benchmarks(
    policy: Policy, profile: Profile, project_root: Path, cache: Path
) -> BenchmarkIndex | None:
    """Returns the index of the benchmarks at hand, or None where the stage is not enabled.

    Whoever records what verdicts are made from (`benchmarks_at_hand`) calls this first: it may
    find that a benchmark cannot be had.
    """
    config = _benchmark_config(policy, profile)
    if config is None:
        return None
    state = repr(benchmark_state(config.benchmarks, cache, project_root))
    key = (cache, project_root, state, repr(config))
    if key not in _INDEXES:
        index = decontamination.load_benchmarks(cache, project_root, config)
        state = repr(benchmark_state(config.benchmarks, cache, project_root))
        key = (cache, project_root, state, repr(config))
        _INDEXES[key] = index
    return _INDEXES[key]


def benchmarks_at_hand(
    policy: Policy, profile: Profile, project_root: Path, cache: Path
) -> list[tuple[str, str]]:
    """Returns what a pass would judge with: each benchmark and the hash of its text, or `absent`.

    It is part of what verdicts are made from. Asks no network; see `benchmark_state`.
    """
    config = _benchmark_config(policy, profile)
    return [] if config is None else benchmark_state(config.benchmarks, cache, project_root)


def _benchmark_config(
    policy: Policy, profile: Profile
) -> decontamination.DecontaminationConfig | None:
    settings = FilterSettings(policy.filters, profile.filters)
    return settings.resolve(Stage.DECONTAMINATION, decontamination.DecontaminationConfig)


def policy_folder_of(contract: SourceContract | None) -> Path:
    """Returns `data_contracts/policy` beside the contract's folder, else of this checkout."""
    if contract is not None and contract.file.parent.name == "sources":
        return contract.file.absolute().parent.parent / "policy"
    return Path(__file__).parent.parent.parent / "data_contracts" / "policy"


def secret_formats_of(policy_folder: Path) -> Path | None:
    """Returns the file of vendors' token forms, where the policy has one."""
    path = policy_folder / secret_formats.FILE_NAME
    return path if path.is_file() else None


def malware_rules_of(settings: FilterSettings, policy_folder: Path) -> tuple[Path, ...]:
    """Lists the YARA files in force: the policy's and the user's."""
    extra = settings.raw(Stage.MALWARE).get("extra_rules_folder")
    folders = [policy_folder.parent.parent / extra] if extra else []
    return malware.rule_files(policy_folder, folders)


def clamav_of(settings: FilterSettings) -> ClamState | None:
    """Returns the state of ClamAV, or None where no source is scanned with it."""
    raw = settings.raw(Stage.MALWARE)
    axes = (raw.get("overrides") or {}).values()
    tables = [raw, *(table for axis in axes for table in axis.values())]
    if not any(table.get("clamav") for table in tables):
        return None
    folder, daemon = raw.get("clamav_database"), raw.get("clamav_socket")
    return clam_state(
        Path(folder).expanduser() if folder else None, Path(daemon).expanduser() if daemon else None
    )
