"""Licence texts that notices reproduce: one file per SPDX id in `policy/license_texts/`.

Texts are data, reviewed like the policy beside them; a text that is not there is not invented, and
the notice gives its address instead.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path("policy") / "license_texts"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+\-]*")
_OPERATORS = frozenset({"AND", "OR", "WITH", "NOASSERTION", "NONE"})


def license_ids(expression: str) -> tuple[str, ...]:
    """Returns the licence and exception ids of an SPDX expression, each once, in its order."""
    words = _WORD.findall(expression)
    return tuple(dict.fromkeys(word for word in words if word not in _OPERATORS))


def license_text(contracts_root: Path, key: str) -> str | None:
    """Returns the text of a licence, or None when `policy/license_texts/` does not hold it."""
    path = contracts_root / FOLDER / f"{key}.txt"
    return path.read_text("utf-8") if path.is_file() else None
