"""Jupyter notebooks as Markdown: prose, fenced code and short text outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tritter_assets.sources.prose.fences import fenced
from tritter_assets.sources.prose.markdown import clean_markdown, finished

MAX_OUTPUT_LINES = 30
MAX_OUTPUT_CHARS = 2000
"""A longer output is a log or a table of numbers; it is left out whole."""


def clean_notebook(text: str, path: str = "") -> str | None:
    """Returns a notebook's Markdown, or None when it is no notebook.

    Images, HTML and widgets among the outputs are left out, errors too.
    """
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        return None
    cells = _cells(book)
    if cells is None:
        return None
    language = _language(book)
    lines: list[str] = []
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input")))
        kind = cell.get("cell_type")
        if kind == "markdown":
            lines += ["", *clean_markdown(source, path).split("\n"), ""]
        elif kind == "heading":
            lines += ["", f"# {source.strip()}", ""]
        elif kind == "code" and source.strip():
            lines += ["", *fenced(source.split("\n"), _magic_language(source) or language), ""]
            lines += _outputs(cell.get("outputs"))
    return finished(lines)


def _cells(book: Any) -> list[dict[str, Any]] | None:
    if not isinstance(book, dict):
        return None
    found = book.get("cells")
    if found is None and isinstance(book.get("worksheets"), list):  # format 3
        found = [c for sheet in book["worksheets"] if isinstance(sheet, dict)
                 for c in sheet.get("cells") or ()]  # fmt: skip
    return [c for c in found if isinstance(c, dict)] if isinstance(found, list) else None


def _language(book: Mapping[str, Any]) -> str:
    facts = book.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    for part, name in (("language_info", "name"), ("kernelspec", "language")):
        value = facts.get(part)
        if isinstance(value, dict) and isinstance(value.get(name), str):
            word = value[name].lower()
            return word if word.isidentifier() else "python"
    return "python"


def _magic_language(source: str) -> str:
    first = source.lstrip().split("\n", 1)[0].split()
    return "bash" if first and first[0] in ("%%bash", "%%sh", "%%shell") else ""


def _joined(source: Any) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _outputs(outputs: Any) -> Iterator[str]:
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        if output.get("output_type") == "stream":
            text = _joined(output.get("text")) if output.get("name") != "stderr" else ""
        elif isinstance(data, dict) and not any(
            k.startswith(("image/", "application/vnd")) for k in data
        ):
            text = _joined(data.get("text/plain"))
        else:
            text = ""
        is_short = len(text) <= MAX_OUTPUT_CHARS and text.count("\n") <= MAX_OUTPUT_LINES
        if text.strip() and is_short and "\x1b" not in text:
            yield from ("", *fenced(text.split("\n"), "text"), "")
