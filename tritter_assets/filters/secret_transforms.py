"""INI and YAML documents as detect-secrets reads them: `key = "value"`, one value to a line.

detect-secrets first tries every file as INI, then `.yaml` files as YAML, and files of no known type
once more as INI without a section when nothing else was found. Its own transformers do the reading;
here stands what proves, cheaply, that they would not or that nothing would come of it: the parse of
a configuration file stops at the first line that is none, which for code is one of the first.
"""

from __future__ import annotations

import configparser
import io
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tritter_assets.filters import secret_ini, secret_yaml

MAX_CHARS = 1 << 20
MAX_LINES = 10_000
"""Longer documents are scanned as they are: detect-secrets' INI reader is quadratic in lines."""

MAX_YAML_ALIASES = 200
"""Aliases of aliases grow without bound; documents with more are scanned as they are."""

_RUN = re.compile(r"[A-Za-z0-9+/\\\-_=]{9,}")
_HEX = re.compile(r"[0-9a-fA-F]+")
_ESCAPED = re.compile(r"\\[xuU0-9a-z]|\\\r?\n|!!binary|!binary|^\s*\? ", re.MULTILINE)


def universal_newlines(text: str) -> str:
    """Returns the text as Python's text files give it."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def is_yaml(path: str) -> bool:
    """Whether detect-secrets takes the file for YAML."""
    return path.endswith((".yaml", ".yml", ".eyaml"))


def has_no_type(path: str) -> bool:
    """Whether detect-secrets knows nothing of the file's extension."""
    from detect_secrets.util.filetype import FileType, determine_file_type

    return determine_file_type(path) is FileType.OTHER


def may_be_config(text: str, *, has_header: bool = False) -> bool:
    """Whether `configparser` may read the text; stops at the first line that it cannot read.

    Args:
        text: With line feeds only.
        has_header: A section header stands before the text.
    """
    in_section, in_option, indent = has_header, False, 0
    section = configparser.ConfigParser.SECTCRE
    for line in _lines(text):
        value = line.strip()
        if not value or value[0] in "#;":
            continue
        level = len(line) - len(line.lstrip())
        if in_option and level > indent:
            continue
        indent = level
        if section.match(value):
            in_section, in_option = True, False
        elif not in_section or value[0] in "=:" or not ("=" in value or ":" in value):
            return False
        else:
            in_option = True
    return in_section


def yaml_may_hold(text: str) -> bool:
    """Whether a value of the YAML text may be random enough, or its text differs from its value.

    Literals and shapes are looked for elsewhere, in the whole document as one line.
    """
    if _ESCAPED.search(text):
        return True
    for run in _RUN.findall(text):
        distinct = len(set(run))
        # Entropy over 3.0 takes 9 different characters, over 4.5 takes 23.
        if distinct >= 23 or (distinct >= 9 and _HEX.fullmatch(run)):
            return True
    return False


def read_ini(path: str, text: str, *, has_header: bool = False) -> list[str] | None:
    """Returns the lines that detect-secrets makes of an INI file, or None where it cannot.

    Args:
        path: Name of the document.
        text: With line feeds only.
        has_header: False reads a file with sections, True one without.
    """
    if len(text) > MAX_CHARS or text.count("\n") > MAX_LINES:
        return None
    if not may_be_config(text, has_header=has_header):
        return None
    try:
        return secret_ini.read_lines(text, has_header=has_header) or None
    # `configparser` assumes much of a file; where it fails detect-secrets itself would stop.
    except (configparser.Error, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def read_yaml(path: str, text: str) -> list[str] | None:
    """Returns the lines that detect-secrets makes of a YAML file, or None where it cannot."""
    if len(text) > MAX_CHARS or len(re.findall(r"[\s\[,]\*\w", text)) > MAX_YAML_ALIASES:
        return None
    try:
        return secret_yaml.read_lines(text) or None
    except secret_yaml.Unsure:
        return _read(_yaml_transformer(), path, text)


def _read(transformer: Any, path: str, text: str) -> list[str] | None:
    from detect_secrets.transformers.exceptions import ParsingError

    file = io.StringIO(text)
    file.name = path  # type: ignore[attr-defined]
    try:
        return transformer.parse_file(file) or None
    # Its readers assume much of a file; where they fail detect-secrets itself would stop.
    except (
        ParsingError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError,
        OverflowError,
    ):  # fmt: skip
        return None


@cache
def _yaml_transformer() -> Any:
    from detect_secrets.transformers.yaml import YAMLTransformer

    return YAMLTransformer()


def _lines(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1
