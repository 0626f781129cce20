"""Thresholds: which config a stage uses for a document of some modality, language and source.

Order of precedence, weakest first: the stage's own values, the deployment profile's `filters`,
then `overrides.modality`, `overrides.tag` (tags of the source contract), `overrides.language`,
`overrides.source`. A profile may name overrides too; they are merged key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

from tritter_assets.errors import ContractViolation
from tritter_assets.lake import fingerprint_of
from tritter_assets.verdict import Stage

_AXES = ("modality", "tag", "language", "source")
_TOP_LEVEL = {"run_all_stages", "max_document_bytes", "stages"}


class FilterSettings:
    """`policy/filters.yaml` with a profile's overrides laid over it."""

    def __init__(self, raw: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
        """Merges `overrides` (stage -> threshold -> value) into `raw`.

        Raises:
            ContractViolation: an unknown key or stage, or a missing one.
        """
        merged = deepcopy(dict(raw))
        for key in merged:
            if key not in _TOP_LEVEL:
                raise ContractViolation(
                    f"policy/filters.yaml: unknown key {key!r}; known: {sorted(_TOP_LEVEL)}"
                )
        stages: dict[str, Any] = merged.setdefault("stages", {})
        known = {stage.value for stage in Stage if stage is not Stage.INGEST}
        for name, values in (overrides or {}).items():
            if name in {"run_all_stages", "max_document_bytes"}:
                merged[name] = values
            elif name not in known:
                raise ContractViolation(
                    f"profile filters: unknown stage {name!r}; known: {sorted(known)}"
                )
            else:
                stages[name] = _merge(stages.get(name, {}), values)
        for name in stages:
            if name not in known:
                raise ContractViolation(
                    f"policy/filters.yaml: unknown stage {name!r}; known: {sorted(known)}"
                )
        self._stages = stages
        self.run_all_stages = bool(merged.get("run_all_stages", False))
        self.max_document_bytes = int(merged.get("max_document_bytes", 2 << 20))
        self.digest = fingerprint_of(merged)
        self._cache: dict[tuple[Any, ...], Any] = {}

    def resolve(
        self,
        stage: Stage,
        config_type: type[Any],
        *,
        modality: str = "",
        language: str | None = None,
        source: str = "",
        tags: tuple[str, ...] = (),
    ) -> Any:
        """Returns the config of a stage, or None where the stage is not enabled.

        Raises:
            ContractViolation: a threshold is unknown, missing or of the wrong type.
        """
        key = (stage, modality, language, source, tags)
        if key not in self._cache:
            self._cache[key] = self._build(stage, config_type, modality, language, source, tags)
        return self._cache[key]

    def raw(self, stage: Stage) -> Mapping[str, Any]:
        """Returns the stage's merged mapping, as written."""
        return self._stages.get(stage.value, {})

    def _build(  # noqa: PLR0917
        self,
        stage: Stage,
        config_type: type[Any],
        modality: str,
        language: str | None,
        source: str,
        tags: tuple[str, ...],
    ) -> Any:
        values = dict(self.raw(stage))
        overrides = values.pop("overrides", {}) or {}
        unknown = set(overrides) - set(_AXES)
        if unknown:
            raise ContractViolation(
                f"filters.{stage}.overrides: unknown axis {sorted(unknown)}; known: {list(_AXES)}"
            )
        chosen = {
            "modality": (modality,),
            "tag": tags,
            "language": ((language or "").lower(),),
            "source": (source,),
        }
        for axis in _AXES:
            table = {str(k).lower(): v for k, v in (overrides.get(axis) or {}).items()}
            for name in chosen[axis]:
                values |= table.get(name.lower(), {})
        if not values.pop("enabled", True):
            return None
        return _typed(stage, config_type, values)


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{k: _merge(base.get(k), v) for k, v in over.items()}}
    return deepcopy(over)


def _typed(stage: Stage, config_type: type[Any], values: Mapping[str, Any]) -> Any:
    assert is_dataclass(config_type)
    kinds = {f.name: str(f.type) for f in fields(config_type)}
    unknown = sorted(set(values) - set(kinds))
    missing = sorted(set(kinds) - set(values))
    if unknown or missing:
        raise ContractViolation(
            f"policy/filters.yaml: stages.{stage}: unknown thresholds {unknown}, missing "
            f"{missing}; the stage takes {sorted(kinds)}"
        )
    return config_type(**{name: _value(stage, name, kinds[name], values[name]) for name in kinds})


def _value(stage: Stage, name: str, kind: str, value: Any) -> Any:
    if value is None and "None" in kind:
        return None
    if kind.startswith("tuple") and isinstance(value, list):
        return tuple(str(item) for item in value)
    if kind.startswith("Mapping") and isinstance(value, Mapping):
        return dict(value)
    wanted: dict[str, tuple[type, ...]] = {
        "bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)
    }  # fmt: skip
    base = kind.split(" ", maxsplit=1)[0]
    if (
        base in wanted
        and isinstance(value, wanted[base])
        and (base == "bool" or not isinstance(value, bool))
    ):
        return float(value) if isinstance(value, int | float) and base == "float" else value
    raise ContractViolation(
        f"policy/filters.yaml: stages.{stage}.{name}: {value!r} is not of type {kind}"
    )
