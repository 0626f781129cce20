"""The origin `crate`: pinned crates of a Cargo registry, in one contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tritter_assets.contracts.fields import FieldReader, did_you_mean

CRATES_IO_DOWNLOADS = "https://static.crates.io/crates"
CONTENTS = ("docs", "code", "both")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CratePin:
    """One version of one crate."""

    name: str
    version: str
    sha256: str
    """Of the `.crate` file: `cksum` in the registry's index, `checksum` in a Cargo.lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CrateOrigin:
    """Crates read as archives and never built; a shard is every k-th crate."""

    crates: tuple[CratePin, ...]
    content: str = "docs"
    """`docs`: README and documentation comments as Markdown; `code`: Rust files; or `both`."""
    include: tuple[str, ...] = ("**",)
    """Globs on the path inside a crate."""
    exclude: tuple[str, ...] = ()
    downloads: str = CRATES_IO_DOWNLOADS
    """Folder of `<name>/<name>-<version>.crate`; another address is a mirror of the same bytes."""
    kind: str = "crate"


def read_crate_origin(reader: FieldReader) -> CrateOrigin | None:
    """Reads the origin; None when a field is wrong."""
    before = len(reader.problems)
    crates = tuple(
        pin
        for place, item in enumerate(reader.raw("crates") or ())
        if (pin := _pin(reader, place, item)) is not None
    )
    if not crates and len(reader.problems) == before:
        reader.problem("crates", "is empty", "list crates as {name, version, sha256}")
    names = [pin.name.lower().replace("_", "-") for pin in crates]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reader.problem("crates", f"{name!r} stands twice", "keep one version of each crate")
    origin = CrateOrigin(
        crates=crates,
        content=reader.choice("content", CONTENTS, "docs"),
        include=reader.texts("include", ("**",)),
        exclude=reader.texts("exclude", ()),
        downloads=reader.text("downloads", CRATES_IO_DOWNLOADS).rstrip("/"),
    )
    if not origin.downloads.startswith(("https://", "http://")):
        reader.problem("downloads", f"is {origin.downloads!r}", "write an https:// address")
    reader.done()
    return origin if len(reader.problems) == before else None


def _pin(reader: FieldReader, place: int, item: Any) -> CratePin | None:
    fields = {"name": _NAME, "version": _VERSION, "sha256": _SHA256}
    fix = "write {name: ..., version: ..., sha256: <64 lower-case hex digits>}, or make the "
    fix += "entries with `make pin-crates CRATES=...`"
    if not isinstance(item, dict):
        reader.problem("crates", f"entry {place + 1} is {item!r}", fix)
        return None
    for name in item:
        if name not in fields:
            message = f"entry {place + 1} has the unknown field {name!r}"
            reader.problem("crates", message, did_you_mean(str(name), fields))
    wrong = [
        name
        for name, pattern in fields.items()
        if not isinstance(item.get(name), str) or not pattern.fullmatch(item[name])
    ]
    for name in wrong:
        message = f"entry {place + 1} ({item.get('name')}): {name} is {item.get(name)!r}"
        reader.problem("crates", message, fix)
    if wrong:
        return None
    return CratePin(**{name: item[name] for name in fields})
