"""Edits a source contract in place: pinned fields of its origin, and the `upstream` property.

Only the characters of those values change; comments, order, quoting and layout of everything else
stay as they were written. The edited text is parsed before it replaces the file, and must say the
same as before in every other field.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import SourceContract, UpstreamClaim
from tritter_assets.errors import ContractViolation

_NOT_PINNED = re.compile(r"\s*\bThe\s+revision\s+is\s+not\s+pinned\b[^.]*\.")
"""The sentence that contracts carry in their limitations until they are pinned."""

_EMPTY_LIMITATIONS = re.compile(r"\n +limitations: (?:''|\"\")(?=\n)")

_WIDTH = 100


def edited_text(path: Path, origin: Mapping[str, str], claim: UpstreamClaim | None) -> str:
    """Returns the text of a contract with new values.

    Args:
        path: The contract.
        origin: Field of `origin` -> new value; the fields must be written there already.
        claim: New value of the property `upstream`; None leaves it as it is.

    Raises:
        ContractViolation: the file is laid out in a way that cannot be edited.
    """
    text = path.read_text(encoding="utf-8")
    items = _items(path, text)
    replaced: list[tuple[int, int, str]] = []
    fields = _fields(items["origin"]["value"])
    for name, value in origin.items():
        if name not in fields:
            raise ContractViolation(f"{path}: origin has no {name!r} to edit; add '{name}: ...'")
        node = fields[name]
        replaced.append((node.start_mark.index, node.end_mark.index, _scalar(value)))
    if claim is not None:
        replaced.append(_claim_edit(path, text, items, claim))
    for start, end, new in sorted(replaced, reverse=True):
        text = text[:start] + new + text[end:]
    if "revision" in origin:
        head, mark, rest = text.partition("\ncustomProperties:")
        head = _EMPTY_LIMITATIONS.sub("", _NOT_PINNED.sub("", head))
        text = head + mark + rest
    return text


def write_edited(contract: SourceContract, text: str) -> SourceContract:
    """Replaces a contract's file by an edited text and returns the contract it now holds.

    Raises:
        ContractViolation: the text says something else in a field that was not to be edited.
    """
    path = contract.file
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".pin-") as folder:
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        after = dataclasses.replace(parse_source(draft), file=path)
        before = parse_source(path)
        for field in dataclasses.fields(SourceContract):
            if field.name in ("origin", "upstream", "digest", "description"):
                continue
            if getattr(before, field.name) != getattr(after, field.name):
                raise ContractViolation(
                    f"{path}: editing it in place would change {field.name!r} as well; edit it by "
                    "hand"
                )
        os.chmod(draft, path.stat().st_mode)
        os.replace(draft, path)
    return after


def _items(path: Path, text: str) -> dict[str, dict[str, Any]]:
    """Custom property -> its item and value nodes."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    listed = _fields(root).get("customProperties") if isinstance(root, yaml.MappingNode) else None
    if not isinstance(listed, yaml.SequenceNode) or listed.flow_style:
        raise ContractViolation(
            f"{path}: customProperties is no block list; write one '- property: ...' a line"
        )
    found: dict[str, dict[str, Any]] = {}
    for item in listed.value:
        fields = _fields(item)
        if "property" in fields and "value" in fields:
            found[str(fields["property"].value)] = {"item": item, "value": fields["value"]}
    if "origin" not in found:
        raise ContractViolation(f"{path}: customProperties has no origin")
    return found


def _fields(node: Any) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value}


def _claim_edit(
    path: Path, text: str, items: dict[str, dict[str, Any]], claim: UpstreamClaim
) -> tuple[int, int, str]:
    present = items.get("upstream", items["origin"])["item"]
    dash = text.rfind("-", 0, present.start_mark.index)
    line = text.rfind("\n", 0, dash) + 1
    if text[line:dash].strip():
        raise ContractViolation(f"{path}: '- property: ...' does not begin its line")
    block = _claim_block(claim, " " * (dash - line))
    end = _end_of_line(text, max(_ends(present)))
    return (line, end, block) if "upstream" in items else (end, end, block)


def _scalar(value: str) -> str:
    """Writes a text so that YAML reads a text: the version 1.10 is not the number 1.1."""
    return yaml.safe_dump(value, width=1 << 20).split("\n", 1)[0]


def _ends(node: Any) -> Iterator[int]:
    """Where the scalars and flow collections below a node end; a block's own mark is too late."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        yield node.end_mark.index
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _ends(item)
    else:
        for key, value in node.value:
            yield from _ends(key)
            yield from _ends(value)


def _end_of_line(text: str, index: int) -> int:
    if index and text[index - 1] == "\n":
        return index
    end = text.find("\n", index)
    return len(text) if end < 0 else end + 1


def _claim_block(claim: UpstreamClaim, indent: str) -> str:
    values: dict[str, Any] = {
        "licence_tag": claim.licence_tag,
        "gated": claim.gated,
        "readme_sha256": claim.readme_sha256,
        "columns": dict(claim.columns),
        "as_of": claim.as_of,
    }
    lines = [f"{indent}- property: upstream", f"{indent}  value:"]
    for name, value in values.items():
        if value in ("", {}, None):
            continue
        # None: a mapping that holds no other is written on one line, if it fits.
        style = None if isinstance(value, dict) else False
        width = _WIDTH - len(indent) - 4
        written = yaml.safe_dump({name: value}, default_flow_style=style, width=width)
        lines += [f"{indent}    {line}" for line in written.splitlines()]
    return "\n".join(lines) + "\n"
