"""Which exported Rust item each Python function calls, by following imports and simple types.

A name is followed through the imports of its file, through re-exports of the repository's own
modules (`from ._native import *` in an `__init__.py` included) to the compiled module. A function
or class that Python itself defines on the way ends the search. Objects are followed from the call
that makes them: a constructor, or a function or method whose Rust return type names a class of the
repository; through local names, `self.x`, annotations and `with`. Flow is not: the last binding of
a name in a function wins for calls after it. A method call on an object whose type is not known
counts as a loose use only if the file imports exactly one class with such a method and no
built-in type has one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tritter_assets.functions.interop_python import (
    MAX_CHAIN,
    Binding,
    Module,
    PythonFile,
    text_of,
    walk,
)
from tritter_assets.functions.interop_rust import NEW
from tritter_assets.functions.outline import FunctionOutline, outline

if TYPE_CHECKING:
    from tree_sitter import Node

CLASS = ""
"""Member name that stands for a class or function itself."""

_ANNOTATED = re.compile(r"[\"']?(?:Optional\[)?([\w.]+)")
_WORDS = re.compile(rb"\w+")
_MAX_HOPS = 8
"""Re-exports that are followed."""

_BUILT_IN = frozenset(
    name
    for kind in (str, bytes, bytearray, list, dict, set, frozenset, tuple, int, float, object,
                 memoryview, range, slice, type, BaseException)
    for name in dir(kind)
) | frozenset(
    ("read", "write", "close", "open", "run", "next", "send", "throw", "flush", "seek", "load",
     "save", "apply", "map", "filter", "group", "match", "search", "mean", "sum", "min", "max",
     "shape", "reshape", "train", "fit", "start", "stop", "name", "put", "set", "add", "schema",
     "execute", "fetch", "wait", "result", "cancel", "done", "exists", "stat", "iter", "hash")
)  # fmt: skip
"""Methods so common that a name alone says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An exported Rust item as Python sees it."""

    key: int
    """Position in the repository's list of exports."""
    name: str
    is_class: bool
    modules: frozenset[str]
    """Last parts of the modules that register it; empty when nothing says."""
    members: Mapping[str, frozenset[str]]
    """Method -> words of its return type."""
    getters: frozenset[str]
    returns: frozenset[str]
    rust_name: str
    crate: str


@dataclass(frozen=True, slots=True)
class Use:
    """One member of one target that a function calls."""

    key: int
    member: str
    """`CLASS` for a function, or a class that is only named; a method's name otherwise."""
    is_resolved: bool


@dataclass(frozen=True, slots=True)
class _Value:
    kind: str
    """`module`, `class`, `function`, `instance` or `method`."""
    module: Module = ()
    target: Target | None = None
    member: str = CLASS


@dataclass(slots=True)
class FunctionUses:
    """What one Python function uses."""

    function: FunctionOutline
    uses: set[Use] = field(default_factory=set)


