"""What a mix file says: the components of one training phase, their shares and their selectors.

A mix is data, reviewed as text. One file serves every deployment profile: a component names the
rows it wants first and may name stand-ins (`alternatives`), and says what becomes of its share when
a profile cannot supply it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from tritter_assets.contracts.yaml_file import (
    ContractProblem,
    ContractProblems,
    FieldPath,
    YamlFile,
)
from tritter_assets.lake import fingerprint_of
from tritter_assets.record import Modality

PHASES = ("phase1_base", "phase2_domain", "phase3_instruct", "phase4_align")
"""Training phases, in the order they run."""

_Enum = TypeVar("_Enum", bound=StrEnum)

_WEIGHT_TOLERANCE = 1e-6
_TABLE_ROOMS = ("filtered", "functions", "synthetic")
_MAX_EPOCHS_LIMIT = 16.0
"""Past about four epochs repeated data stops helping; past sixteen it only memorises."""


class Unit(StrEnum):
    """What the weights of a mix are shares of."""

    TOKENS = "tokens"
    SAMPLES = "samples"
    PAIRS = "pairs"


class WhenUnavailable(StrEnum):
    """What becomes of a share that a component cannot supply within its cap on epochs."""

    REDISTRIBUTE = "redistribute"
    """The other components take it over in proportion to their weights; recorded and warned of."""
    FAIL = "fail"
    """The mix is infeasible."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """A conjunction of conditions on rows; an empty condition holds for every row."""

    tables: tuple[str, ...] = ("filtered/*",)
    """Lake tables: globs on `filtered/<source>`, or the names of `functions/<language>` and
    `synthetic/<generator>` tables."""
    sources: tuple[str, ...] = ()
    """Globs on source ids."""
    tags: tuple[str, ...] = ()
    """Tags of the source contract; one of them is enough."""
    exclude_tags: tuple[str, ...] = ()
    """A source that carries one of these is left out."""
    languages: tuple[str, ...] = ()
    exclude_languages: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    path_globs: tuple[str, ...] = ()
    """Globs on the row's path; `*` does not cross `/`, `**` does. One of them is enough."""
    exclude_path_globs: tuple[str, ...] = ()
    min_quality: float | None = None
    """Least `quality_score`; a row without a score does not pass."""
    max_tokens: int | None = None
    """Most estimated tokens of a row: keeps shares of samples from being shares of long files."""
    replay_of: str | None = None
    """Only rows that the mix of this earlier phase took."""
    replay_components: tuple[str, ...] = ()
    """With `replay_of`: only rows that these components of it took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One share of a mix."""

    name: str
    title: str
    weight: float
    """Share of the mix's unit, 0 to 1."""
    max_epochs: float
    """Most times a row may be repeated, on average over the component."""
    select: Selector
    alternatives: tuple[Selector, ...] = ()
    """Stand-ins, in order: each joins only if those before it cannot supply the share."""
    max_source_fraction: float = 1.0
    """Most of the component that one source may supply."""
    when_unavailable: WhenUnavailable = WhenUnavailable.FAIL

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """The wanted rows first, then the stand-ins in order."""
        return (self.select, *self.alternatives)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """One file of `data_contracts/mixes/`."""

    phase: str
    title: str
    unit: Unit
    components: tuple[Component, ...]
    seed: int = 0
    fim_rate: float = 0.0
    """Part of the code documents that are packed for filling in the middle, 0 to 1."""
    description: str = ""
    file: Path = field(default_factory=Path)
    digest: str = ""
    """Hash of every field that changes which rows are taken; titles and comments do not count."""

    @property
    def replayed_phases(self) -> tuple[str, ...]:
        """Earlier phases whose mixes this one samples from, in phase order."""
        found = {
            selector.replay_of
            for component in self.components
            for selector in component.selectors
            if selector.replay_of is not None
        }
        return tuple(phase for phase in PHASES if phase in found)


def parse_mix(path: Path) -> Mix:
    """Reads a mix file.

    Raises:
        ContractProblems: every problem found, each with file, line, field and the fix.
    """
    return _Parser(YamlFile(path)).mix()


