"""Removal requests as files in a folder, for people who do not run commands.

One YAML or JSON file holds one request or a list of them:

    kind: repo                 # repo, owner, author, sha256, swhid or id
    value: owner/name
    reason: the owner asked by mail
    requested_at: 2026-11-24T06:00:00Z

Files are data: they are read by a safe loader and never followed to anything else. A file with
something wrong in it is moved to `rejected/`, beside a text that says what; its other requests
count. Moved back once mended, it is read again: asking twice changes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.errors import ContractViolation
from tritter_assets.lineage.requests import Request, make_request

REJECTED = "rejected"

_SUFFIXES = (".json", ".yaml", ".yml")
_FIELDS = ("kind", "value", "reason", "requested_at")
_MAX_BYTES = 8 << 20
_SETTLED_SECONDS = 5.0
"""A file younger than this may still be being written; it is left for the next look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DropFolder:
    """What a folder of request files holds."""

    requests: tuple[Request, ...]
    """In the order of the file names."""
    problems: dict[str, tuple[str, ...]]
    """File name -> what is wrong with it, a line each."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Every problem, with its file."""
        return tuple(f"{name}: {line}" for name, found in self.problems.items() for line in found)


def read_requests(folder: Path) -> DropFolder:
    """Reads every request file of a folder.

    A bad file never hides the others, and never passes silently.
    """
    requests: list[Request] = []
    problems: dict[str, tuple[str, ...]] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        try:
            entries = _entries(path)
        except (ContractViolation, OSError, UnicodeDecodeError, ValueError) as error:
            problems[path.name] = (str(error),)
            continue
        wrong = []
        for number, entry in enumerate(entries, start=1):
            try:
                requests.append(_request(entry))
            except ContractViolation as error:
                wrong.append(f"request {number}: {error}")
        if not entries:
            wrong.append(f"holds no request: write {', '.join(_FIELDS)}")
        if wrong:
            problems[path.name] = tuple(wrong)
    return DropFolder(requests=tuple(requests), problems=problems)


def set_aside(folder: Path, found: DropFolder) -> tuple[str, ...]:
    """Moves files with problems to `rejected/`, each beside a text that says why.

    Call it when their good requests are recorded. Returns the names of the files moved.
    """
    moved = []
    for name, lines in found.problems.items():
        path = folder / name
        try:
            if time.time() - path.stat().st_mtime < _SETTLED_SECONDS:
                continue
            target = folder / REJECTED / name
            target.parent.mkdir(exist_ok=True)
            target.with_name(f"{name}.why.txt").write_text("\n".join(lines) + "\n", "utf-8")
            path.replace(target)
        except FileNotFoundError:
            continue  # somebody took it away in the meantime
        moved.append(name)
    return tuple(moved)


def _entries(path: Path) -> Sequence[Any]:
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ContractViolation(f"holds {size} bytes, more than {_MAX_BYTES}: split it")
    text = path.read_text("utf-8")
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ContractViolation(f"is not YAML: {error}") from None
    if isinstance(data, dict) and "requests" in data:
        data = data["requests"]
    if data is None:
        return []
    return data if isinstance(data, list) else [data]


def _request(entry: Any) -> Request:
    if not isinstance(entry, dict):
        raise ContractViolation(f"{entry!r} is not a mapping: write {', '.join(_FIELDS)}")
    absent = [name for name in _FIELDS if not str(entry.get(name) or "").strip()]
    if absent:
        raise ContractViolation(f"lacks {', '.join(absent)}")
    kind, value, reason = (str(entry[name]) for name in _FIELDS[:3])
    return make_request(kind, value, reason, _instant(entry["requested_at"]))


def _instant(value: Any) -> str:
    """YAML turns ISO 8601 into date objects; this turns them back, in UTC."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return str(value)
