"""Paths into upstream rows, as the contract's column mapping writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def value_at(row: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Returns the value at a path; None when a step leads nowhere.

    A step goes into a struct, to a place in a list (`0`), or into a struct stored as JSON text.
    """
    value: Any = row
    for step in path:
        if isinstance(value, str) and value[:1] in "{[":
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                return None
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(step)
        else:
            return None
    return value
