"""Parses `data_contracts/sources/<id>.yaml`: an ODCS 3.1 contract into a `SourceContract`.

ODCS holds what it has words for: `name` (title), `description`, `team` (owner), `tags`, `schema`
(upstream's columns) and `quality`. Ours stand in `customProperties`: `origin`, `columns`,
`licence`, `tier`, `priority`, `modality`, `languages`, `profiles`, `shards`, `refusal`,
`row_filter`, `upstream`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tritter_assets.contracts.crate_origin import CrateOrigin, read_crate_origin
from tritter_assets.contracts.fields import FieldReader, did_you_mean
from tritter_assets.contracts.odcs import LOGICAL_TYPES, owner_of, quality_rules, read_odcs
from tritter_assets.contracts.preference_pair import PAIR, parse_preference_pair
from tritter_assets.contracts.row_filter import parse_row_filter
from tritter_assets.contracts.source import (
    FileOrigin,
    GitOrigin,
    HttpOrigin,
    HubOrigin,
    LicenceFacts,
    Origin,
    Refusal,
    SdistOrigin,
    SourceColumn,
    SourceContract,
)
from tritter_assets.contracts.upstream_claim import read_upstream
from tritter_assets.contracts.yaml_file import ContractProblem, ContractProblems, YamlFile
from tritter_assets.record import DOCUMENT_SCHEMA, Modality

PROFILES = ("starter", "workstation", "cluster")
UNPINNED = "unpinned"
_ORIGINS: dict[str, Any] = {
    "sdist": SdistOrigin,
    "hub": HubOrigin,
    "git": GitOrigin,
    "http": HttpOrigin,
    "file": FileOrigin,
    "crate": CrateOrigin,
}
_FORMATS = {
    "hub": ("parquet", "jsonl", "csv", "arrow", "tar"),
    "http": ("parquet", "jsonl", "csv", "tar", "zip", "deb"),
    "file": ("parquet", "jsonl", "csv", "folder"),
}
CLEANING = ("documentation",)
"""What `text: {clean: ...}` may ask for."""
_INNER_FORMATS = ("jsonl", "csv")
_ADDED_LATER = ("branch", "inner_format", "exclude")
"""Fields of an origin that count for a contract's identity only when they are set."""
_OURS = (
    "origin", "columns", "licence", "tier", "priority", "modality", "languages", "profiles",
    "shards", "refusal", "row_filter", "preference_pair", "upstream", "text",
)  # fmt: skip
_ID = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OWNER = re.compile(r"team:[\w\-]+|[^@\s]+@[^@\s]+")
_WRITTEN_BY_US = frozenset(
    {"id", "source", "shard", "modality", "content_sha256", "content_bytes", "license_concluded",
     "license_method", "license_confidence", "license_evidence", "license_wrapper",
     "access_terms", "attribution"}
)  # fmt: skip
_PROSE = ("claimed", "found", "evidence", "as_of")
_MAX_SHARDS = 10_000


def parse_source(path: Path) -> SourceContract:
    """Reads one source contract.

    Raises:
        ContractProblems: with every problem of the file, not only the first.
    """
    file = YamlFile(path)
    problems: list[ContractProblem] = []
    odcs = read_odcs(file, problems)
    if odcs is None:
        raise ContractProblems(problems)
    _check_id(file, problems)
    ours = _custom_properties(file, problems)
    origin = _origin(ours.child("origin")) if ours.raw("origin") is not None else None
    licence = ours.child("licence").record(LicenceFacts)
    columns = _columns(ours, origin)
    modality = ours.choice("modality", [str(m) for m in Modality])
    refusal = ours.child("refusal").record(Refusal) if ours.has("refusal") else None
    contract: dict[str, Any] = {
        "id": file.data.get("id"),
        "title": odcs.name or file.data.get("id"),
        "description": _description(odcs),
        "owner": owner_of(odcs),
        "tier": ours.integer("tier", low=0, high=4),
        "priority": ours.integer("priority", low=0, high=1_000_000),
        "languages": ours.texts("languages", ()),
        "profiles": ours.texts("profiles"),
        "num_shards": ours.integer("shards", low=1, high=_MAX_SHARDS),
        "tags": tuple(odcs.tags or ()),
        "columns": columns,
        "upstream_schema": _upstream_schema(file, odcs, problems),
        "quality": quality_rules(
            file, odcs, problems, column_names={up: ours for ours, up in columns.items()}
        ),
        "refusal": refusal,
        "upstream": read_upstream(ours.child("upstream")) if ours.has("upstream") else None,
        "file": path,
    }
    _check(file, ours, contract, problems)
    if ours.has("preference_pair"):
        contract["preference_pair"] = parse_preference_pair(ours.child("preference_pair"))
    if ours.has("row_filter"):
        contract["row_filter"] = parse_row_filter(
            ours.child("row_filter"),
            upstream={column.name for column in contract["upstream_schema"]},
            is_table=_is_table(origin),
        )
    if ours.has("text"):
        contract["clean"] = _clean(ours, origin)
    ours.skip("refusal")
    ours.done()
    if problems or origin is None or licence is None:
        raise ContractProblems(sorted(problems, key=lambda problem: problem.line))
    draft = SourceContract(origin=origin, licence=licence, modality=Modality(modality), **contract)
    return dataclasses.replace(draft, digest=identity_digest(draft))


