"""The catalogue: every contract, policy, mix and profile, loaded once. Bad files hide no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tritter_assets.contracts.fields import did_you_mean
from tritter_assets.contracts.parse_profile import parse_profile
from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.profile import Profile
from tritter_assets.contracts.source import SourceContract
from tritter_assets.contracts.table import TableContract, parse_table
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile
from tritter_assets.errors import ContractViolation

if TYPE_CHECKING:
    from tritter_assets.contracts.mix import Mix
    from tritter_assets.contracts.policy import Policy

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All that is written by hand, parsed: a source is in `sources` or `problems`, never both."""

    root: Path
    """The folder `data_contracts`."""
    profile: Profile
    sources: Mapping[str, SourceContract]
    """Every good source by id, refused ones included."""
    mixes: Mapping[str, Mix]
    """Phase -> mix."""
    policy: Policy
    tables: Mapping[str, TableContract]
    problems: Mapping[str, tuple[ContractProblem, ...]]
    """File stem (for sources: the id) -> what is wrong with that file."""

    def active_sources(self) -> tuple[SourceContract, ...]:
        """Returns the sources of this profile that are not refused, sorted by id."""
        return tuple(
            contract
            for _, contract in sorted(self.sources.items())
            if self.profile.name in contract.profiles and contract.refusal is None
        )

    def open_sources(self) -> frozenset[str]:
        """Returns the ids of all sources that are not refused, of whatever profile."""
        return frozenset(c.id for c in self.sources.values() if c.refusal is None)

    def table_contract(self, table: str) -> TableContract | None:
        """Returns the contract that covers a lake table, the most exact pattern first."""
        exact = [contract for contract in self.tables.values() if table in contract.applies_to]
        covering = [contract for contract in self.tables.values() if contract.covers(table)]
        return next(iter(exact or covering), None)


def load_catalog(contracts_root: Path, *, profile_name: str = "starter") -> Catalog:
    """Loads everything under `data_contracts`.

    A broken source, mix or table becomes an entry of `problems`. A broken profile or policy
    raises: nothing may be judged without them.

    Args:
        contracts_root: The folder `data_contracts`.
        profile_name: A file of `profiles/`, without its suffix.

    Raises:
        ContractProblems: the profile or the policy is wrong.
        ContractViolation: the folder or the profile does not exist.
    """
    from tritter_assets.contracts.mix import parse_mix
    from tritter_assets.contracts.policy import load_policy
    from tritter_assets.contracts.policy_decisions import unknown_sources

    profile = _profile(contracts_root, profile_name)
    policy = load_policy(contracts_root / "policy")
    problems: dict[str, tuple[ContractProblem, ...]] = {}
    for problem in policy.problems:  # expired decisions, and what `strict` would not admit
        name = f"policy_{problem.file.stem}"
        problems[name] = (*problems.get(name, ()), problem)
    parsed = _parse_all(contracts_root / "sources", parse_source, problems)
    stray = unknown_sources(
        contracts_root / "policy" / "decisions.yaml",
        policy.decisions,
        {file.stem for file in (contracts_root / "sources").glob("*.yaml")},
    )
    if stray:
        problems["policy_decisions"] = (*problems.get("policy_decisions", ()), *stray)
    sources = {
        stem: contract
        for stem, contract in parsed.items()
        if not _policy_problems(contract, policy, problems)
    }
    mixes = _parse_all(contracts_root / "mixes", parse_mix, problems)
    tables = _parse_all(contracts_root / "tables", parse_table, problems)
    return Catalog(
        root=contracts_root,
        profile=profile,
        sources=sources,
        mixes={mix.phase: mix for mix in mixes.values()},
        policy=policy,
        tables=tables,
        problems=problems,
    )


def _profile(root: Path, name: str) -> Profile:
    path = root / "profiles" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (root / "profiles").glob("*.yaml"))
        if not known:
            raise ContractViolation(f"{root} holds no profiles/*.yaml: give the project's folder")
        raise ContractViolation(f"profile {name!r} is not in {root}: {did_you_mean(name, known)}")
    return parse_profile(path)


def _parse_all(
    folder: Path,
    parse: Callable[[Path], T],
    problems: dict[str, tuple[ContractProblem, ...]],
) -> dict[str, T]:
    found: dict[str, T] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[path.stem] = parse(path)
        except ContractProblems as error:
            problems[path.stem] = tuple(error.problems)
        except ContractViolation as error:
            problems[path.stem] = (
                ContractProblem(path, 1, "file", str(error), "correct the file"),
            )
    return found


def _policy_problems(
    contract: SourceContract,
    policy: Policy,
    problems: dict[str, tuple[ContractProblem, ...]],
) -> bool:
    """Records words of the licence section that the policy does not define."""
    vocabularies: dict[str, tuple[str, Collection[str]]] = {
        "access_terms": (contract.licence.access_terms, policy.access_terms),
        "generator": (contract.licence.generator, policy.generators),
    }
    wrong = [(n, word, known) for n, (word, known) in vocabularies.items() if word not in known]
    if not wrong:
        return False
    file = YamlFile(contract.file)
    listed = file.data.get("customProperties", [])
    place = next(i for i, item in enumerate(listed) if item.get("property") == "licence")
    problems[contract.id] = tuple(
        ContractProblem(
            contract.file,
            file.line(["customProperties", place, "value", name]),
            f"licence.{name}",
            f"{word!r} is not in policy/{name if name == 'access_terms' else 'generators'}.yaml",
            did_you_mean(word, known),
        )
        for name, word, known in wrong
    )
    return True