class Repository:
    """The Python files of one repository, and the Rust items that they can reach."""

    def __init__(
        self, files: Sequence[PythonFile], targets: Sequence[Target], modules: Iterable[str]
    ) -> None:
        """Indexes files by the ends of their paths, targets by name.

        Args:
            files: Of one repository, sorted by path.
            targets: Exported items.
            modules: Last parts of the compiled modules' names.
        """
        self._compiled = frozenset(modules)
        self._by_name: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            self._by_name[target.name].append(target)
        self._classes: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            if target.is_class:
                self._classes[target.rust_name].append(target)
        self._by_tail: dict[str, list[PythonFile]] = defaultdict(list)
        for file in sorted(files, key=lambda f: (f.is_stub, len(f.path), f.path)):
            if file.module:
                self._by_tail[file.module[-1]].append(file)
        self._folders: dict[str, set[str]] = defaultdict(set)
        for file in files:
            if len(file.module) > 1:
                self._folders[file.module[-2]] |= file.definitions
        self._resolved: dict[tuple[Module, str], _Value | None] = {}

    def uses_of(self, file: PythonFile) -> list[FunctionUses]:
        """Returns the functions of a file that use a target, in order of position."""
        bound = {name: self._bound(file, name, 0) for name in (*file.bindings, *file.aliases)}
        known = {
            name: value
            for name, value in bound.items()
            if value is not None and self._leads_on(file, name, value)
        }
        stars = [star for star in file.stars if self._reaches(star)]
        return _Reader(self, file, known).read() if known or stars else []

    def _leads_on(self, file: PythonFile, name: str, value: _Value) -> bool:
        """False for a module of which the file takes nothing that Rust made.

        Most files of a package import the package itself; without this each would be walked.
        """
        if value.kind != "module":
            return True
        if not self._reaches(value.module):
            return False
        chain = rf"(?<![\w.]){re.escape(name)}((?:\s*\.\s*\w+)+)".encode()
        return any(
            self._passes_target(value, taken.decode().replace(" ", "").split(".")[1:])
            for taken in set(re.findall(chain, file.source))
        )

    def _passes_target(self, value: _Value | None, parts: Sequence[str]) -> bool:
        for part in parts[:MAX_CHAIN]:
            value = self.attribute(value, part.strip()) if value is not None else None
            if value is None or value.kind != "module":
                return value is not None
        return False

    def _bound(self, file: PythonFile, name: str, hops: int) -> _Value | None:
        binding = file.bindings.get(name)
        if binding is not None:
            return self._imported(binding, hops)
        alias = file.aliases.get(name)
        if alias is None:
            return None
        return self.dotted(file, alias, hops)

    def dotted(self, file: PythonFile, text: str, hops: int = 0) -> _Value | None:
        """Returns what `a.b` is in a file."""
        parts = text.replace(" ", "").split(".")
        binding = file.bindings.get(parts[0])
        value = self._imported(binding, hops) if binding is not None else None
        for part in parts[1:MAX_CHAIN]:
            value = self.attribute(value, part, hops) if value is not None else None
        return value

    def _imported(self, binding: Binding, hops: int) -> _Value | None:
        if binding.symbol is None:
            return _Value("module", binding.module)
        return self.symbol(binding.module, binding.symbol, hops)

    def attribute(self, value: _Value, name: str, hops: int = 0) -> _Value | None:
        """Returns what `value.name` is."""
        if value.kind == "module":
            return self.symbol(value.module, name, hops)
        target = value.target if value.kind in ("class", "instance") else None
        if target is not None and name in target.members and name != NEW:
            return _Value("method", target=target, member=name)
        return None

    def symbol(self, module: Module, name: str, hops: int = 0) -> _Value | None:
        """Returns what `name` of a module is; None when it is not ours."""
        key = (module, name)
        if key not in self._resolved:
            self._resolved[key] = None  # a cycle of re-exports ends here
            self._resolved[key] = self._find_symbol(module, name, hops)
        return self._resolved[key]

    def _find_symbol(self, module: Module, name: str, hops: int) -> _Value | None:
        if hops > _MAX_HOPS or not module:
            return None
        file = self._file(module)
        if file is not None and not file.is_stub and not file.is_replaced:
            if name in file.definitions:
                return None
            found = self._bound(file, name, hops + 1)
            if found is not None:
                return found
            for star in file.stars:
                found = self.symbol(star, name, hops + 1)
                if found is not None:
                    return found
        # An `__init__` that the filters dropped, as too short for one, can only have passed it on.
        is_gap = file is None and name not in self._folders.get(module[-1], {name})
        is_stand_in = file is not None and (file.is_stub or file.is_replaced)
        if module[-1] in self._compiled or is_stand_in or is_gap:
            target = self._target(module, name)
            if target is not None:
                return _Value("class" if target.is_class else "function", target=target)
        if name in self._compiled or self._file((*module, name)) is not None:
            return _Value("module", (*module, name))
        return None

    def _target(self, module: Module, name: str) -> Target | None:
        candidates = self._by_name.get(name, [])
        if len(candidates) > 1:
            candidates = [t for t in candidates if module[-1] in t.modules]
        return candidates[0] if len(candidates) == 1 else None

    def _file(self, module: Module) -> PythonFile | None:
        """The file of a module: the one with the shortest path that ends in its parts."""
        size = len(module)
        return next(
            (file for file in self._by_tail.get(module[-1], ()) if file.module[-size:] == module),
            None,
        )

    def _reaches(self, module: Module) -> bool:
        """Whether a module is compiled, or one of the repository's own."""
        if not module:
            return False
        return module[-1] in self._compiled or self._file(module) is not None

    def made_by(self, maker: Target, returns: frozenset[str]) -> Target | None:
        """Returns the class of the object that a Rust function or method gives back."""
        if maker.is_class and ("Self" in returns or maker.rust_name in returns):
            return maker
        named = [
            target
            for word in returns
            for target in self._classes.get(word, ())
            if target.crate == maker.crate
        ]
        return named[0] if len(named) == 1 else None