def identity_digest(contract: SourceContract) -> str:
    """Hashes the fields that decide what the rows are: not prose, owner, tags or ranks."""
    licence = dataclasses.asdict(contract.licence)
    identity = {
        "id": contract.id,
        "origin": {
            name: value
            for name, value in dataclasses.asdict(contract.origin).items()
            if name != "tag"  # the commit names every byte, however it was reached
            and (value or name not in _ADDED_LATER or contract.origin.kind not in ("hub", "http"))
        },
        "columns": dict(contract.columns),
        "licence": {name: value for name, value in licence.items() if name not in _PROSE},
        "modality": contract.modality,
        "languages": contract.languages,
        "num_shards": contract.num_shards,
    }
    if contract.preference_pair is not None:
        identity["preference_pair"] = dataclasses.asdict(contract.preference_pair)
    if contract.row_filter is not None:
        identity["row_filter"] = dataclasses.asdict(contract.row_filter)
    if contract.clean is not None:
        identity["clean"] = contract.clean
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_id(file: YamlFile, problems: list[ContractProblem]) -> None:
    found, stem = file.data.get("id"), file.path.stem
    if not isinstance(found, str):
        return  # reported as missing, or by the model
    if not _ID.fullmatch(found):
        fix = "use snake_case: lower-case letters, digits and single '_'"
        problems.append(file.problem(["id"], f"is {found!r}", fix))
    if found != stem:
        fix = f"write 'id: {stem}' or rename the file to {found}.yaml"
        problems.append(file.problem(["id"], f"is {found!r} in a file named {stem}.yaml", fix))


class _CustomProperties(FieldReader):
    """Reads ODCS's property/value list as one mapping, with the line of each value."""

    def __init__(self, file: YamlFile, problems: list[ContractProblem]) -> None:
        self._place: dict[str, int] = {}
        values: dict[str, Any] = {}
        listed = file.data.get("customProperties") or []
        for index, item in enumerate(listed):
            name = item.get("property") if isinstance(item, dict) else None
            if not isinstance(name, str):
                path = ["customProperties", index]
                problems.append(file.problem(path, "has no 'property'", "name the property"))
                continue
            if name in values:
                path = ["customProperties", index]
                problems.append(file.problem(path, f"{name!r} stands twice", "keep one"))
            values[name] = item.get("value")
            self._place[name] = index
        super().__init__(file, ("customProperties",), values, problems)

    def problem(self, name: str, message: str, fix: str) -> None:
        """Records a problem at one custom property."""
        path: tuple[str | int, ...] = self.path
        if name in self._place:
            path = (*self.path, self._place[name], "value")
        self.problems.append(
            ContractProblem(self.file.path, self.file.line(path), name, message, fix)
        )

    def child(self, name: str) -> FieldReader:
        """Returns a reader over one custom property's mapping."""
        self._seen.add(name)
        value = self._data.get(name)
        path = (*self.path, self._place.get(name, 0), "value")
        return FieldReader(
            self.file, path, {} if value is None else value, self.problems, label=name
        )


def _custom_properties(file: YamlFile, problems: list[ContractProblem]) -> _CustomProperties:
    reader = _CustomProperties(file, problems)
    reader.skip(*_OURS)
    return reader


def _origin(reader: FieldReader) -> Origin | None:
    kind = reader.choice("kind", _ORIGINS)
    if kind not in _ORIGINS:
        return None
    if kind == "crate":
        return read_crate_origin(reader)
    origin: Origin | None = reader.record(_ORIGINS[kind])
    if origin is None:
        return None
    if isinstance(origin, SdistOrigin) and not _SHA256.fullmatch(origin.sha256):
        reader.problem(
            "sha256", f"is {origin.sha256!r}", "write the 64 lower-case hex digits of the file"
        )
    if isinstance(origin, GitOrigin) and not _COMMIT.fullmatch(origin.commit):
        reader.problem("commit", f"is {origin.commit!r}", "pin the 40 hex digits of a commit")
    if isinstance(origin, HubOrigin):
        if origin.revision != UNPINNED and not _COMMIT.fullmatch(origin.revision):
            fix = f"pin the 40 hex digits of a commit, or write {UNPINNED} until it can be listed"
            reader.problem("revision", f"is {origin.revision!r}, which can move", fix)
        if origin.content_from not in (None, "swh"):
            reader.problem("content_from", f"is {origin.content_from!r}", "write swh or leave it")
    if isinstance(origin, HttpOrigin):
        _check_http(reader, origin)
    file_format = getattr(origin, "file_format", None)
    if file_format is not None and file_format not in _FORMATS[kind]:
        fix = did_you_mean(file_format, _FORMATS[kind])
        reader.problem("file_format", f"is {file_format!r}", fix)
    return origin


