"""Contracts of our own tables (`data_contracts/tables/*.yaml`): the promise behind asset checks."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tritter_assets.contracts.fields import did_you_mean
from tritter_assets.contracts.odcs import LOGICAL_TYPES, quality_rules, read_odcs
from tritter_assets.contracts.source import QualityRule
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile

if TYPE_CHECKING:
    from open_data_contract_standard.model import OpenDataContractStandard


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumn:
    """One column of a table contract."""

    name: str
    logical_type: str
    physical_type: str
    """Arrow's own spelling, e.g. `large_string` or `list<item: string>`."""
    required: bool
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TableContract:
    """One file: the columns and quality rules of every lake table whose name it matches."""

    id: str
    title: str
    description: str
    applies_to: tuple[str, ...]
    """Globs on lake table names, e.g. `raw/*`."""
    columns: tuple[TableColumn, ...]
    quality: tuple[QualityRule, ...]
    file: Path = field(default_factory=Path)

    def covers(self, table: str) -> bool:
        """True when this contract speaks of the lake table."""
        return any(fnmatch.fnmatchcase(table, pattern) for pattern in self.applies_to)

    def differences(self, schema: pa.Schema) -> Iterator[str]:
        """Yields each way in which an Arrow schema breaks this contract, as a sentence."""
        promised = {column.name: column for column in self.columns}
        for name in schema.names:
            if name not in promised:
                yield f"column {name!r} is not in {self.file.name}: add it there"
        for name, column in promised.items():
            if name not in schema.names:
                yield f"column {name!r} is promised by {self.file.name} and missing"
                continue
            arrow = schema.field(name)
            if str(arrow.type) != column.physical_type:
                yield f"column {name!r} is {arrow.type}, promised as {column.physical_type}"
            if arrow.nullable == column.required:
                found = "may be null" if arrow.nullable else "is required"
                yield f"column {name!r} {found}, promised otherwise"


def parse_table(path: Path) -> TableContract:
    """Reads one table contract.

    Raises:
        ContractProblems: with every problem of the file.
    """
    file = YamlFile(path)
    problems: list[ContractProblem] = []
    odcs = read_odcs(file, problems)
    if odcs is None:
        raise ContractProblems(problems)
    applies_to = _applies_to(file, odcs, problems)
    if file.data.get("id") != path.stem:
        problems.append(file.problem(["id"], "is not the file's name", f"write 'id: {path.stem}'"))
    columns = _columns(file, odcs, problems)
    rules = quality_rules(file, odcs, problems)
    known = {column.name for column in columns}
    for rule in rules:
        if rule.column is not None and rule.column not in known:
            fix = did_you_mean(rule.column, known)
            problems.append(file.problem(["schema"], f"{rule.name!r} checks no column", fix))
    if problems:
        raise ContractProblems(sorted(problems, key=lambda problem: problem.line))
    described = odcs.description
    return TableContract(
        id=path.stem,
        title=odcs.name or path.stem,
        description=(described.purpose or "").strip() if described else "",
        applies_to=applies_to,
        columns=tuple(columns),
        quality=rules,
        file=path,
    )


def _applies_to(
    file: YamlFile, odcs: OpenDataContractStandard, problems: list[ContractProblem]
) -> tuple[str, ...]:
    applies_to: tuple[str, ...] = ()
    before = len(problems)
    for index, item in enumerate(odcs.customProperties or ()):
        where = ["customProperties", index]
        if item.property != "applies_to":
            fix = did_you_mean(item.property or "", ["applies_to"])
            problems.append(file.problem(where, f"{item.property!r} is not known", fix))
        elif not isinstance(item.value, list) or not item.value:
            problems.append(file.problem(where, "lists no tables", "write e.g. [raw/*]"))
        else:
            applies_to = tuple(str(pattern) for pattern in item.value)
    if not applies_to and len(problems) == before:
        fix = "add a customProperty 'applies_to' with globs on table names"
        problems.append(file.problem(["customProperties"], "names no tables", fix))
    return applies_to


def _columns(
    file: YamlFile, odcs: OpenDataContractStandard, problems: list[ContractProblem]
) -> list[TableColumn]:
    tables = odcs.schema_ or []
    if len(tables) != 1:
        problems.append(file.problem(["schema"], "must hold one table", "keep one schema object"))
        return []
    columns: list[TableColumn] = []
    for place, column in enumerate(tables[0].properties or ()):
        where = ["schema", 0, "properties", place]
        if not column.name or not column.physicalType:
            problems.append(file.problem(where, "lacks name or physicalType", "write both"))
            continue
        if column.logicalType not in LOGICAL_TYPES:
            fix = did_you_mean(str(column.logicalType), LOGICAL_TYPES)
            problems.append(file.problem([*where, "logicalType"], "is not an ODCS type", fix))
        columns.append(
            TableColumn(
                name=column.name,
                logical_type=column.logicalType or "string",
                physical_type=column.physicalType,
                required=bool(column.required),
                description=column.description or "",
            )
        )
    return columns
