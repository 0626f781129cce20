"""Open Data Contract Standard 3.1 files: validation, unknown fields, quality rules, ownership.

The pydantic model of `open-data-contract-standard` ignores fields it does not know, so a
misspelled one would vanish; here every mapping is compared with the model that read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tritter_assets.contracts.fields import did_you_mean
from tritter_assets.contracts.source import QualityRule
from tritter_assets.contracts.yaml_file import ContractProblem, YamlFile

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality, OpenDataContractStandard

API_VERSION = "v3.1.0"
METRICS = ("nullValues", "missingValues", "duplicateValues", "invalidValues", "rowCount")
OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
)
LOGICAL_TYPES = (
    "string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean", "map"
)  # fmt: skip
_REQUIRED = ("version", "apiVersion", "kind", "id", "status")
_STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
_SEVERITIES = ("error", "warning")


def read_odcs(file: YamlFile, problems: list[ContractProblem]) -> OpenDataContractStandard | None:
    """Validates a file as ODCS 3.1; None when it does not fit the model at all.

    Args:
        file: The parsed YAML.
        problems: Extended with everything found wrong.
    """
    from open_data_contract_standard.model import OpenDataContractStandard

    data = file.data
    problems += [
        file.problem([name], "is missing", f"add '{name}: ...'")
        for name in _REQUIRED
        if data.get(name) is None
    ]
    if data.get("apiVersion") not in (None, API_VERSION):
        found = data["apiVersion"]
        problems.append(file.problem(["apiVersion"], f"is {found!r}", f"write {API_VERSION}"))
    if data.get("kind") not in (None, "DataContract"):
        problems.append(file.problem(["kind"], f"is {data['kind']!r}", "write DataContract"))
    if data.get("status") is not None and data["status"] not in _STATUSES:
        fix = did_you_mean(str(data["status"]), _STATUSES)
        problems.append(file.problem(["status"], f"is {data['status']!r}", fix))
    fields = OpenDataContractStandard.model_fields
    known = {field.alias or name for name, field in fields.items()}
    problems += [
        file.problem([name], "is not a field of ODCS 3.1", did_you_mean(str(name), known))
        for name in data
        if name not in known
    ]
    data = {name: value for name, value in data.items() if name in known}
    contract, wrong = _validate(file, data, problems)
    if contract is None:  # read on without the fields that are wrong, to report the others too
        data = {name: value for name, value in data.items() if name not in wrong}
        contract, _ = _validate(file, data, problems)
    if contract is None:
        return None
    problems += [
        file.problem([*path, name], "is not a field of ODCS 3.1", did_you_mean(name, names))
        for path, name, names in _unknown_fields(data, contract, ())
    ]
    return contract


def _validate(
    file: YamlFile, data: Mapping[str, Any], problems: list[ContractProblem]
) -> tuple[OpenDataContractStandard | None, set[str]]:
    """Returns the model, or None and the names of the top fields that are wrong."""
    from open_data_contract_standard.model import OpenDataContractStandard
    from pydantic import ValidationError

    try:
        return OpenDataContractStandard.model_validate(data), set()
    except ValidationError as error:
        for item in error.errors():
            path = [step for step in item["loc"] if step == "schema" or not _is_branch(step)]
            problems.append(file.problem(path, f"{item['msg']}", "see the ODCS 3.1 documentation"))
        return None, {str(item["loc"][0]) for item in error.errors()}


def _is_branch(step: str | int) -> bool:
    """True for the names of union members that pydantic puts into an error's location."""
    return isinstance(step, str) and (step[:1].isupper() or "[" in step)


def _unknown_fields(
    data: Any, model: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str, list[str]]]:
    if isinstance(model, list) and isinstance(data, list):
        for index, (item, read) in enumerate(zip(data, model, strict=True)):
            yield from _unknown_fields(item, read, (*path, index))
    elif isinstance(data, Mapping) and (fields := getattr(type(model), "model_fields", None)):
        names = {field.alias or name: name for name, field in fields.items()}
        for key, value in data.items():
            if key not in names:
                yield path, str(key), sorted(names)
            elif isinstance(value, dict | list):
                yield from _unknown_fields(value, getattr(model, names[key]), (*path, key))


