"""The coverage table: every name that the seed report gives, and the contracts that answer it.

`data_contracts/coverage.yaml` holds what no contract can say of itself: the report's own name for a
source, its tier there, how it is tested, and where the report and what was found differ. Columns,
licence axes, pin and profiles come from the contracts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritter_assets.contracts.fields import FieldReader
from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.source import FileOrigin, HttpOrigin, HubOrigin
from tritter_assets.contracts.yaml_file import ContractProblems, YamlFile

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog
    from tritter_assets.contracts.source import Origin, SourceContract

STATUSES = ("loads", "research", "refused")
"""`loads`: rows can be had, and the gates judge them; `research`: no other use profile admits any;
`refused`: the contract stands in the catalogue and can never be materialised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """One row of the table."""

    name: str
    """As the report writes it."""
    contracts: tuple[str, ...]
    loader: str
    """Origin kind of the contracts."""
    status: str
    tested: str
    """`file::test`, relative to the tests."""
    tier: int | None = None
    """Of the report's priority list; None where it gives none."""
    differs: str = ""
    """What the report says and what was found, where they are not the same."""


def load_coverage(path: Path) -> tuple[Coverage, ...]:
    """Reads the table.

    Raises:
        ContractProblems: with every problem of the file.
    """
    file = YamlFile(path)
    top = FieldReader(file, (), file.data, problems := [])
    rows: list[Coverage] = []
    for place, value in enumerate(top.raw("sources", ())):
        reader = FieldReader(file, ("sources", place), value, problems)
        rows.append(
            Coverage(
                name=reader.text("name"),
                contracts=reader.texts("contracts"),
                loader=reader.text("loader"),
                status=reader.choice("status", STATUSES),
                tested=reader.text("tested"),
                tier=reader.integer("tier", None, low=0, high=4),
                differs=reader.text("differs", ""),
            )
        )
        reader.done()
    top.done()
    if problems:
        raise ContractProblems(problems)
    return tuple(rows)


def is_pinned(origin: Origin) -> bool:
    """True when a run cannot get other bytes than the last one did."""
    if isinstance(origin, HubOrigin):
        return origin.revision != UNPINNED
    if isinstance(origin, HttpOrigin):
        return origin.sha256 != UNPINNED
    return not isinstance(origin, FileOrigin)


def source_rows(catalog: Catalog, coverage: tuple[Coverage, ...]) -> Iterator[dict[str, Any]]:
    """Yields one row per contract, in order of id: what the report claims beside what was found."""
    rows: Mapping[str, Coverage] = {name: row for row in coverage for name in row.contracts}
    for name, contract in sorted(catalog.sources.items()):
        row = rows.get(name)
        licence = contract.licence
        yield {
            "contract": name,
            "named": row.name if row else "",
            "status": row.status if row else "",
            "loader": loader_name(contract),
            "pinned": is_pinned(contract.origin),
            "tier": contract.tier,
            "profiles": list(contract.profiles),
            "columns": dict(contract.columns),
            "content": f"row: {licence.row_column}" if licence.row_column else licence.content,
            "wrapper": licence.wrapper,
            "access_terms": licence.access_terms,
            "generator": licence.generator,
            "claimed": licence.claimed,
            "found": licence.found,
            "evidence": licence.evidence,
            "as_of": str(licence.as_of or ""),
            "refused_by": contract.refusal.clause if contract.refusal else "",
            "differs": row.differs if row else "",
            "tested": row.tested if row else "",
        }


def loader_name(contract: SourceContract) -> str:
    """Returns the origin's kind, with where the text comes from when it is not the origin."""
    origin = contract.origin
    if isinstance(origin, HubOrigin) and origin.content_from:
        return f"{origin.kind}+{origin.content_from}"
    return origin.kind
