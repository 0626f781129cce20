"""Reads typed fields out of a YAML mapping and collects every problem with its line and fix."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any, TypeVar

from tritter_assets.contracts.yaml_file import ContractProblem, YamlFile

T = TypeVar("T")

_MISSING = object()


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Returns the way out for a word that is not known: the nearest known one, or all of them."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"use one of {', '.join(sorted(known))}"


class FieldReader:
    """Reads one YAML mapping: a wrong field becomes a problem and a harmless value, and no stop.

    `problems` is shared by every reader of a file, so one pass reports all that is wrong.
    """

    def __init__(
        self,
        file: YamlFile,
        path: tuple[str | int, ...],
        value: Any,
        problems: list[ContractProblem],
        *,
        label: str = "",
    ) -> None:
        self.file = file
        self.path = path
        self.problems = problems
        self._label = label or ".".join(str(step) for step in path)
        self._seen: set[str] = set()
        if not isinstance(value, Mapping):
            self._add(path, f"holds {value!r}, not a mapping", "write 'key: value' lines under it")
            value = {}
        self._data: Mapping[str, Any] = value

    def _add(self, path: tuple[str | int, ...], message: str, fix: str, name: str = "") -> None:
        field = ".".join(part for part in (self._label, name) if part) or "file"
        self.problems.append(
            ContractProblem(self.file.path, self.file.line(path), field, message, fix)
        )

    def problem(self, name: str, message: str, fix: str) -> None:
        """Records a problem at one field of this mapping."""
        self._add((*self.path, name), message, fix, name)

    def has(self, name: str) -> bool:
        """True when the field is written and is not null."""
        return self._data.get(name) is not None

    def raw(self, name: str, default: Any = _MISSING) -> Any:
        """Returns a field as YAML gave it; a field without a default is required."""
        self._seen.add(name)
        value = self._data.get(name)
        if value is None:
            if default is _MISSING:
                self.problem(name, "is missing", f"add '{name}: ...'")
                return None
            return default
        return value

    def _typed(
        self, name: str, default: Any, kind: type | tuple[type, ...], word: str, empty: T
    ) -> Any | T:
        value = self.raw(name, default)
        if not self.has(name):
            return empty if default is _MISSING else default
        wrong_boolean = isinstance(value, bool) and kind is not bool
        if wrong_boolean or not isinstance(value, kind):
            self.problem(name, f"holds {value!r}, not {word.partition(' (')[0]}", f"write {word}")
            return empty
        return value

    def text(self, name: str, default: Any = _MISSING) -> str:
        """Returns a string field, stripped; an empty string counts as missing if required."""
        value = self._typed(name, default, str, "a text (quote it)", "")
        if isinstance(value, str):
            value = value.strip()
            if not value and default is _MISSING and isinstance(self._data.get(name), str):
                self.problem(name, "is empty", f"say what {name} is")
        return value

    def integer(
        self, name: str, default: Any = _MISSING, *, low: int = 0, high: int = 1 << 62
    ) -> int:
        """Returns an integer field between `low` and `high`."""
        value = self._typed(name, default, int, "a whole number", low)
        if isinstance(value, int) and not low <= value <= high:
            self.problem(name, f"is {value}", f"write a whole number from {low} to {high}")
            return low
        return value

    def number(self, name: str, default: Any = _MISSING) -> float:
        """Returns a number as a float."""
        value = self._typed(name, default, (int, float), "a number", 0.0)
        return float(value) if isinstance(value, int | float) else value

    def boolean(self, name: str, default: Any = _MISSING) -> bool:
        """Returns true or false."""
        return bool(self._typed(name, default, bool, "true or false", False))

    def day(self, name: str, default: Any = _MISSING) -> date | None:
        """Returns a date (YAML's own `YYYY-MM-DD`)."""
        return self._typed(name, default, date, "a date (YYYY-MM-DD)", None)

    def texts(self, name: str, default: Any = _MISSING) -> tuple[str, ...]:
        """Returns a list of strings."""
        value = self._typed(name, default, list, "a list of texts", ())
        for index, item in enumerate(value):
            if not isinstance(item, str):
                path = (*self.path, name, index)
                self._add(path, f"holds {item!r}, not a text", "quote it", f"{name}.{index}")
        return tuple(item for item in value if isinstance(item, str))

    def choice(self, name: str, known: Collection[str], default: Any = _MISSING) -> str:
        """Returns a string that must be one of `known`."""
        value = self.text(name, default)
        if value and value not in known:
            self.problem(name, f"is {value!r}", did_you_mean(value, known))
        return value

    def mapping(self, name: str, default: Any = _MISSING) -> Mapping[str, Any]:
        """Returns a mapping field as it stands."""
        return self._typed(name, default, dict, "a mapping", {})

    def child(self, name: str) -> FieldReader:
        """Returns a reader over a mapping field; a missing one reads as empty."""
        self._seen.add(name)
        value = self._data.get(name)
        label = f"{self._label}.{name}" if self._label else name
        path = (*self.path, name)
        return FieldReader(
            self.file, path, {} if value is None else value, self.problems, label=label
        )

    def record(self, cls: Callable[..., T]) -> T | None:
        """Reads the mapping into a dataclass, field by field; None when a required one is wrong.

        Understands `str`, `str | None`, `int`, `float`, `bool`, `date | None` and
        `tuple[str, ...]`; the field `kind` is skipped, being chosen already.
        """
        before = len(self.problems)
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name == "kind":
                continue
            default = _MISSING if field.default is dataclasses.MISSING else field.default
            read = {
                "str": self.text,
                "str | None": self.text,
                "int": self.integer,
                "float": self.number,
                "bool": self.boolean,
                "date | None": self.day,
                "tuple[str, ...]": self.texts,
            }[str(field.type)]
            values[field.name] = read(field.name, default)
        self.done()
        return cls(**values) if len(self.problems) == before else None

    def skip(self, *names: str) -> None:
        """Marks fields as known that are read elsewhere."""
        self._seen.update(names)

    def done(self) -> None:
        """Records a problem for every field that nothing asked for."""
        for name in self._data:
            if name not in self._seen:
                self.problem(str(name), "is not a known field", did_you_mean(str(name), self._seen))
