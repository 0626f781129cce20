"""Removal requests as files in a folder, for people who do not run commands.

One YAML or JSON file holds one request or a list of them:

    kind: repo                 # repo, owner, author, sha256, swhid or id
    value: owner/name
    reason: the owner asked by mail
    requested_at: 2026-11-24T06:00:00Z

Files are data: they are read by a safe loader and never followed to anything else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.errors import ContractViolation

_SUFFIXES = (".json", ".yaml", ".yml")
_FIELDS = ("kind", "value", "reason", "requested_at")
_MAX_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalRequest:
    """One request as a file states it; `forget.request_removal` checks its values."""

    kind: str
    value: str
    reason: str
    requested_at: str
    file: str
    """Name of the file inside the folder."""


def read_requests(folder: Path) -> tuple[list[RemovalRequest], list[str]]:
    """Reads every request file of a folder, in the order of the file names.

    Returns:
        The requests, and one line for each file or entry that could not be understood: a bad file
        never hides the others, and never passes silently.
    """
    requests: list[RemovalRequest] = []
    problems: list[str] = []
    if not folder.is_dir():
        return requests, problems
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        try:
            entries = _entries(path)
        except (ContractViolation, OSError, UnicodeDecodeError, ValueError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        for number, entry in enumerate(entries, start=1):
            missing = _missing(entry)
            if missing:
                problems.append(f"{path.name}: request {number}: {missing}")
                continue
            requests.append(
                RemovalRequest(
                    kind=str(entry["kind"]),
                    value=str(entry["value"]),
                    reason=str(entry["reason"]),
                    requested_at=_instant(entry["requested_at"]),
                    file=path.name,
                )
            )
    return requests, problems


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
    return data if isinstance(data, list) else [data]


def _missing(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return f"{entry!r} is not a mapping: write {', '.join(_FIELDS)}"
    absent = [name for name in _FIELDS if not str(entry.get(name) or "").strip()]
    return f"lacks {', '.join(absent)}" if absent else None


def _instant(value: Any) -> str:
    """YAML turns ISO 8601 into date objects; this turns them back, in UTC."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return str(value)
