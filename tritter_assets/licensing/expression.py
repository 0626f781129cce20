"""SPDX expressions: any name a source may use, to one canonical expression; and its tree.

Parsing is license-expression's over the SPDX list (31 ms to import and build, once, on first use);
names come from `policy/aliases.yaml`. What cannot be read becomes NOASSERTION, never a guess.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.record import NOASSERTION

NONE = "NONE"
"""SPDX's word for "no licence is given"."""

_OWN_SYMBOLS = (
    "LicenseRef-Academic-Use-Only",
    "LicenseRef-OpenRAIL-M",
    "LicenseRef-Proprietary",
    NONE,
    NOASSERTION,
)
_SEPARATOR = re.compile(r"(\(|\)|\s+(?:and|or|with)\s+)", re.IGNORECASE)
_SLASH = re.compile(r"(?<=[\w.+])\s*/\s*(?=[A-Za-z])")
_LIST = re.compile(r"\s*[,;]\s*")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One licence of an expression, with its exception if it has one."""

    spdx: str
    exception: str | None = None

    def __str__(self) -> str:
        return f"{self.spdx} WITH {self.exception}" if self.exception else self.spdx


@dataclass(frozen=True, slots=True)
class Branch:
    """`AND` (all apply) or `OR` (one may be chosen) over operands."""

    operator: str
    operands: tuple[Tree, ...]

    def __str__(self) -> str:
        def part(operand: Tree) -> str:
            nested = isinstance(operand, Branch) and operand.operator != self.operator
            return f"({operand})" if nested else str(operand)

        return f" {self.operator} ".join(part(operand) for operand in self.operands)


Tree = Leaf | Branch


def normalize(text: str | None, policy: Policy) -> str:
    """Returns the SPDX expression that a name or expression means, or NOASSERTION.

    Reads SPDX expressions in any case, deprecated ids, Hub tags, GitHub and detector ids (ScanCode,
    askalono, go-license-detector), trove
    classifiers, PEP 639 expressions, Cargo's `MIT/Apache-2.0`, DEP-5 short names, free text, and
    lists (which mean AND: every licence that was found applies).

    Args:
        text: What the source says. None and "" mean that it says nothing.
        policy: Supplies the aliases.
    """
    if not text or not text.strip():
        return NOASSERTION
    return _normalize(text, _Names.of(policy))


@functools.lru_cache(maxsize=4096)
def parse(expression: str) -> Tree:
    """Returns the tree of a canonical expression; what cannot be parsed is one NOASSERTION leaf."""
    try:
        return _tree(_licensing().parse(expression, validate=True))
    except _errors():
        return Leaf(NOASSERTION)


def leaves(tree: Tree) -> tuple[Leaf, ...]:
    """Returns the licences of a tree, from left to right, each once."""
    if isinstance(tree, Leaf):
        return (tree,)
    return tuple(dict.fromkeys(leaf for operand in tree.operands for leaf in leaves(operand)))


def license_ids(expression: str) -> tuple[str, ...]:
    """Returns the sorted SPDX ids of an expression, exceptions left out."""
    return tuple(sorted({leaf.spdx for leaf in leaves(parse(expression))}))


def join_and(expressions: Iterable[str]) -> str:
    """Returns the canonical conjunction of expressions; NOASSERTION if there are none."""
    return _join("AND", expressions)


def join_or(expressions: Iterable[str]) -> str:
    """Returns the canonical disjunction of expressions; NOASSERTION if there are none."""
    return _join("OR", expressions)


def _join(operator: str, expressions: Iterable[str]) -> str:
    parts = sorted(set(expressions))
    if not parts or NOASSERTION in parts:
        return NOASSERTION
    if len(parts) == 1:
        return parts[0]
    return canonical(f" {operator} ".join(f"({part})" for part in parts)) or NOASSERTION


def canonical(expression: str) -> str | None:
    """Returns the expression with canonical ids and duplicates removed; None if it is not one."""
    try:
        parsed = _licensing().parse(expression, validate=True)
    except _errors():
        return None
    if parsed is None:
        return None
    return str(_deduplicate(_tree(parsed)))


def _deduplicate(tree: Tree) -> Tree:
    if isinstance(tree, Leaf):
        return tree
    operands: dict[Tree, None] = {}
    for operand in map(_deduplicate, tree.operands):
        same = isinstance(operand, Branch) and operand.operator == tree.operator
        for part in operand.operands if same else (operand,):  # type: ignore[union-attr]
            operands[part] = None
    kept = tuple(operands)
    return kept[0] if len(kept) == 1 else Branch(tree.operator, kept)


class _Names:
    """Aliases of one policy with their cache; one instance per aliases digest."""

    _instances: dict[str, _Names] = {}  # noqa: RUF012 - a cache, keyed by content

    def __init__(self, policy: Policy) -> None:
        self.aliases = {**policy.dep5_names, **policy.aliases}
        self.classifiers = policy.classifiers
        self.cache: dict[str, str] = {}

    @classmethod
    def of(cls, policy: Policy) -> _Names:
        key = policy.conclusion_digest
        if key not in cls._instances:
            cls._instances[key] = cls(policy)
        return cls._instances[key]


def _normalize(text: str, names: _Names) -> str:
    cached = names.cache.get(text)
    if cached is None:
        cached = _read(text.strip(), names)
        if len(names.cache) < 100_000:  # free text of a hostile source must not fill memory
            names.cache[text] = cached
    return cached


def _read(text: str, names: _Names) -> str:
    if len(text) > 2_000:  # a licence text, not a name; detect.identify_text reads those
        return NOASSERTION
    if text.startswith("["):
        return _read_list(text, names)
    if "::" in text:
        last = _key(text.rsplit("::", 1)[1])
        return names.classifiers.get(last, NOASSERTION)
    return (
        _name(text, names)
        or _expression(text, names)
        or _expression(_SLASH.sub(" OR ", text), names)
        or _commas(text, names)
        or NOASSERTION
    )


def _read_list(text: str, names: _Names) -> str:
    try:
        items = json.loads(text)
    except ValueError:
        items = [item.strip(" '\"") for item in text.strip("[]").split(",")]
    if not isinstance(items, list):
        return NOASSERTION
    return join_and(_read(str(item), names) for item in items if str(item).strip())


def _commas(text: str, names: _Names) -> str | None:
    parts = [part for part in _LIST.split(text) if part]
    if len(parts) < 2:
        return None
    read = [_name(part, names) or _expression(part, names) for part in parts]
    return join_and(part for part in read if part) if all(read) else None


def _key(name: str) -> str:
    return " ".join(name.lower().replace('"', "").replace("\u2019", "'").split()).strip(" .")


def _name(name: str, names: _Names) -> str | None:
    """Reads one licence name. An SPDX id is always itself: no alias can rename it."""
    key = _key(name)
    known = _known_ids().get(key)
    if known:
        return known
    for candidate in (key, key.removeprefix("the "), key.removesuffix(" license")):
        if candidate in names.aliases:
            alias = names.aliases[candidate]
            return canonical(alias) or NOASSERTION
    detected = _detector_ids().get(key)
    return canonical(detected) if detected else None


def _expression(text: str, names: _Names) -> str | None:
    parts: list[str] = []
    for part in _SEPARATOR.split(text):
        bare = part.strip()
        if not bare:
            continue
        if bare in "()":
            parts.append(bare)
        elif bare.upper() in ("AND", "OR", "WITH"):
            parts.append(bare.upper())
        elif parts and parts[-1] == "WITH":
            parts.append(_exception(bare))
        else:
            name = _name(bare, names)
            if name is None or name == NOASSERTION:
                return None
            parts.append(f"({name})" if " " in name else name)
    return canonical(" ".join(parts)) if parts else None


_EXCEPTIONS = {
    "autoconf": "Autoconf-exception-generic",
    "autoconf-data": "Autoconf-exception-generic",
    "autoconf-macro": "Autoconf-exception-macro",
    "bison": "Bison-exception-2.2",
    "bison-2.2": "Bison-exception-2.2",
    "classpath": "Classpath-exception-2.0",
    "font": "Font-exception-2.0",
    "gcc": "GCC-exception-3.1",
    "gcc runtime library": "GCC-exception-3.1",
    "libtool": "Libtool-exception",
    "linux-syscall-note": "Linux-syscall-note",
    "llvm": "LLVM-exception",
}
"""Names of exceptions, "exception" left out, where they are not SPDX ids."""


def _exception(name: str) -> str:
    bare = re.sub(r"[ -]exceptions?$", "", name.strip().lower())
    return _EXCEPTIONS.get(bare, name.strip())


@functools.cache
def _licensing() -> Any:
    from license_expression import LicenseSymbol, Licensing, get_spdx_licensing

    known = list(get_spdx_licensing().known_symbols.values())
    return Licensing([*known, *(LicenseSymbol(name) for name in _OWN_SYMBOLS)])


@functools.cache
def _errors() -> tuple[type[Exception], ...]:
    from boolean.boolean import ParseError
    from license_expression import ExpressionError

    return (ExpressionError, ParseError, ValueError, TypeError, AttributeError)


@functools.cache
def _known_ids() -> dict[str, str]:
    """Lower-case id, current or deprecated -> canonical SPDX id; exceptions left out."""
    ids: dict[str, str] = {}
    for symbol in _licensing().known_symbols.values():
        if getattr(symbol, "is_exception", False):
            continue
        for name in (symbol.key, *symbol.aliases):
            ids.setdefault(name.lower(), symbol.key)
    return ids


@functools.cache
def _detector_ids() -> dict[str, str]:
    """Lower-case key of a detector -> SPDX id: ScanCode's keys, go-license-detector's old ids."""
    from license_expression import get_license_index

    ids = {f"deprecated_{name}": spdx for name, spdx in _known_ids().items()}
    for entry in get_license_index():
        spdx = entry["spdx_license_key"]
        if spdx and not entry["is_exception"]:
            ids.setdefault(entry["license_key"], spdx)
    return ids


def _tree(parsed: Any) -> Tree:
    operator: str = getattr(parsed, "operator", "").strip().upper()
    if operator in ("AND", "OR"):
        return Branch(operator, tuple(_tree(argument) for argument in parsed.args))
    if hasattr(parsed, "license_symbol"):
        return Leaf(parsed.license_symbol.key, parsed.exception_symbol.key)
    return Leaf(parsed.key)


def transform(tree: Tree, choose: Callable[[tuple[Tree, ...]], Tree]) -> Tree:
    """Returns the tree with every OR replaced by what `choose` picks among its operands."""
    if isinstance(tree, Leaf):
        return tree
    operands = tuple(transform(operand, choose) for operand in tree.operands)
    if tree.operator == "OR":
        return choose(operands)
    return _deduplicate(Branch("AND", operands))
