"""The exported items of a repository: definitions, method blocks and modules put together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tritter_assets.functions.interop_rust import (
    RustExport,
    RustMethod,
    RustMethods,
    RustModule,
    read_rust,
)
from tritter_assets.functions.interop_uses import Target

_SOURCE_FOLDERS = frozenset({"src", "tests", "examples", "benches"})


@dataclass(frozen=True, slots=True)
class Item:
    """An exported item with its file and the blocks of its methods."""

    export: RustExport
    document: int
    blocks: tuple[tuple[int, RustMethods], ...]
    modules: tuple[tuple[int, RustModule], ...]
    crate: str

    def methods(self, names: Collection[str]) -> list[tuple[int, RustMethods, RustMethod]]:
        """Returns the methods of these names with their document and block, in file order."""
        return [
            (document, block, method)
            for document, block in self.blocks
            for method in block.methods
            if method.name in names
        ]


def exported_items(documents: Sequence[Mapping[str, Any]], skipped: Counter[str]) -> list[Item]:
    """Finds what the Rust documents export, methods and modules joined by type name and crate."""
    exports: list[tuple[int, RustExport]] = []
    blocks: dict[tuple[str, str], list[tuple[int, RustMethods]]] = defaultdict(list)
    modules: dict[tuple[str, str], list[tuple[int, RustModule]]] = defaultdict(list)
    for place, document in enumerate(documents):
        if document["language"] != "rust":
            continue
        found = read_rust(document["content"].encode("utf-8", "surrogatepass"))
        if found is None:
            skipped["unreadable_document"] += 1
            continue
        crate = _crate_of(document["path"])
        exports += [(place, export) for export in found.exports]
        for block in found.methods:
            blocks[crate, block.type_name].append((place, block))
        for module in found.modules:
            for name in module.registered | {module.name}:
                modules[crate, name].append((place, module))
    count_by_name = Counter((_crate_of(documents[p]["path"]), e.rust_name) for p, e in exports)
    items: list[Item] = []
    seen: set[tuple[str, str | None, str]] = set()
    for place, export in exports:
        crate = _crate_of(documents[place]["path"])
        identity = (crate, export.module, export.name)
        if identity in seen:
            continue  # a second definition under another cfg
        seen.add(identity)
        own = blocks[crate, export.rust_name] if export.is_class else []
        if count_by_name[crate, export.rust_name] > 1:
            own = [entry for entry in own if entry[0] == place]
        known = [m for m in modules[crate, export.rust_name] if export.rust_name in m[1].registered]
        items.append(Item(export, place, tuple(own), tuple(known), crate))
    return items


def _crate_of(path: str) -> str:
    """The folder that holds `src` or `tests`: names are shared inside a crate, not between them."""
    parts = PurePosixPath(path).parent.parts
    for place in range(len(parts) - 1, -1, -1):
        if parts[place] in _SOURCE_FOLDERS:
            return "/".join(parts[:place])
    return "/".join(parts)


def target_of(place: int, item: Item) -> Target:
    """Returns what callers are matched against; `place` is its key."""
    methods = [method for _, block in item.blocks for method in block.methods]
    stated = {item.export.module.rsplit(".", 1)[-1]} if item.export.module else set()
    return Target(
        key=place,
        name=item.export.name,
        is_class=item.export.is_class,
        modules=frozenset(stated | {module.name for _, module in item.modules}),
        members={method.name: method.returns for method in methods},
        getters=frozenset(method.name for method in methods if method.is_getter),
        returns=item.export.returns,
        rust_name=item.export.rust_name,
        crate=item.crate,
    )
