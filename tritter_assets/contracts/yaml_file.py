"""YAML with positions, so that a problem can name its file, line, field and way out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tritter_assets.errors import ContractViolation

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """YAML's safe loader, in which a key that stands twice is an error, not overwritten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            seen: set[Any] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return mapping


FieldPath = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class ContractProblem:
    """One thing wrong in one file. Problems are collected: one bad file never hides the others."""

    file: Path
    line: int
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.message}. Fix: {self.fix}"


class ContractProblems(ContractViolation):
    """Every problem of one file."""

    def __init__(self, problems: Sequence[ContractProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


class YamlFile:
    """A parsed YAML file that remembers the line of every field."""

    def __init__(self, path: Path) -> None:
        """Parses `path`.

        Raises:
            ContractProblems: the file cannot be read, or is not a YAML mapping.
        """
        self.path = path
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise ContractProblems(
                [ContractProblem(path, 1, "file", f"cannot be read ({error})", "restore the file")]
            ) from None
        self.digest = hashlib.sha256(raw).hexdigest()
        try:
            text = raw.decode("utf-8")
            # One parse serves both: composing and loading apart cost twice as much.
            loader: Any = _Loader(text)
            try:
                self._node: yaml.Node | None = loader.get_single_node()
                self.data: dict[str, Any] = (
                    {} if self._node is None else loader.construct_document(self._node)
                )
            finally:
                loader.dispose()
        except UnicodeDecodeError as error:
            raise ContractProblems(
                [ContractProblem(path, 1, "file", f"not UTF-8: {error}", "save it as UTF-8")]
            ) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            what = getattr(error, "problem", None) or str(error)
            raise ContractProblems(
                [ContractProblem(path, line, "file", f"not YAML: {what}", "correct the syntax")]
            ) from None
        if not isinstance(self.data, dict):
            raise ContractProblems(
                [ContractProblem(path, 1, "file", "not a mapping", "begin with 'key: value' lines")]
            )

    def line(self, field: FieldPath) -> int:
        """Returns the 1-based line of a field, or of its nearest parent that exists."""
        node, line = self._node, 1
        for step in field:
            following = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(step):
                        line, following = key.start_mark.line + 1, value
                        break
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                following = node.value[step] if step < len(node.value) else None
                line = following.start_mark.line + 1 if following is not None else line
            if following is None:
                break
            node = following
        return line

    def problem(self, field: FieldPath, message: str, fix: str) -> ContractProblem:
        """Makes a problem at a field of this file."""
        name = ".".join(str(step) for step in field) or "file"
        return ContractProblem(self.path, self.line(field), name, message, fix)