class _Reader:
    """Reads the functions of one file."""

    def __init__(self, repo: Repository, file: PythonFile, known: Mapping[str, _Value]) -> None:
        self._repo, self._file, self._known = repo, file, known
        self._fields: dict[tuple[str, str], _Value] = {}
        self._local: dict[str, _Value] = {}
        self._current: FunctionUses | None = None
        self._by_method: dict[str, set[int]] = defaultdict(set)
        for value in known.values():
            if value.kind == "class" and value.target is not None:
                for member in value.target.members.keys() - value.target.getters:
                    self._by_method[member].add(value.target.key)

    def read(self) -> list[FunctionUses]:
        found: list[FunctionUses] = []
        parsed = outline("python", self._file.source)
        functions = parsed.functions if parsed is not None else ()
        for place, kind in self._file.fields.items():
            value = self._object_of(kind)
            if value is not None:
                self._fields[place] = value
        for is_last in (False, True):
            # The first pass only learns what `self.x` holds, wherever it is set.
            telling = self._telling_words()
            for function in functions:
                node = function.node
                text = self._file.source[node.start_byte : node.end_byte]
                if telling is not None and telling.isdisjoint(_WORDS.findall(text)):
                    continue
                self._current = FunctionUses(function=function)
                self._local = self._parameters(node)
                for inner in walk(node):
                    self._visit(inner)
                if is_last and self._current.uses:
                    found.append(self._current)
        return found

    def _telling_words(self) -> frozenset[bytes] | None:
        """Words without one of which a function cannot use a target; None when any may do."""
        if self._file.stars:
            return None
        methods = (name for name in self._by_method if name not in _BUILT_IN)
        fields = (name for _, name in self._fields)
        return frozenset(word.encode() for word in (*self._known, *methods, *fields))

    def _parameters(self, node: Node) -> dict[str, _Value]:
        local: dict[str, _Value] = {}
        parameters = node.child_by_field_name("parameters")
        for parameter in parameters.named_children if parameters is not None else ():
            kind = parameter.child_by_field_name("type")
            name = parameter.child_by_field_name("name")
            if name is None and parameter.named_children:
                name = parameter.named_children[0]
            value = self._annotated(kind)
            if value is not None and name is not None:
                local[text_of(name)] = value
        return local

    def _annotated(self, kind: Node | None) -> _Value | None:
        return self._object_of(text_of(kind)) if kind is not None else None

    def _object_of(self, annotation: str) -> _Value | None:
        """An object of the class that an annotation names first."""
        match = _ANNOTATED.match(annotation)
        name = match.group(1) if match is not None else ""
        if not name or name in self._file.definitions:
            return None
        value = self._repo.dotted(self._file, name)
        if value is None or value.kind != "class":
            return None
        return _Value("instance", target=value.target)

    def _visit(self, node: Node) -> None:
        if node.type == "assignment":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            value = self._value(right, 0) if right is not None else None
            if value is None:
                value = self._annotated(node.child_by_field_name("type"))
            self._bind(left, value)
        elif node.type == "as_pattern" and node.named_child_count == 2:
            target = node.named_children[1]
            inner = target.named_children[0] if target.named_children else target
            self._bind(inner, self._value(node.named_children[0], 0))
        elif node.type == "call":
            self._value(node, 0)
        elif node.type == "attribute":
            value = self._value(node, 0)
            target = value.target if value is not None and value.kind == "method" else None
            if value is not None and target is not None and value.member in target.getters:
                self._use(target, value.member)

    def _bind(self, left: Node | None, value: _Value | None) -> None:
        if left is None or self._current is None:
            return
        if left.type == "identifier":
            name = text_of(left)
            if value is not None:
                self._local[name] = value
            else:
                self._local.pop(name, None)
            return
        is_field = left.type == "attribute" and _field(left, "object") == "self"
        if is_field and value is not None and value.kind == "instance":
            self._fields[self._current.function.container, _field(left, "attribute")] = value

    def _value(self, node: Node, depth: int) -> _Value | None:
        if depth > MAX_CHAIN or self._current is None:
            return None
        if node.type == "identifier":
            return self._named(text_of(node))
        if node.type in ("await", "parenthesized_expression") and node.named_child_count == 1:
            return self._value(node.named_children[0], depth + 1)
        if node.type == "attribute":
            return self._attribute(node, depth)
        if node.type == "call":
            return self._call(node, depth)
        return None

    def _named(self, name: str) -> _Value | None:
        if name in self._local:
            return self._local[name]
        value = self._known.get(name)
        if value is None:
            for star in self._file.stars:
                value = self._repo.symbol(star, name)
                if value is not None:
                    break
        return value if name not in self._file.definitions else None

    def _attribute(self, node: Node, depth: int) -> _Value | None:
        of, name = node.child_by_field_name("object"), _field(node, "attribute")
        if of is None or self._current is None:
            return None
        if of.type == "identifier" and text_of(of) in ("self", "cls"):
            return self._fields.get((self._current.function.container, name))
        value = self._value(of, depth + 1)
        return self._repo.attribute(value, name) if value is not None else None

    def _call(self, node: Node, depth: int) -> _Value | None:
        callee = node.child_by_field_name("function")
        if callee is None:
            return None
        value = self._value(callee, depth + 1)
        if value is None or value.target is None:
            if value is None and callee.type == "attribute":
                self._loose(_field(callee, "attribute"))
            return None
        target = value.target
        if value.kind == "class":
            self._use(target, NEW if NEW in target.members else CLASS)
            return _Value("instance", target=target)
        if value.kind == "function":
            self._use(target, CLASS)
            made = self._repo.made_by(target, target.returns)
        elif value.kind == "method":
            self._use(target, value.member)
            made = self._repo.made_by(target, target.members[value.member])
        else:
            return None
        return _Value("instance", target=made) if made is not None else None

    def _use(self, target: Target, member: str) -> None:
        if self._current is not None:
            self._current.uses.add(Use(target.key, member, is_resolved=True))

    def _loose(self, method: str) -> None:
        owners = self._by_method.get(method, set())
        if len(owners) != 1 or method in _BUILT_IN or self._current is None:
            return
        self._current.uses.add(Use(next(iter(owners)), method, is_resolved=False))


def _field(node: Node, name: str) -> str:
    return text_of(node.child_by_field_name(name))