def _check_http(reader: FieldReader, origin: HttpOrigin) -> None:
    if origin.sha256 != UNPINNED and not _SHA256.fullmatch(origin.sha256):
        fix = f"write the 64 lower-case hex digits of the file, or {UNPINNED} until it is known"
        reader.problem("sha256", f"is {origin.sha256!r}", fix)
    if not origin.url.startswith(("https://", "http://")):
        reader.problem("url", f"is {origin.url!r}", "write an https:// address")
    inner = origin.inner_format
    if inner is not None and inner not in _INNER_FORMATS:
        reader.problem("inner_format", f"is {inner!r}", did_you_mean(inner, _INNER_FORMATS))
    if inner is not None and origin.file_format != "zip":
        message = f"stands beside file_format {origin.file_format!r}"
        fix = "data files are read inside a zip only; leave inner_format out"
        reader.problem("inner_format", message, fix)


def _clean(ours: FieldReader, origin: Origin | None) -> str | None:
    reader = ours.child("text")
    clean = reader.choice("clean", CLEANING)
    reader.done()
    if (
        clean
        and origin is not None
        and (_is_table(origin) or not isinstance(origin, GitOrigin | HttpOrigin))
    ):
        fix = "leave it out, or take the files of a git repository or an archive"
        reader.problem("clean", "is for files of text", fix)
    return clean or None


def _columns(ours: FieldReader, origin: Origin | None) -> dict[str, str]:
    written = ours.mapping("columns", {})
    allowed = [name for name in DOCUMENT_SCHEMA.names if name not in _WRITTEN_BY_US]
    for name, upstream in written.items():
        if name not in allowed:
            ours.problem(
                "columns", f"{name!r} is not a document column", did_you_mean(name, allowed)
            )
        if not isinstance(upstream, str):
            ours.problem("columns", f"{name} holds {upstream!r}", "name an upstream column")
    pairs = {"instruction", "chosen"} & set(written)
    from_swh = isinstance(origin, HubOrigin) and origin.content_from == "swh"
    if _is_table(origin) and "content" not in written and not pairs and not from_swh:
        ours.problem("columns", "maps no content", "map content, or instruction and response")
    return {str(name): str(value) for name, value in written.items()}


def _is_table(origin: Origin | None) -> bool:
    inner = getattr(origin, "inner_format", None)
    return (inner or getattr(origin, "file_format", None)) in {"parquet", "jsonl", "csv", "arrow"}


def _description(odcs: Any) -> str:
    described = odcs.description
    parts = (described.purpose, described.limitations, described.usage) if described else ()
    return " ".join(part.strip() for part in parts if part)


def _upstream_schema(
    file: YamlFile, odcs: Any, problems: list[ContractProblem]
) -> tuple[SourceColumn, ...]:
    found: list[SourceColumn] = []
    for number, table in enumerate(odcs.schema_ or ()):
        for place, column in enumerate(table.properties or ()):
            path = ["schema", number, "properties", place]
            if not column.name:
                problems.append(file.problem(path, "has no name", "name the column"))
                continue
            kind = column.logicalType or "string"
            if kind not in LOGICAL_TYPES:
                fix = did_you_mean(kind, LOGICAL_TYPES)
                problems.append(file.problem([*path, "logicalType"], f"is {kind!r}", fix))
            found.append(
                SourceColumn(
                    name=column.name,
                    logical_type=kind,
                    required=bool(column.required),
                    description=column.description or "",
                )
            )
    return tuple(found)


def _check(
    file: YamlFile,
    ours: FieldReader,
    contract: dict[str, Any],
    problems: list[ContractProblem],
) -> None:
    """Checks what no single field can say."""
    if not _OWNER.fullmatch(contract["owner"]):
        fix = "add 'team: {name: <name>}', or a member whose username is an e-mail address"
        problems.append(file.problem(["team"], "names no owner", fix))
    if not contract["description"]:
        problems.append(
            file.problem(["description"], "is missing", "add 'description: {purpose: ...}'")
        )
    for name in contract["profiles"]:
        if name not in PROFILES:
            ours.problem("profiles", f"{name!r} is not a profile", did_you_mean(name, PROFILES))
    if not contract["profiles"] and not ours.has("refusal"):
        ours.problem("profiles", "is empty", "name a profile, or add a refusal")
    upstream = {column.name for column in contract["upstream_schema"]}
    if upstream and ours.has("preference_pair"):
        upstream.add(PAIR)
    for name, column in contract["columns"].items():
        if upstream and column.split(".")[0] not in upstream:
            message = f"{name}: {column!r} is not among upstream's columns"
            ours.problem("columns", message, did_you_mean(column, upstream))
    for rule in contract["quality"]:
        if rule.column is not None and rule.column not in DOCUMENT_SCHEMA.names:
            message = f"rule {rule.name!r} checks {rule.column!r}, which no document column holds"
            problems.append(file.problem(["schema"], message, "map the column in 'columns'"))
    row_column = ours.child("licence").raw("row_column", None)
    if upstream and row_column and row_column not in upstream:
        ours.problem("licence", f"row_column {row_column!r} is not among upstream's columns",
                     did_you_mean(str(row_column), upstream))  # fmt: skip
