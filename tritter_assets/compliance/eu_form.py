"""The form of the summary of training content: parts, sections and fields, each with its origin.

The names and the order are those of the Commission's template (communication C(2025) 8311 of
5 December 2025). Every field says where its value comes from: the stored tables, the provider's
own statement, or nowhere yet, in which case it names the setting that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.contracts.provider import FILE

NOT_STATED = "not stated"


class Origin(StrEnum):
    """Where a field's value comes from."""

    COMPUTED = "computed from the tables"
    STATED = "stated by the provider"
    OPEN = "not stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of the template."""

    key: str
    label: str
    value: Any
    """A text, a truth value, a mapping, or a list of mappings that share their keys."""
    origin: Origin
    setting: str = ""
    """Field of `policy/provider.yaml` that states it."""

    def as_json(self) -> dict[str, Any]:
        """The field for machines."""
        found = {"label": self.label, "value": self.value, "origin": self.origin.value}
        return found | ({"setting": f"{FILE}: {self.setting}"} if self.setting else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One numbered section."""

    number: str
    title: str
    fields: Sequence[Field]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One of the three parts of the template."""

    number: str
    title: str
    sections: Sequence[Section]


def computed(key: str, label: str, value: Any) -> Field:
    """A field that the tables answer."""
    return Field(key=key, label=label, value=value, origin=Origin.COMPUTED)


def stated(key: str, label: str, value: Any, setting: str) -> Field:
    """A field that only the provider can answer; open as long as they have not."""
    if value is None or value == "":
        return Field(key=key, label=label, value=NOT_STATED, origin=Origin.OPEN, setting=setting)
    shown = value if isinstance(value, (bool, str)) else str(value)
    return Field(key=key, label=label, value=shown, origin=Origin.STATED, setting=setting)


def optional(key: str, label: str, value: Any, setting: str) -> list[Field]:
    """A field that the template leaves free: there when it is stated, absent otherwise."""
    return [stated(key, label, value, setting)] if value else []


def open_fields(parts: Sequence[Part]) -> list[tuple[str, Field]]:
    """Returns (section number, field) of everything that is not stated."""
    return [(s.number, f) for s, f in _fields(parts) if f.origin is Origin.OPEN]


def form_json(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The whole form for machines."""
    return [
        {
            "part": part.number,
            "title": part.title,
            "sections": [
                {
                    "section": section.number,
                    "title": section.title,
                    "fields": {field.key: field.as_json() for field in section.fields},
                }
                for section in part.sections
            ],
        }
        for part in parts
    ]


def form_html(parts: Sequence[Part]) -> list[html.Fragment]:
    """The whole form for a person."""
    found: list[html.Fragment] = []
    for part in parts:
        found.append(
            html.heading(part.title if part.number == "0" else f"{part.number}. {part.title}")
        )
        for section in part.sections:
            if section.number != part.number:
                found.append(html.heading(f"{section.number} {section.title}", 3))
            found.extend(_section_html(section))
    return found


def _section_html(section: Section) -> Iterator[html.Fragment]:
    """Short values as terms; lists as tables under them, with what was asked as the caption."""
    short: dict[str, Any] = {}
    for field in section.fields:
        if isinstance(field.value, list):
            if short:
                yield html.definitions(short)
                short = {}
            yield html.records(field.value, caption=field.label)
        else:
            short[field.label] = _shown(field)
    if short:
        yield html.definitions(short)


def _shown(field: Field) -> html.Fragment:
    if field.origin is Origin.OPEN:
        return html.joined(
            html.tag(NOT_STATED, is_open=True), f"state it as {field.setting!r} in {FILE}"
        )
    value: Any = field.value
    if isinstance(value, Mapping):
        return html.definitions({str(key): number for key, number in value.items()})
    if isinstance(value, bool):
        value = "Yes" if value else "No"
    elif isinstance(value, str) and value.startswith(("https://", "http://")):
        value = html.link(value)
    if field.origin is Origin.STATED:
        return html.joined(value, html.tag("stated"))
    return html.joined(value)


def _fields(parts: Sequence[Part]) -> Iterator[tuple[Section, Field]]:
    for part in parts:
        for section in part.sections:
            for field in section.fields:
                yield section, field