def owner_of(contract: OpenDataContractStandard) -> str:
    """Returns the first member's e-mail address, else `team:<name>`, else an empty text."""
    team = contract.team
    members = team if isinstance(team, list) else (team.members if team else None)
    for member in members or ():
        if "@" in (member.username or ""):
            return str(member.username)
    name = None if isinstance(team, list) or team is None else team.name
    return f"team:{name}" if name else ""


def quality_rules(
    file: YamlFile,
    contract: OpenDataContractStandard,
    problems: list[ContractProblem],
    *,
    column_names: Mapping[str, str] | None = None,
) -> tuple[QualityRule, ...]:
    """Reads the library rules of every schema object and column, in file order.

    Args:
        file: For lines.
        contract: The validated contract.
        problems: Extended with everything found wrong.
        column_names: Upstream column to our column, where a rule stands on an upstream column.
    """
    rules: list[QualityRule] = []
    renamed = column_names or {}
    for number, table in enumerate(contract.schema_ or ()):
        for index, rule in enumerate(table.quality or ()):
            path = ["schema", number, "quality", index]
            rules += _rule(file, path, rule, None, problems)
        for place, column in enumerate(table.properties or ()):
            for index, rule in enumerate(column.quality or ()):
                path = ["schema", number, "properties", place, "quality", index]
                name = renamed.get(column.name or "", column.name)
                rules += _rule(file, path, rule, name, problems)
    names = [rule.name for rule in rules]
    problems += [
        file.problem(["schema"], f"two quality rules are named {name!r}", "rename one")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    return tuple(rules)


def _rule(
    file: YamlFile,
    path: list[str | int],
    rule: DataQuality,
    column: str | None,
    problems: list[ContractProblem],
) -> list[QualityRule]:
    before = len(problems)
    metric = rule.metric or rule.rule or ""
    if metric not in METRICS:
        message = f"{metric!r} is not a library metric" if metric else "names no metric"
        problems.append(file.problem([*path, "metric"], message, did_you_mean(metric, METRICS)))
    elif metric != "rowCount" and column is None:
        fix = "move the rule under the column's 'quality'"
        problems.append(file.problem([*path, "metric"], f"{metric} needs a column", fix))
    if rule.unit not in (None, "rows"):
        problems.append(file.problem([*path, "unit"], f"is {rule.unit!r}", "count in rows"))
    severity = rule.severity or "error"
    if severity not in _SEVERITIES:
        fix = did_you_mean(severity, _SEVERITIES)
        problems.append(file.problem([*path, "severity"], f"is {severity!r}", fix))
    bounds = [(name, getattr(rule, name)) for name in OPERATORS if getattr(rule, name) is not None]
    if len(bounds) != 1 or isinstance(bounds[0][1], bool | str | list):
        message = f"has {len(bounds)} bounds" if len(bounds) != 1 else f"bound {bounds[0][1]!r}"
        fix = f"give one number with one of {', '.join(OPERATORS)}"
        problems.append(file.problem(path, message, fix))
    valid = tuple(str(value) for value in (rule.arguments or {}).get("validValues", ()))
    if metric == "invalidValues" and not valid:
        fix = "add 'arguments: {validValues: [...]}'"
        problems.append(file.problem([*path, "arguments"], "lists no valid values", fix))
    if len(problems) > before:
        return []
    operator, value = bounds[0]
    name = rule.name or "_".join(part for part in (column, metric) if part)
    return [
        QualityRule(
            name=name,
            column=column,
            rule=metric,
            must_be=operator,
            value=float(value),
            valid_values=valid,
            severity=severity,
        )
    ]