def _digest(mix: Mix) -> str:
    fields = asdict(mix)
    for name in ("title", "description", "file", "digest"):
        del fields[name]
    for component in fields["components"]:
        del component["title"]
    return fingerprint_of(fields)


_MIX_FIELDS = {"phase", "title", "unit", "seed", "fim_rate", "description", "components"}
_COMPONENT_FIELDS = {
    "name",
    "title",
    "weight",
    "max_epochs",
    "max_source_fraction",
    "when_unavailable",
    "select",
    "alternatives",
}
_SELECTOR_LISTS = (
    "tables",
    "sources",
    "tags",
    "exclude_tags",
    "languages",
    "exclude_languages",
    "modalities",
    "path_globs",
    "exclude_path_globs",
    "replay_components",
)
_SELECTOR_FIELDS = {*_SELECTOR_LISTS, "min_quality", "max_tokens", "replay_of"}


class _Parser:
    """Collects problems while it reads, so that one run shows all of them."""

    def __init__(self, file: YamlFile) -> None:
        self._file = file
        self._problems: list[ContractProblem] = []

    def mix(self) -> Mix:
        data = self._file.data
        self._unknown((), data, _MIX_FIELDS)
        phase = self._text(("phase",), data.get("phase"))
        stem = self._file.path.stem
        if phase and phase not in PHASES:
            self._bad(("phase",), f"{phase!r} is not a phase", f"use one of {', '.join(PHASES)}")
        elif phase and phase != stem:
            self._bad(("phase",), f"{phase!r} is not the file's name {stem!r}", "make them agree")
        unit = self._enum(("unit",), data.get("unit", Unit.TOKENS), Unit, Unit.TOKENS)
        components = self._components(data.get("components"), phase)
        mix = Mix(
            phase=phase,
            title=self._text(("title",), data.get("title")),
            unit=unit,
            components=components,
            seed=int(self._number(("seed",), data.get("seed", 0), 0, 2**31)),
            fim_rate=self._number(("fim_rate",), data.get("fim_rate", 0.0), 0.0, 1.0),
            description=str(data.get("description", "")),
            file=self._file.path,
        )
        if self._problems:
            raise ContractProblems(self._problems)
        return replace(mix, digest=_digest(mix))

    def _components(self, value: Any, phase: str) -> tuple[Component, ...]:
        if not isinstance(value, list) or not value:
            self._bad(("components",), "must be a list with one component at least", "add one")
            return ()
        found: list[Component] = []
        for index, entry in enumerate(value):
            where = ("components", index)
            if not isinstance(entry, dict):
                self._bad(where, "must be a mapping", "write 'name:', 'weight:', 'select:'")
                continue
            found.append(self._component(where, entry, phase))
        names = [component.name for component in found]
        for index, name in enumerate(names):
            if name and name in names[:index]:
                self._bad(("components", index, "name"), f"{name!r} stands twice", "rename one")
        total = sum(component.weight for component in found)
        if abs(total - 1.0) > _WEIGHT_TOLERANCE:
            self._bad(
                ("components",),
                f"the weights add up to {total:.6g}, not to 1",
                f"change them by {1.0 - total:+.6g} in all",
            )
        return tuple(found)

    def _component(self, where: FieldPath, entry: dict[str, Any], phase: str) -> Component:
        self._unknown(where, entry, _COMPONENT_FIELDS)
        name = self._text((*where, "name"), entry.get("name"))
        if name and not name.replace("_", "").isalnum():
            self._bad((*where, "name"), f"{name!r} is not snake_case", "use letters, digits and _")
        if "select" not in entry:
            self._bad(where, f"component {name!r} has no 'select'", "say which rows it takes")
        alternatives = entry.get("alternatives", [])
        if not isinstance(alternatives, list):
            self._bad((*where, "alternatives"), "must be a list of selectors", "begin with '- '")
            alternatives = []
        return Component(
            name=name,
            title=str(entry.get("title") or name),
            weight=self._number((*where, "weight"), entry.get("weight"), 0.0, 1.0),
            max_epochs=self._number(
                (*where, "max_epochs"), entry.get("max_epochs", 1), 0.0, _MAX_EPOCHS_LIMIT
            ),
            max_source_fraction=self._number(
                (*where, "max_source_fraction"), entry.get("max_source_fraction", 1.0), 0.0, 1.0
            ),
            when_unavailable=self._enum(
                (*where, "when_unavailable"),
                entry.get("when_unavailable", WhenUnavailable.FAIL),
                WhenUnavailable,
                WhenUnavailable.FAIL,
            ),
            select=self._selector((*where, "select"), entry.get("select", {}), phase),
            alternatives=tuple(
                self._selector((*where, "alternatives", index), alternative, phase)
                for index, alternative in enumerate(alternatives)
            ),
        )

    def _selector(self, where: FieldPath, entry: Any, phase: str) -> Selector:
        if not isinstance(entry, dict):
            self._bad(where, "must be a mapping of conditions", "write e.g. {languages: [Python]}")
            return Selector()
        self._unknown(where, entry, _SELECTOR_FIELDS)
        lists = {
            name: self._texts((*where, name), entry[name])
            for name in _SELECTOR_LISTS
            if name in entry
        }
        for table in lists.get("tables", ()):
            room, _, rest = table.partition("/")
            if room not in _TABLE_ROOMS or not rest:
                self._bad(
                    (*where, "tables"),
                    f"{table!r} is not a table that a mix reads",
                    "use filtered/<source>, functions/<language> or synthetic/<generator>",
                )
            elif room != "filtered" and any(sign in rest for sign in "*?["):
                self._bad(
                    (*where, "tables"),
                    f"{table!r} is a pattern",
                    "name the table: the graph must know what the mix reads",
                )
        for modality in lists.get("modalities", ()):
            if modality not in set(Modality):
                self._bad(
                    (*where, "modalities"),
                    f"{modality!r} is not a modality",
                    f"use {', '.join(Modality)}",
                )
        replay_of = entry.get("replay_of")
        if replay_of is not None:
            earlier = PHASES[: PHASES.index(phase)] if phase in PHASES else PHASES
            if replay_of not in earlier:
                self._bad(
                    (*where, "replay_of"),
                    f"{replay_of!r} does not run before {phase!r}",
                    f"use one of {', '.join(earlier) or '(no phase runs before this one)'}",
                )
        elif lists.get("replay_components"):
            self._bad((*where, "replay_components"), "stands without 'replay_of'", "name the phase")
        quality = entry.get("min_quality")
        if quality is not None:
            quality = self._number((*where, "min_quality"), quality, -1e9, 1e9)
        longest = entry.get("max_tokens")
        if longest is not None:
            longest = int(self._number((*where, "max_tokens"), longest, 1, 2**40))
        return Selector(**lists, min_quality=quality, max_tokens=longest, replay_of=replay_of)

    # -- fields ----------------------------------------------------------------------------------

    def _bad(self, where: FieldPath, message: str, fix: str) -> None:
        self._problems.append(self._file.problem(where, message, fix))

    def _unknown(self, where: FieldPath, entry: dict[str, Any], known: set[str]) -> None:
        for name in entry:
            if name not in known:
                self._bad((*where, name), "is not a field here", f"use {', '.join(sorted(known))}")

    def _text(self, where: FieldPath, value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        self._bad(where, f"must be a text, not {value!r}", "write it")
        return ""

    def _texts(self, where: FieldPath, value: Any) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        self._bad(where, f"must be a list of texts, not {value!r}", "write e.g. [Python, Rust]")
        return ()

    def _number(self, where: FieldPath, value: Any, low: float, high: float) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self._bad(where, f"{value!r} is not a number from {low:g} to {high:g}", "correct it")
        return 0.0

    def _enum(self, where: FieldPath, value: Any, enum: type[_Enum], otherwise: _Enum) -> _Enum:
        try:
            return enum(value)
        except ValueError:
            self._bad(
                where,
                f"{value!r} is not allowed",
                f"use {', '.join(str(member) for member in enum)}",
            )
            return otherwise


def mix_problems(paths: Sequence[Path]) -> list[ContractProblem]:
    """Returns the problems of many mix files; a broken file never hides the others."""
    found: list[ContractProblem] = []
    for path in paths:
        try:
            parse_mix(path)
        except ContractProblems as error:
            found.extend(error.problems)
    return found
